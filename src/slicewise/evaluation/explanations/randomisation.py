"""Whether heat maps follow the model: they must change when its weights are permuted.

Sanity check of Adebayo et al., NeurIPS 2018. A map that stays as it is shows the picture, not what
the model learnt. A map without any heat shows nothing, so it is counted and compared with none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from slicewise.arrays import Array, Bools, Ints, Strings
from slicewise.evaluation.evaluate import PartInput
from slicewise.evaluation.summary import nested
from slicewise.imaging.preprocess import preprocess, to_batch
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.progress import ProgressCount
from slicewise.reports.blocks import Section
from slicewise.reports.plots import COLOURS, drawing, grid, whiskers
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import mean_of, share_of
from slicewise.text import figure_text

LIMIT = 0.5
"""The check is passed if the interval of the rank correlation with the wholly permuted network
ends below it. Set before anything was measured."""
MOST = 0.5
"""Without heat in more than this share of the wholly permuted network's maps there is no verdict: a
network that merely dies would pass."""
HOTTEST = 0.2
"""Share of a map's cells that count as its hottest."""
CHANCE = HOTTEST / (2 - HOTTEST)
"""Expected overlap of the hottest fifths of two unrelated maps."""
BATCH = 16
ANOTHER = "another slice"
WHOLE = "all"
NO_PAIR = "a comparison needs two maps with heat"
TITLE = "Whether the heat maps follow the model"
PARTS = {
    ANOTHER: "same model, a slice of another group",
    "head": "head permuted",
    "late": "head and last third permuted",
    WHOLE: "whole network permuted",
}
MEASURES = {
    "correlation": ("rank correlation", -0.25, LIMIT, "limit"),
    "overlap": ("overlap of the hottest fifth", 0, CHANCE, "chance"),
}
"""Title of each measure; of its panel the left end, the value that is marked and its name."""


class Randomisation(NamedTuple):
    """Likeness of the model's maps with others.

    Args:
        estimates: Means by (other, measure); the other is a part whose weights were permuted, or
            `another slice`.
        with_heat: Slices on which the model's own map has heat; the others are not compared.
        empty: How many of these lose all heat, by permuted part; they stand in no mean.
    """

    estimates: Mapping[Key, Estimate]
    n: int
    groups: int
    with_heat: int
    empty: Mapping[str, int]

    @property
    def passed(self) -> bool | None:
        """Whether the maps of the wholly permuted network are other maps; None: no verdict."""
        found = self.estimates[WHOLE, "correlation"]
        if self.empty[WHOLE] > MOST * self.with_heat or found.value is None:
            return None
        if found.ci_high is not None:
            return found.ci_high < LIMIT
        return False if found.value >= LIMIT else None

    @property
    def verdict(self) -> str:
        """The same in words, or why there is none."""
        lost = f"{self.empty[WHOLE]} of {self.with_heat} maps lose all heat"
        if self.empty[WHOLE] > MOST * self.with_heat:
            return f"No verdict: with the whole network permuted, {lost}."
        if self.passed is None:
            return f"No verdict: {self.estimates[WHOLE, 'correlation'].reason}."
        return f"Check {'passed' if self.passed else 'NOT passed'} ({lost})."

    @property
    def others(self) -> list[str]:
        """What was compared with, in order."""
        return list(dict.fromkeys(key[0] for key in self.estimates))


def randomisation_report(
    slices: Sequence[Slice],
    groups: Strings,
    given: PartInput,
    shuffled: Mapping[str, Classifier] | str,
) -> tuple[dict[str, Any], Section]:
    """The check, or why `shuffled` is none, for JSON and report; writes `randomisation.png`."""
    if isinstance(shuffled, str):
        return {"reason": shuffled}, Section.of(TITLE, shuffled)
    step = ProgressCount(given.progress, "permuted networks", (1 + len(shuffled)) * len(slices))
    found = randomisation(slices, groups, given.classifier, shuffled, given.bootstrap, step)
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
    columns = ("compared with", *(title for title, *_ in MEASURES.values()), "empty maps")
    rows = [
        (
            PARTS.get(name, name),
            *(figure_text(found.estimates[name, m].as_json()) for m in MEASURES),
            str(found.empty.get(name, "")),
        )
        for name in found.others
    ]
    picture = _draw(found, given.out_dir / "randomisation.png", given.notice)
    return report, Section.of(TITLE, _text(found), columns, rows, [picture], given.notice)


