"""Whether the model needs what its heat maps mark: pixels are taken away, or given, by their heat.

Deletion and insertion curves of Petsiuk et al., BMVC 2018, inside the head and beside two orders
that know nothing of the model: a random map as coarse as the heat map, and the distance from the
middle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from slicewise.arrays import Array, Bools, Floats, Strings
from slicewise.evaluation.compare import Direction, direction_of
from slicewise.evaluation.evaluate import PartInput
from slicewise.evaluation.explanations.localisation import centre_map
from slicewise.evaluation.explanations.regions import head_region
from slicewise.evaluation.summary import nested
from slicewise.explain.heatmap import heat_map
from slicewise.imaging.preprocess import Placement, preprocess, to_batch
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import probabilities_of
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import drawing, grid, line_style
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import mean_of
from slicewise.text import figure_text, signed_text

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0)
"""Shares of the head's pixels that are taken away or given."""
BLUR = 0.08
"""Standard deviation of the blur that replaces pixels, share of the picture's side."""
SEED = 42
TITLE = "Whether the model needs what the heat maps mark"
ORDERS = {"heat_map": "by heat", "random": "by a random map", "centre": "from the middle"}
GAMES = {"deletion": "taken away", "insertion": "brought back"}
VERDICTS: dict[Direction, str] = {
    "no_interval": "no interval to judge by",
    "better": "the heat map orders pixels better than chance",
    "worse": "the heat map orders pixels worse than chance",
    "not_shown": "no measurable difference from chance",
}

Picture = NDArray[np.uint8]


class Curves(NamedTuple):
    """Probabilities (N, S) of the answered class at `SHARES`, by (game, order), and (N,) groups."""

    values: Mapping[tuple[str, str], Floats]
    groups: Strings


def deletion_report(
    slices: Sequence[Slice], groups: Strings, given: PartInput
) -> tuple[dict[str, Any], Section]:
    """Curves of at least one slice, for JSON and for the report; writes `deletion.png`."""
    step = ProgressCount(given.progress, "taking pixels away", len(slices))
    found = curves(slices, groups, given.classifier, SEED, step)
    estimates, count = areas(found, given.bootstrap), int(np.unique(groups).size)
    report = {
        "n": len(slices),
        "groups": count,
        "shares": list(SHARES),
        "replaced_by": f"a Gaussian blur of {BLUR} of the side, inside the head only",
        **nested(estimates),
        "curves": {
            game: {order: found.values[game, order].mean(axis=0).tolist() for order in ORDERS}
            for game in GAMES
        },
    }
    gains = {key: signed_text(estimate.as_json()) for key, estimate in estimates.items()}
    heads = [*(f"area, {game}" for game in GAMES), *(f"by heat minus this, {g}" for g in GAMES)]
    rows = [
        (
            title,
            *(figure_text(estimates[game, order].as_json()) for game in GAMES),
            *(gains.get((game, f"heat_map_minus_{order}"), "") for game in GAMES),
        )
        for order, title in ORDERS.items()
    ]
    text = _text(estimates, len(slices), count)
    picture = _draw(found, given.out_dir / "deletion.png", given.notice)
    return report, Section.of(TITLE, text, ("order", *heads), rows, [picture], given.notice)


def curves(
    slices: Sequence[Slice],
    groups: Strings,
    classifier: Classifier,
    seed: int,
    step: Callable[[], None],
) -> Curves:
    """Play both games on every slice, in every order."""
    drawn = np.random.default_rng(seed)
    found: dict[tuple[str, str], list[Floats]] = {(g, o): [] for g in GAMES for o in ORDERS}
    for slice_ in slices:
        image = preprocess(slice_.pixels, classifier.bundle.info.preprocessing).image
        outputs = classifier.run(to_batch(image[None]))
        class_ = int(outputs.logits[0].argmax())
        cam = outputs.cam[0, class_]
        noise = drawn.random(cam.shape).astype(np.float32)
        head = head_region(image.astype(np.float32))
        for order, ranks in _orders(cam, noise, head).items():
            for game in GAMES:
                pictures = played(image, ranks, deletes=game == "deletion")
                found[game, order].append(_probability(classifier, pictures, class_))
        step()
    return Curves({key: np.stack(values) for key, values in found.items()}, groups)


