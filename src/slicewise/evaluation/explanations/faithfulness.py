"""The tests of faithfulness in numbers for JSON, in words and in pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.arrays import Strings
from slicewise.evaluation.explanations.deletion import (
    BLUR,
    GAMES,
    ORDERS,
    SHARES,
    Curves,
    areas,
    curves,
)
from slicewise.evaluation.explanations.randomisation import (
    ANOTHER,
    HOTTEST,
    LIMIT,
    MEASURES,
    WHOLE,
    Randomisation,
    randomisation,
)
from slicewise.evaluation.summary import nested
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.reports.blocks import Section
from slicewise.reports.plots import COLOURS, drawing, grid, line_style
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key
from slicewise.text import figure_text, signed_text

SEED = 42
RANDOMISED = "Whether the heat maps follow the model"
NEEDED = "Whether the model needs what the heat maps mark"
PARTS = {
    ANOTHER: "same model, a slice of another group",
    "head": "head permuted",
    "late": "head and last third permuted",
    WHOLE: "whole network permuted",
}
ORDER_TITLES = {"heat_map": "by heat", "random": "by a random map", "centre": "from the middle"}
CHANCE = HOTTEST / (2 - HOTTEST)
"""Expected overlap of the hottest fifths of two unrelated maps."""
NOTHING_SEEN = "not measured: the model sees no tumor on any slice of the sample"


def randomisation_report(
    slices: Sequence[Slice],
    groups: Strings,
    classifier: Classifier,
    shuffled: Mapping[str, Classifier] | str,
    out_dir: Path,
    bootstrap: Bootstrap,
    step: Callable[[], None],
    notice: str | None,
) -> tuple[dict[str, Any], Section]:
    """The check with permuted weights, or why it was skipped, for JSON and for the report.

    Args:
        groups: (N,) leak-free unit of each.
        shuffled: From a permuted part to its classifier, or why there are none.
        out_dir: Folder for `randomisation.png`.
    """
    if isinstance(shuffled, str):
        return {"reason": shuffled}, Section.of(RANDOMISED, shuffled)
    found = randomisation(slices, groups, classifier, shuffled, bootstrap, step)
    report = {
        "n": found.n,
        "groups": found.groups,
        "limit": LIMIT,
        "passed": found.passed,
        "verdict": found.verdict,
        "with_heat": found.with_heat,
        "empty_maps": dict(found.empty),
        **nested(found.estimates),
    }
    section = Section.of(
        RANDOMISED,
        _likeness_text(found),
        ("compared with", "rank correlation", "overlap of the hottest fifth", "empty maps"),
        [
            (
                PARTS.get(name, name),
                *(figure_text(found.estimates[name, m].as_json()) for m in MEASURES),
                str(found.empty.get(name, "")),
            )
            for name in _names(found)
        ],
        [_draw_likeness(found, out_dir / "randomisation.png", notice)],
        notice,
    )
    return report, section


def deletion_report(
    slices: Sequence[Slice],
    groups: Strings,
    classifier: Classifier,
    out_dir: Path,
    bootstrap: Bootstrap,
    step: Callable[[], None],
    notice: str | None,
) -> tuple[dict[str, Any], Section]:
    """Deletion and insertion curves, for JSON and for the report; see `randomisation_report`."""
    if not slices:
        return {"reason": NOTHING_SEEN}, Section.of(NEEDED, NOTHING_SEEN)
    found = curves(slices, groups, classifier, SEED, step)
    estimates = areas(found, bootstrap)
    count = int(np.unique(groups).size)
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
    heads = ("area, {}", "by heat minus this, {}")
    section = Section.of(
        NEEDED,
        _curves_text(estimates, len(slices), count),
        ("order", *(head.format(game) for head in heads for game in GAMES)),
        [
            (
                ORDER_TITLES[order],
                *(figure_text(estimates[game, order].as_json()) for game in GAMES),
                *(_gain_text(estimates.get((game, f"heat_map_minus_{order}"))) for game in GAMES),
            )
            for order in ORDERS
        ],
        [_draw_curves(found, out_dir / "deletion.png", notice)],
        notice,
    )
    return report, section


def _gain_text(gain: Estimate | None) -> str:
    return "" if gain is None else signed_text(gain.as_json())


def _names(found: Randomisation) -> list[str]:
    return list(dict.fromkeys(key[0] for key in found.estimates))


def _likeness_text(found: Randomisation) -> str:
    return (
        f"On {found.n} slices of {found.groups} groups, the map of the answered class was compared "
        "with the map that the same network gives once its weights are permuted: the last "
        "layer, the last third of the layers, everything (Adebayo et al. 2018). A map that "
        "stays the same shows the picture and not what was learnt. Maps of another slice show how "
        "alike two maps are merely for being maps of heads.\n\n"
        f"{found.verdict} It is passed if the interval of the rank correlation with the wholly "
        f"permuted network ends below {LIMIT}. The hottest fifth are the hottest {HOTTEST:.0%} of "
        f"a map's cells; two random maps overlap by {CHANCE:.2f}. A map without any heat is like "
        "or unlike nothing: those of a permuted network are counted and stand in no mean."
    )


def _curves_text(estimates: Mapping[Key, Estimate], n: int, groups: int) -> str:
    return (
        f"On {n} slices of {groups} groups, pixels of the head were replaced by a blurred copy "
        "(deletion) or brought back into it (insertion), the hottest first, and the probability of "
        "the answered class was followed (Petsiuk et al. 2018). If the model uses what the map "
        "marks, the area under the curve is small in deletion and large in insertion, compared "
        "with a random map of the same coarseness and with the distance from the middle.\n\n"
        f"{_judged(estimates['deletion', 'heat_map_minus_random'], 'Deletion', smaller=True)} "
        f"{_judged(estimates['insertion', 'heat_map_minus_random'], 'Insertion', smaller=False)} "
        "A blurred head is itself a picture the model was never taught, so the curves compare "
        "orders; they do not say what the model would answer for a head without tumor."
    )


def _judged(gap: Estimate, game: str, *, smaller: bool) -> str:
    if gap.ci_low is None or gap.ci_high is None:
        return f"{game}: no interval to judge by."
    if gap.ci_low <= 0 <= gap.ci_high:
        return f"{game}: no measurable difference from chance."
    verdict = "better" if (gap.ci_high < 0) == smaller else "worse"
    return f"{game}: the heat map orders pixels {verdict} than chance."


def _draw_likeness(found: Randomisation, path: Path, notice: str | None) -> Path:
    names = _names(found)
    marks = ((-0.25, LIMIT, "limit"), (0, CHANCE, "chance"))
    heads = ("rank correlation", "overlap of the hottest fifth")
    title = f"Likeness with the model's own maps, {found.n} slices"
    with drawing(path, 7.2, 3.6, title, notice) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, measure, head, mark in zip(panels, MEASURES, heads, marks, strict=True):
            left, value, word = mark
            for place, name in enumerate(names):
                one = found.estimates[name, measure]
                ends = [one.ci_low or 0.0, one.ci_high or 0.0]
                axes.plot(ends, [place, place], color=COLOURS[0], linewidth=2)
                axes.plot([one.value or 0.0], [place], "o", color=COLOURS[0])
            axes.axvline(value, color=COLOURS[1], linestyle="--", linewidth=1.2)
            axes.text(value, -0.75, word, color=COLOURS[1], fontsize=8, ha="center",
                      backgroundcolor="white")  # fmt: skip
            axes.set_xlim(left, 1)
            axes.set_title(head, fontsize=10)
            grid(axes, "x")
        panels[0].set_yticks(range(len(names)), [PARTS.get(name, name) for name in names])
        panels[0].set_ylim(len(names) - 0.5, -1)
    return path


def _draw_curves(found: Curves, path: Path, notice: str | None) -> Path:
    with drawing(path, 8.0, 3.8, f"Mean over {len(found.groups)} slices", notice) as figure:
        verbs = ("taken away", "brought back")
        for axes, game, verb in zip(figure.subplots(1, 2), GAMES, verbs, strict=True):
            for place, order in enumerate(ORDERS):
                values = found.values[game, order].mean(axis=0)
                axes.plot(SHARES, values, label=ORDER_TITLES[order], **line_style(place))
            axes.set_ylim(0, 1)
            axes.set_xlabel(f"share of the head {verb}")
            axes.set_ylabel("probability of the answered class")
            axes.set_title(game, fontsize=10)
            grid(axes)
            axes.legend(fontsize=8)
    return path
