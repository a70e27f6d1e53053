"""Whether the model needs what its heat maps mark: pixels are taken away, or given, by their heat.

Deletion and insertion curves of Petsiuk et al., BMVC 2018, inside the head and beside two orders
that know nothing of the model: a random map as coarse as the heat map, and the distance from the
middle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from slicewise.arrays import Array, Bools, Floats, Strings
from slicewise.evaluation.explanations.localisation import centre_map
from slicewise.evaluation.explanations.regions import head_region
from slicewise.explain.heatmap import heat_map
from slicewise.imaging.preprocess import Placement, preprocess, to_batch
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import probabilities_of
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import mean_of

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0)
"""Shares of the head's pixels that are taken away or given."""

BLUR = 0.08
"""Standard deviation of the blur that replaces pixels, share of the picture's side."""

ORDERS = ("heat_map", "random", "centre")
GAMES = ("deletion", "insertion")

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Probability of the answered class while pixels go or come.

    Args:
        values: From (game, order) to (N, S) probabilities at `SHARES`.
        groups: (N,) leak-free unit of each slice.
    """

    values: Mapping[tuple[str, str], Floats]
    groups: Strings


def curves(
    slices: Sequence[Slice],
    groups: Strings,
    classifier: Classifier,
    seed: int,
    step: Callable[[], None],
) -> Curves:
    """Play both games on every slice, in every order.

    Args:
        groups: (N,) leak-free unit of each.
    """
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
    """Share of the head's pixels that are hotter than each one; 2 outside the head.

    Args:
        heat: (H, W) values.
        head: (H, W) where the head is.
        ties: (H, W) decides among equals, the larger first.
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
    """Mean areas and paired differences with group-bootstrap intervals.

    Args:
        found: Of at least one slice.

    Returns:
        From (game, order) to the mean area, and from (game, `heat_map_minus_<order>`) to the mean
        difference. A good map has a small area in deletion and a large one in insertion.
    """
    by_slice = {key: area(values) for key, values in found.values.items()}
    quantities: dict[Key, Quantity] = {key: mean_of(values) for key, values in by_slice.items()}
    for game in GAMES:
        for order in ORDERS[1:]:
            gap = by_slice[game, ORDERS[0]] - by_slice[game, order]
            quantities[game, f"heat_map_minus_{order}"] = mean_of(gap)
    return group_intervals(quantities, found.groups, found.groups, bootstrap)


def _orders(cam: Array, noise: Array, head: Bools) -> dict[str, Floats]:
    placement = Placement(0, 0, head.shape[0])
    random = heat_map(noise, placement, (head.shape[0], head.shape[1])).values
    maps = {
        "heat_map": heat_map(cam, placement, (head.shape[0], head.shape[1])).values,
        "random": random,
        "centre": centre_map(placement, (head.shape[0], head.shape[1])),
    }
    return {order: order_of(heat, head, random) for order, heat in maps.items()}


def _probability(classifier: Classifier, pictures: Picture, class_: int) -> Floats:
    rule = classifier.bundle.info.decision
    logits = classifier.run(to_batch(pictures)).logits
    bias = rule.bias_of(classifier.bundle.classes)
    return np.asarray(probabilities_of(logits, rule.temperature, bias)[:, class_])
