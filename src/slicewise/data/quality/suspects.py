"""Slices that may not belong into a set of MR slices of heads, each by a rule that can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Bools
from slicewise.data.quality.reading import Material

UNLIKE_LIMIT = 4.0
_UNLIKE_NEIGHBOURS = 5
_UNLIKE_FEWEST = 50
_FARTHEST = 8.0
"""No statistic counts for more than so many interquartile ranges."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a slice is suspect.

    Args:
        kind: A short name.
        title: What it may be.
        words: The rule, in words.
        leave_out: Whether the suggested manifest leaves such slices out; others are only marked.
        holds: Of which slices it holds: (N,) booleans.
    """

    kind: str
    title: str
    words: str
    leave_out: bool
    holds: Callable[[Material], Bools]


@dataclass(frozen=True, slots=True)
class Suspects:
    """The slices of which one rule holds.

    Args:
        rule: The rule.
        slices: Their indices.
    """

    rule: Rule
    slices: list[int]


def _ct(material: Material) -> Bools:
    cover, inside = material.mark("ring_cover"), material.mark("ring_inside")
    bright = material.mark("ring_inside_bright")
    return np.asarray((cover >= 0.75) & (inside <= 0.5) & (bright <= 0.05))


def _coloured(material: Material) -> Bools:
    return np.asarray(np.nan_to_num(material.feature("colour")) > 0.02)


def _blank(material: Material) -> Bools:
    return np.asarray(material.look("top_level_share") > 0.95)


def _bright_border(material: Material) -> Bools:
    return np.asarray(material.look("border_level") > 0.5)


def _lettered(material: Material) -> Bools:
    return np.asarray(material.mark("letters") >= 3)


def _small(material: Material) -> Bools:
    return np.asarray(np.minimum(material.feature("width"), material.feature("height")) < 96)


def _narrow(material: Material) -> Bools:
    return np.asarray(np.abs(material.look("log_aspect")) > np.log(1.6))


def _unlike(material: Material) -> Bools:
    return unlike_the_rest(material.appearances, [item.cluster for item in material.items])


RULES = (
    Rule("synthetic", "drawn, not scanned", "the file says of itself that it was drawn", True,
         lambda material: material.synthetic),
    Rule("blank", "blank", "more than 95 % of the pixels have one level", True, _blank),
    Rule("ct", "probably CT, not MR",
         "a ring of nearly the largest value, at least 4 % of the head's half axis thick, on 75 % "
         "of the rays from the centre or more, and a median level inside of at most half of it",
         True, _ct),
    Rule("small", "very small", "the shorter side has fewer than 96 pixels", True, _small),
    Rule("colour", "coloured", "colour channels differ by more than 2 % of the range on average",
         False, _coloured),
    Rule("bright_border", "bright border: inverted, framed or pasted on white",
         "the median along the edge is above the middle of the range", False, _bright_border),
    Rule("text", "burnt-in text",
         "three or more small bright marks of one height in a row, outside of the head", False,
         _lettered),
    Rule("narrow", "odd shape", "one side is more than 1.6 times the other", False, _narrow),
    Rule("unlike", "unlike the rest: not a head, or in an unusual frame",
         "in levels, shape, symmetry and sharpness its fifth nearest other slice is more than 4 "
         "times as far away as that of a typical slice", False, _unlike),
)  # fmt: skip


def find_suspects(material: Material) -> list[Suspects]:
    """Slices by rule, in the order of `RULES`; rules that hold nowhere are left out.

    Args:
        material: Slices with their copies known.
    """
    found = [Suspects(rule, np.flatnonzero(rule.holds(material)).tolist()) for rule in RULES]
    return [suspects for suspects in found if suspects.slices]


def unlike_the_rest(looks: NDArray[np.float32], clusters: Sequence[int]) -> Bools:
    """Which slices lie far from all others in appearance.

    Statistics are centred by their median and divided by their interquartile range; the distance to
    the fifth nearest different slice is compared with its median over all slices. Copies share the
    answer of the first of them. With fewer than 50 different slices nothing is said.

    Args:
        looks: (N, A) appearance statistics.
        clusters: (N) index of the first copy of each slice.
    """
    first, place = np.unique(np.array(clusters, dtype=np.int64), return_inverse=True)
    if len(first) < _UNLIKE_FEWEST:
        return np.zeros(len(clusters), dtype=bool)
    from sklearn.neighbors import NearestNeighbors

    chosen = looks[first].astype(np.float64)
    low, middle, high = np.percentile(chosen, (25, 50, 75), axis=0)
    spread = np.where(high > low, high - low, np.inf)
    scaled = np.clip((chosen - middle) / spread, -_FARTHEST, _FARTHEST)
    nearest = NearestNeighbors(n_neighbors=_UNLIKE_NEIGHBOURS + 1).fit(scaled)
    distance = nearest.kneighbors(scaled)[0][:, -1]
    return np.asarray((distance > UNLIKE_LIMIT * np.median(distance))[place])