def played(image: Picture, ranks: Floats, *, deletes: bool) -> Picture:
    """(S, size, size) the picture as pixels turn into, or come out of, its blurred copy.

    Args:
        image: (size, size) as the model reads it.
        ranks: (size, size) share of the head that goes before a pixel; above 1 outside the head,
            which stays as it is.
        deletes: From the picture to the blur inside the head, or the other way.
    """
    blur = ImageFilter.GaussianBlur(BLUR * image.shape[0])
    blurred = np.asarray(Image.fromarray(image).filter(blur), dtype=np.uint8)
    return np.stack(
        [np.where(((ranks < share) == deletes) & (ranks <= 1), blurred, image) for share in SHARES]
    )


def order_of(heat: Array, head: Bools, ties: Array) -> Floats:
    """(H, W) share of the head's pixels that are hotter than each one; 2 outside the head.

    Of equal `heat` (H, W) those with larger `ties` (H, W) come first.
    """
    inside = np.flatnonzero(head)
    order = np.lexsort((-ties.ravel()[inside], -heat.ravel()[inside]))
    ranks = np.full(head.size, 2.0)
    ranks[inside[order]] = np.arange(inside.size) / inside.size
    return ranks.reshape(head.shape)


def area(values: Floats) -> Floats:
    """(N,) area under each of N curves over `SHARES`, by trapezoids: a mean probability."""
    return np.asarray(np.trapezoid(values, SHARES, axis=1))


def areas(found: Curves, bootstrap: Bootstrap) -> dict[Key, Estimate]:
    """Mean areas by (game, order), and paired differences by (game, `heat_map_minus_<order>`).

    A good map has a small area in deletion and a large one in insertion.
    """
    by_slice = {key: area(values) for key, values in found.values.items()}
    quantities: dict[Key, Quantity] = {key: mean_of(values) for key, values in by_slice.items()}
    for game, order in by_slice:
        if order != "heat_map":
            gap = by_slice[game, "heat_map"] - by_slice[game, order]
            quantities[game, f"heat_map_minus_{order}"] = mean_of(gap)
    return group_intervals(quantities, found.groups, found.groups, bootstrap)


def _orders(cam: Array, noise: Array, head: Bools) -> dict[str, Floats]:
    shape = head.shape[0], head.shape[1]
    placement = Placement(0, 0, shape[0])
    random = heat_map(noise, placement, shape).values
    maps = {
        "heat_map": heat_map(cam, placement, shape).values,
        "random": random,
        "centre": centre_map(placement, shape),
    }
    return {order: order_of(heat, head, random) for order, heat in maps.items()}


def _probability(classifier: Classifier, pictures: Picture, class_: int) -> Floats:
    rule = classifier.bundle.info.decision
    logits = classifier.run(to_batch(pictures)).logits
    bias = rule.bias_of(classifier.bundle.classes)
    return np.asarray(probabilities_of(logits, rule.temperature, bias)[:, class_])


def _text(estimates: Mapping[Key, Estimate], n: int, groups: int) -> str:
    gaps = {game: estimates[game, "heat_map_minus_random"].as_json() for game in GAMES}
    verdicts = [VERDICTS[direction_of(gaps[g], falling=g == "deletion")] for g in GAMES]
    return (
        f"On {n} slices of {groups} groups, pixels of the head were replaced by a blurred copy "
        "(deletion) or brought back into it (insertion), the hottest first, and the probability of "
        "the answered class was followed (Petsiuk et al. 2018). If the model uses what the map "
        "marks, the area under the curve is small in deletion and large in insertion, compared "
        "with a random map of the same coarseness and with the distance from the middle.\n\n"
        f"Deletion: {verdicts[0]}. Insertion: {verdicts[1]}. "
        "A blurred head is itself a picture the model was never taught, so the curves compare "
        "orders; they do not say what the model would answer for a head without tumor."
    )


def _draw(found: Curves, path: Path, notice: str | None) -> Path:
    with drawing(path, 8.0, 3.8, f"Mean over {len(found.groups)} slices", notice) as figure:
        for number, (game, verb) in enumerate(GAMES.items()):
            axes = figure.add_subplot(1, 2, number + 1)
            for place, (order, title) in enumerate(ORDERS.items()):
                values = found.values[game, order].mean(axis=0)
                axes.plot(SHARES, values, label=title, **line_style(place))
            axes.set(ylim=(0, 1), xlabel=f"share of the head {verb}")
            axes.set_ylabel("probability of the answered class")
            axes.set_title(game, fontsize=10)
            grid(axes)
            axes.legend(fontsize=8)
    return path
