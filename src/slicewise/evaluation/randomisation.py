"""Whether heat maps follow the model: they must change when its weights are permuted.

Sanity check of Adebayo et al., NeurIPS 2018. A map that stays as it is shows the picture, not what
the model learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slicewise.errors import EvaluationError
from slicewise.evaluation.checks import Bools, Floats, Ints, Strings
from slicewise.figures.bootstrap import Bootstrap, Estimate, Key, Quantity, group_intervals
from slicewise.imaging.preprocess import preprocess, to_batch
from slicewise.imaging.slice import Array, Slice
from slicewise.inference.classifier import Classifier

LIMIT = 0.5
"""The check is passed if the interval of the rank correlation with the wholly permuted network
ends below it. Set before anything was measured."""

HOTTEST = 0.2
"""Share of a map's cells that count as its hottest."""

BATCH = 16
ANOTHER = "another slice"
WHOLE = "all"
MEASURES = ("correlation", "overlap")


@dataclass(frozen=True, slots=True, eq=False)
class Randomisation:
    """Likeness of the model's maps with others.

    Args:
        estimates: From (other, measure) to the mean; the other is a part whose weights were
            permuted, or `another slice`.
        n: Slices.
        groups: Their groups.
        empty: From a permuted part to maps of it without any heat: as unlike as can be, 0.
    """

    estimates: Mapping[Key, Estimate]
    n: int
    groups: int
    empty: Mapping[str, int]

    @property
    def passed(self) -> bool:
        """Whether the maps of the wholly permuted network are other maps."""
        found = self.estimates[WHOLE, "correlation"]
        return found.ci_high is not None and found.ci_high < LIMIT


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
        slices: N of them, from more than one group.
        groups: (N,) leak-free unit of each.
        classifier: The model.
        shuffled: From a permuted part to the classifier made of it; `all` must be among them.
        bootstrap: How intervals are made.
        step: Called after every slice of every network.
    """
    spec = classifier.bundle.info.preprocessing
    images = np.stack([preprocess(slice_.pixels, spec).image for slice_ in slices])
    logits, maps = _maps(classifier, images, step)
    classes = logits.argmax(axis=1)
    own = maps[np.arange(len(slices)), classes]
    others = {ANOTHER: own[_of_other_groups(groups)]}
    for part, network in shuffled.items():
        others[part] = _maps(network, images, step)[1][np.arange(len(slices)), classes]
    quantities: dict[Key, Quantity] = {}
    for name, other in others.items():
        pairs = list(zip(own, other, strict=True))
        there = own.max(axis=(1, 2)) > 0
        quantities[name, "correlation"] = _mean([rank_correlation(a, b) for a, b in pairs], there)
        quantities[name, "overlap"] = _mean([hottest_overlap(a, b) for a, b in pairs], there)
    return Randomisation(
        group_intervals(quantities, groups, groups, bootstrap),
        len(slices),
        int(np.unique(groups).size),
        {part: int((others[part].max(axis=(1, 2)) <= 0).sum()) for part in shuffled},
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
    """For each slice the index of a slice of another group, each used about equally often."""
    n = groups.size
    return np.array(
        [next((j % n for j in range(i + n // 2, i + n // 2 + n) if groups[j % n] != groups[i]), i)
         for i in range(n)]
    )  # fmt: skip


def _ranks(values: Array) -> Floats:
    _, index, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[index])


def _mean(values: Sequence[float], there: Bools) -> Quantity:
    table = np.array(values)

    def mean(indices: Ints) -> float:
        chosen = indices[there[indices]]
        if chosen.size == 0:
            raise EvaluationError("no map of the model has heat")
        return float(table[chosen].mean())

    return mean
