"""Shortcuts: how well a file and its border alone predict the class, whatever the picture shows.

No feature looks at a place inside the head: a model that reads the class off them sees no brain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from slicewise.arrays import Array, Ints
from slicewise.errors import MissingExtraError
from slicewise.imaging.formats.content import HEAD_BYTES, content_of
from slicewise.progress import Progress, ProgressCount
from slicewise.stats.intervals import Share, mean_share_by_class, share_by_group

FAMILIES: dict[str, tuple[str, ...]] = {
    "size": ("width", "height", "aspect"),
    "file": ("container", "mode", "bytes_per_pixel", "jpeg_coarseness", "colour"),
    "border": ("border_mean", "border_spread", "corner_mean", "border_lit", "background"),
    "levels": ("black_share", "percentile_1", "percentile_25", "percentile_50", "percentile_75",
               "percentile_99", "largest", "noise"),
}  # fmt: skip
"""Features by family. `levels` are of the whole picture; the others cannot see a tumor."""
FEATURES = tuple(name for names in FAMILIES.values() for name in names)

FOLDS = 5
SEED = 42
_TREES = 80
_SMALLEST_LEAF = 5
_REPEATS = 3
_ABSENT = -1.0
"""No feature that a file may lack is negative."""
_JUDGED = 1000
"""Slices of each held-out fold on which features are shuffled."""

_PICTURES = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_CONTAINERS = (*_PICTURES, "DICOM", "NIFTI", "ZIP")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16", "I;16L", "I;16B")
_BORDER = 0.04
_BLACK = 0.04
_PERCENTILES = (1, 25, 50, 75, 99)
_NORMAL = 0.6745
"""Median absolute value of a standard normal variable."""


class FileTraits(NamedTuple):
    """What the header of a file says; -1 for another format or mode, or where it is no picture."""

    container: int  # format by content
    mode: int  # kind of pixels
    size: int  # bytes
    jpeg_coarseness: float  # mean of the luminance quantisation table; NaN where there is none


@dataclass(frozen=True, slots=True)
class FamilyScore:
    """How well a family of features, or `all` together, predicts on held-out groups."""

    family: str
    accuracy: Share
    balanced_accuracy: Share


@dataclass(frozen=True, slots=True)
class Probe:
    """What the features predict of a target, `class` or `source`.

    Args:
        majority: Share of the most common answer.
        chance: Balanced accuracy of guessing: one over the number of answers.
        scores: Of all features together, then of each family alone.
        importance: By feature, the most important first: how much balanced accuracy falls when it
            is shuffled among the held-out slices.
    """

    target: str
    n: int
    groups: int
    folds: int
    majority: float
    chance: float
    scores: tuple[FamilyScore, ...]
    importance: tuple[tuple[str, float], ...]

    def as_json(self) -> dict[str, object]:
        """As `audit.json` holds it."""
        return {
            "n": self.n,
            "groups": self.groups,
            "folds": self.folds,
            "majority_class": self.majority,
            "chance_balanced_accuracy": self.chance,
            "by_family": {
                score.family: {
                    "accuracy": score.accuracy.as_json(),
                    "balanced_accuracy": score.balanced_accuracy.as_json(),
                }
                for score in self.scores
            },
            "importance": [{"feature": name, "fall": fall} for name, fall in self.importance],
        }


def file_traits(path: Path) -> FileTraits:
    """Read the header of a file that was read as slices before; `OSError` where it has gone."""
    with path.open("rb") as file:
        content = content_of(file.read(HEAD_BYTES))
    mode, coarseness = "", float("nan")
    if content in _PICTURES:
        with Image.open(path, formats=(content,)) as image:
            mode = image.mode
            tables: dict[int, list[int]] = getattr(image, "quantization", {})
        coarseness = float(np.mean(tables[0])) if 0 in tables else coarseness
    return FileTraits(
        container=_CONTAINERS.index(content) if content in _CONTAINERS else -1,
        mode=_MODES.index(mode) if mode in _MODES else -1,
        size=path.stat().st_size,
        jpeg_coarseness=coarseness,
    )


def feature_vector(
    pixels: Array, colour: float | None, traits: FileTraits, slices: int = 1
) -> Array:
    """(F,) the features of one slice, in the order of `FEATURES`; NaN where there is none.

    Takes (H, W) float32 pixels as stored, the mean difference between colour channels, None where
    unknown, what `file_traits` gave and the number of slices in the file.
    """
    height, width = pixels.shape
    levels = np.percentile(pixels, _PERCENTILES)
    ring, corners = _border(pixels)
    limit = pixels.min() + _BLACK * (levels[-1] - pixels.min())
    found = {f"percentile_{q}": level for q, level in zip(_PERCENTILES, levels, strict=True)}
    found |= traits._asdict() | {"bytes_per_pixel": traits.size / slices / pixels.size}
    found |= {"width": width, "height": height, "aspect": height / width}
    found |= {"colour": np.nan if colour is None else colour, "largest": pixels.max()}
    found |= {"black_share": (pixels <= limit).mean(), "noise": noise_level(pixels)}
    found |= {"border_mean": ring.mean(), "border_spread": ring.std()}
    found |= {"corner_mean": corners.mean(), "border_lit": (ring > limit).mean()}
    found["background"] = np.percentile(ring, 10)
    return np.array([found[name] for name in FEATURES], dtype=np.float32)


def noise_level(pixels: Array) -> float:
    """Standard deviation of the noise, in pixel values, as the median answer to a noise mask.

    The mask of Immerkaer (1996, Computer Vision and Image Understanding 64:300) sees neither slopes
    nor most edges; its factor for white noise is 6. The median ignores the edges that are left.
    The pixels have at least 3 rows and columns.
    """
    rows = pixels[:-2] - 2 * pixels[1:-1] + pixels[2:]
    answer = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.median(np.abs(answer)) / (6 * _NORMAL))


def require_sklearn() -> None:
    """Raise `MissingExtraError` where scikit-learn is not installed, before the work begins."""
    if find_spec("sklearn") is None:
        raise MissingExtraError("an audit", "evaluate")


def probe(
    features: Array,
    answers: Sequence[str],
    groups: Ints,
    target: str,
    progress: Progress | None = None,
) -> Probe | str:
    """Cross-validate a gradient-boosted classifier on the features, whole groups held out.

    Takes (N, F) in the order of `FEATURES`, in which what a file does not have (NaN) is a value of
    its own, (N) class or source (the target) of each slice, and (N,) numbers of leak-free groups.
    Gives the probe, or in words why there is none.
    """
    require_sklearn()
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    names, truth = np.unique(np.array(answers), return_inverse=True)
    folds = min(FOLDS, *(len(np.unique(groups[truth == k])) for k in range(len(names))))
    if len(names) < 2 or folds < 2:
        return f"expected two or more of each {target}, in two or more groups each"
    known = np.nan_to_num(features, nan=_ABSENT)
    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=SEED)
    parts = list(dealt.split(known, truth, groups))
    model = HistGradientBoostingClassifier(
        max_iter=_TREES,
        min_samples_leaf=_SMALLEST_LEAF,
        early_stopping=False,
        class_weight="balanced",
        random_state=SEED,
    )
    measure = partial(
        permutation_importance, scoring=_balanced_accuracy, n_repeats=_REPEATS, random_state=SEED
    )
    families = {"all": FEATURES, **FAMILIES}
    scores = []
    tally = ProgressCount(progress, f"probing the {target}", len(families) + 1)
    with threadpool_limits(1):  # thousands of steps too short to share: threads would only spin
        for family, columns in families.items():
            chosen = known[:, [FEATURES.index(name) for name in columns]]
            right = cross_val_predict(model, chosen, truth, cv=parts) == truth
            balanced = mean_share_by_class(right, truth, groups)
            scores.append(FamilyScore(family, share_by_group(right, groups), balanced))
            tally()
        importance = _importance(model, measure, known, truth, parts)
    tally()
    return Probe(
        target=target,
        n=len(truth),
        groups=len(np.unique(groups)),
        folds=folds,
        majority=float(np.bincount(truth).max() / len(truth)),
        chance=1 / len(names),
        scores=tuple(scores),
        importance=importance,
    )


def headline(probe: Probe) -> list[str]:
    """The most telling features, at most four."""
    return [name for name, fall in probe.importance if fall >= 0.005][:4]


def _importance(
    model: Any, measure: Any, features: Array, truth: Ints, parts: Sequence[tuple[Ints, Ints]]
) -> tuple[tuple[str, float], ...]:
    """Permutation importance (Breiman 2001) on held-out slices, mean over folds."""
    falls = []
    for train, test in parts:
        chosen = np.random.default_rng(SEED).permutation(test)[:_JUDGED]
        model.fit(features[train], truth[train])
        falls.append(measure(model, features[chosen], truth[chosen]).importances_mean)
    mean = np.mean(falls, axis=0)
    order = np.argsort(-mean, kind="stable")
    return tuple((FEATURES[i], round(float(mean[i]), 4)) for i in order)


def _balanced_accuracy(model: Any, features: Array, truth: Ints) -> float:
    """As scikit-learn's, without its warning where a part of a fold lacks a class."""
    right = model.predict(features) == truth
    return float(np.mean([right[truth == k].mean() for k in np.unique(truth)]))


def _border(pixels: Array) -> tuple[Array, Array]:
    """The pixels of a band along the edge, and those of its corners."""
    down, across = (max(1, round(side * _BORDER)) for side in pixels.shape)
    edge = np.ones(pixels.shape, dtype=bool)
    edge[down:-down, across:-across] = False
    parts = [pixels[rows, columns].ravel() for rows in (slice(down), slice(-down, None))
             for columns in (slice(across), slice(-across, None))]  # fmt: skip
    return pixels[edge], np.concatenate(parts)
