"""Whether heat maps follow the model: they must change when its weights are permuted.

Sanity check of Adebayo et al., NeurIPS 2018. A map that stays as it is shows the picture, not what
the model learnt. A map without any heat shows nothing, so it is counted and compared with none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slicewise.arrays import Array, Bools, Floats, Ints, Strings
from slicewise.imaging.preprocess import preprocess, to_batch
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.stats.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.stats.intervals import mean_of, share_of

LIMIT = 0.5
"""The check is passed if the interval of the rank correlation with the wholly permuted network
ends below it. Set before anything was measured."""

MOST = 0.5
"""Without heat in more than this share of the wholly permuted network's maps there is no verdict: a
network that merely dies would pass."""

HOTTEST = 0.2
"""Share of a map's cells that count as its hottest."""

BATCH = 16
ANOTHER = "another slice"
WHOLE = "all"
NO_PAIR = "a comparison needs two maps with heat"
MEASURES = ("correlation", "overlap")


@dataclass(frozen=True, slots=True, eq=False)
class Randomisation:
    """Likeness of the model's maps with others.

    Args:
        estimates: From (other, measure) to the mean; the other is a part whose weights were
            permuted, or `another slice`.
        with_heat: Slices on which the model's own map has heat; the others are not compared.
        empty: From a permuted part to how many of these lose all heat by it; they stand in no mean.
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
        if self._mostly_empty or found.value is None:
            return None
        if found.ci_high is not None:
            return found.ci_high < LIMIT
        return False if found.value >= LIMIT else None

    @property
    def verdict(self) -> str:
        """The same in words, or why there is none."""
        lost = f"{self.empty[WHOLE]} of {self.with_heat} maps lose all heat"
        if self._mostly_empty:
            return f"No verdict: with the whole network permuted, {lost}."
        if self.passed is None:
            return f"No verdict: {self.estimates[WHOLE, 'correlation'].reason}."
        return f"Check {'passed' if self.passed else 'NOT passed'} ({lost})."

    @property
    def _mostly_empty(self) -> bool:
        return self.empty[WHOLE] > MOST * self.with_heat


def randomisation(
    slices: Sequence[Slice],
    groups: Strings,
    classifier: Classifier,
    shuffled: Mapping[str, Classifier],
    bootstrap: Bootstrap,
    step: Callable[[], None],
) -> Randomisation:
    """Compare maps of the answered class with those of permuted networks for the same class.

    Args:
        groups: (N,) leak-free unit of each.
        shuffled: From a permuted part to the classifier made of it; `all` must be among them.
    """
    spec = classifier.bundle.info.preprocessing
    images = np.stack([preprocess(slice_.pixels, spec).image for slice_ in slices])
    logits, maps = _maps(classifier, images, step)
    classes = logits.argmax(axis=1)
    own = maps[np.arange(len(slices)), classes]
    partners = _of_other_groups(groups)
    others = {ANOTHER: own[partners]}
    for part, network in shuffled.items():
        others[part] = _maps(network, images, step)[1][np.arange(len(slices)), classes]
    there = _with_heat(own)
    quantities: dict[Key, Quantity] = {}
    for name, other in others.items():
        both = there & _with_heat(other)
        if name == ANOTHER:
            both &= partners != np.arange(len(slices))
        pairs = list(zip(own, other, strict=True))
        correlations = np.array([rank_correlation(a, b) for a, b in pairs])
        overlaps = np.array([hottest_overlap(a, b) for a, b in pairs])
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
    """Spearman's correlation of two maps, ties sharing their mean rank; 0 where one is constant.

    Args:
        one: (h, w) values.
        two: (h, w) values.
    """
    first, second = (_ranks(values) - (one.size - 1) / 2 for values in (one, two))
    spread = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / spread) if spread > 0 else 0.0


def hottest_overlap(one: Array, two: Array) -> float:
    """Intersection over union of the hottest fifth of both maps; 0 where one has no heat.

    Args:
        one: (h, w) values of at least 0.
        two: (h, w) values of at least 0.
    """
    if one.max() <= 0 or two.max() <= 0:
        return 0.0
    count = max(1, round(HOTTEST * one.size))
    first, second = (
        set(np.argsort(-m.ravel(), kind="stable")[:count].tolist()) for m in (one, two)
    )
    return len(first & second) / len(first | second)


def _maps(
    classifier: Classifier, images: np.ndarray, step: Callable[[], None]
) -> tuple[Array, Array]:
    """Logits (N, K) and maps (N, K, h, w) of preprocessed images."""
    logits, maps = [], []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        outputs = classifier.run(to_batch(batch))
        logits.append(outputs.logits)
        maps.append(outputs.cam)
        for _ in batch:
            step()
    return np.concatenate(logits), np.concatenate(maps)


def _of_other_groups(groups: Strings) -> Ints:
    """For each slice the index of one of another group, each used about equally often.

    Its own index where there is no other group: then it has no partner.
    """
    n = groups.size
    return np.array(
        [next((j % n for j in range(i + n // 2, i + n // 2 + n) if groups[j % n] != groups[i]), i)
         for i in range(n)]
    )  # fmt: skip


def _ranks(values: Array) -> Floats:
    _, index, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[index])


def _with_heat(maps: Array) -> Bools:
    """(N,) which of (N, h, w) maps are not 0 everywhere."""
    return np.asarray(maps.max(axis=(1, 2)) > 0)