def randomisation(
    slices: Sequence[Slice],
    groups: Strings,
    classifier: Classifier,
    shuffled: Mapping[str, Classifier],
    bootstrap: Bootstrap,
    step: Callable[[], None],
) -> Randomisation:
    """Compare maps of the answered class with those of permuted networks, `all` among them."""
    spec, everyone = classifier.bundle.info.preprocessing, np.arange(len(slices))
    images = np.stack([preprocess(slice_.pixels, spec).image for slice_ in slices])
    logits, maps = _maps(classifier, images, step)
    classes = logits.argmax(axis=1)
    own, partners = maps[everyone, classes], _of_other_groups(groups)
    others = {ANOTHER: own[partners]}
    for part, network in shuffled.items():
        others[part] = _maps(network, images, step)[1][everyone, classes]
    there = _with_heat(own)
    quantities: dict[Key, Quantity] = {}
    for name, other in others.items():
        both = there & _with_heat(other)
        if name == ANOTHER:
            both &= partners != everyone
        correlations = np.array(list(map(rank_correlation, own, other)))
        overlaps = np.array(list(map(hottest_overlap, own, other)))
        quantities[name, "correlation"] = mean_of(correlations, both, NO_PAIR)
        quantities[name, "overlap"] = share_of(overlaps, both, NO_PAIR)
    return Randomisation(
        group_intervals(quantities, groups, groups, bootstrap),
        len(slices),
        int(np.unique(groups).size),
        int(there.sum()),
        {part: int((there & ~_with_heat(others[part])).sum()) for part in shuffled},
    )


def rank_correlation(one: Array, two: Array) -> float:
    """Spearman's correlation of two (h, w) maps; 0 where one is constant."""
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0
    return float(spearmanr(one, two, axis=None).statistic)


def hottest_overlap(one: Array, two: Array) -> float:
    """Intersection over union of the hottest fifth of both (h, w) maps; 0 where one has no heat."""
    if one.max() <= 0 or two.max() <= 0:
        return 0.0
    count = max(1, round(HOTTEST * one.size))
    first, second = (np.argsort(-m.ravel(), kind="stable")[:count] for m in (one, two))
    return np.intersect1d(first, second).size / np.union1d(first, second).size


def _maps(
    classifier: Classifier, images: np.ndarray, step: Callable[[], None]
) -> tuple[Array, Array]:
    """Logits (N, K) and maps (N, K, h, w) of preprocessed images."""
    found = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        found.append(classifier.run(to_batch(batch)))
        for _ in batch:
            step()
    return np.concatenate([o.logits for o in found]), np.concatenate([o.cam for o in found])


def _of_other_groups(groups: Strings) -> Ints:
    """(N,) a slice of another group for each, all used about equally often; itself without one."""
    n = groups.size
    return np.array(
        [next((j % n for j in range(i + n // 2, i + n // 2 + n) if groups[j % n] != groups[i]), i)
         for i in range(n)]
    )  # fmt: skip


def _with_heat(maps: Array) -> Bools:
    """(N,) which of (N, h, w) maps are not 0 everywhere."""
    return np.asarray(maps.max(axis=(1, 2)) > 0)


def _text(found: Randomisation) -> str:
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


def _draw(found: Randomisation, path: Path, notice: str | None) -> Path:
    names = found.others
    title = f"Likeness with the model's own maps, {found.n} slices"
    with drawing(path, 7.2, 3.6, title, notice) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (measure, panel) in zip(panels, MEASURES.items(), strict=True):
            head, left, marked, word = panel
            of_all = [found.estimates[name, measure] for name in names]
            ends = whiskers((one.value, one.ci_low, one.ci_high) for one in of_all)
            values = np.array([one.value for one in of_all], dtype=np.float64)
            axes.errorbar(values, range(len(names)), xerr=ends, fmt="o", color=COLOURS[0])
            axes.axvline(marked, color=COLOURS[1], linestyle="--", linewidth=1.2)
            axes.text(marked, -0.75, word, color=COLOURS[1], fontsize=8, ha="center",
                      backgroundcolor="white")  # fmt: skip
            axes.set_xlim(left, 1)
            axes.set_title(head, fontsize=10)
            grid(axes, "x")
        panels[0].set_yticks(range(len(names)), [PARTS.get(name, name) for name in names])
        panels[0].set_ylim(len(names) - 0.5, -1)
    return path
