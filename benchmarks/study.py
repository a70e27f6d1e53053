"""Study answers on volumes with tumor masks: type, key slices, tumor against no tumor, the ends.

`python -m benchmarks.study MANIFEST --split val [--bundle B] [--candidates]`, with a manifest of
`slicewise data build docs/configs/btp.yaml`. `--candidates` compares other ways to join slices; it
is for the development patients only.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slicewise.data.manifest import Manifest
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Series
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import Prediction, Verdict
from slicewise.inference.predict import answer_series
from slicewise.inference.rule import STUDY_RULES
from slicewise.inference.study import middle_of
from slicewise.stats.bootstrap import Bootstrap, Estimate, group_intervals
from slicewise.stats.intervals import share_of
from slicewise.stats.metrics import auroc
from slicewise.text import figure_text

TUMOR_VOXELS = 20
WINDOW = 6
END = STUDY_RULES.end_share
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Volume:
    """One scan: answers as the product gives them for the whole of it, the ends marked, and tumor
    voxels of each slice; blank slices are left out."""

    name: str
    group: str
    label: str
    predictions: list[Prediction]
    voxels: NDArray[np.int64]

    def middle(self, *, cut: bool = True) -> slice:
        """The slices between the ends; all of them where nothing is cut."""
        found = middle_of(self.predictions, END)
        return slice(found.start, found.stop) if cut else slice(0, len(self.predictions))


def read_volumes(manifest: Manifest, split: str, classifier: Classifier) -> list[Volume]:
    """Answer for every whole volume of a split."""
    files = {manifest.resolve(row).rpartition("#")[0]: row for row in manifest.subset(split).rows}
    volumes = []
    for file, row in files.items():
        slices = read_slices(file)
        mask = (manifest.resolve_mask(row) or "").rpartition("#")[0]
        voxels = [int((s.pixels > 0).sum()) for s in read_slices(mask)]
        shown = [i for i, s in enumerate(slices) if s.pixels.min() < s.pixels.max()]
        name = Path(file).parent.name
        answers = answer_series(Series(slices, name, is_volume=True), classifier).answers
        predictions = [answers[i].prediction for i in shown]
        label = _label(manifest, file)
        volumes.append(Volume(name, row.group, label, predictions, np.array(voxels)[shown]))
    return volumes


def _label(manifest: Manifest, file: str) -> str:
    """The class of a volume's slices with tumor; `no_tumor` where it has none."""
    own = (r.label for r in manifest.rows if manifest.resolve(r).startswith(f"{file}#"))
    return next((label for label in own if label != "no_tumor"), "no_tumor")


def study_of(classifier: Classifier, volume: Volume, predictions: Sequence[Prediction]):
    """The study answer for some of a volume's slices."""
    return classifier.study(Series([], volume.name), predictions)


def print_studies(classifier: Classifier, volumes: Sequence[Volume]) -> None:
    """A line for each study, and the shares with intervals over groups."""
    print(f"{'study':<8}{'answer':<12}{'tumor':>7}{'verdict':>9}  key slices in the tumor")
    right, inside, with_tumor = [], [], []
    for volume in volumes:
        found = study_of(classifier, volume, volume.predictions)
        voxels = dict(zip((p.source for p in volume.predictions), volume.voxels, strict=True))
        hits = [voxels[source] >= TUMOR_VOXELS for source in found.study.key_slices]
        right.append(found.study.label == volume.label)
        if volume.label != "no_tumor":
            inside.append(float(np.mean(hits)))
            with_tumor.append(volume.group)
        print(f"{volume.name:<8}{found.study.label:<12}{found.study.tumor_probability:>7.3f}"
              f"{found.decision.value:>9}  {sum(hits)} of {len(hits)}")  # fmt: skip
    _print_share("type right", right, [volume.group for volume in volumes])
    if with_tumor:
        _print_share("key slices in the tumor", inside, with_tumor)


def _print_share(name: str, values: Sequence[float], of: Sequence[str]) -> None:
    table, groups = np.array(values, dtype=float), np.array(of)
    quantity = {("share",): share_of(table)}
    found: Estimate = group_intervals(quantity, groups, groups, Bootstrap())["share",]
    print(f"{name}: {figure_text(found.as_json())} of {len(groups)} studies")


def print_windows(classifier: Classifier, volumes: Sequence[Volume]) -> None:
    """Stretches with tumor against stretches without of the same scans, all of one length."""
    for title, cut in (("all slices", False), ("without the ends", True)):
        found = windows(volumes, cut=cut, score=lambda v, p: _tumor(classifier, v, p))
        print(f"AUROC of stretches of {WINDOW} slices, {title}: {window_text(*found)}")


def _tumor(classifier: Classifier, volume: Volume, predictions: Sequence[Prediction]) -> float:
    return study_of(classifier, volume, predictions).study.tumor_probability or 0.0


def windows(
    volumes: Sequence[Volume],
    *,
    cut: bool,
    score: Callable[[Volume, Sequence[Prediction]], float],
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.str_]]:
    """Score, truth and group of each stretch: at least half of it tumor, or none at all."""
    scores, truths, groups = [], [], []
    for volume in volumes:
        within = volume.middle(cut=cut)
        for start in range(within.start, within.stop - WINDOW + 1):
            part = slice(start, start + WINDOW)
            with_tumor = (volume.voxels[part] >= TUMOR_VOXELS).mean()
            if with_tumor >= 0.5 or not volume.voxels[part].any():
                scores.append(score(volume, volume.predictions[part]))
                truths.append(with_tumor >= 0.5)
                groups.append(volume.group)
    return np.array(scores), np.array(truths), np.array(groups)


def window_text(scores: Floats, truths: NDArray[np.bool_], groups: NDArray[np.str_]) -> str:
    """An AUROC with its interval and what it is of."""
    quantity = {("auroc",): lambda i: auroc(scores[i], truths[i])}
    found: Estimate = group_intervals(quantity, groups, groups, Bootstrap())["auroc",]
    return f"{figure_text(found.as_json())}, {truths.sum()} with tumor, {(~truths).sum()} without"


def print_ends(volumes: Sequence[Volume]) -> None:
    """Slices at the ends, without tumor: how they are answered and how many are accepted."""
    ends = [
        volume.predictions[i]
        for volume in volumes
        for i in set(range(len(volume.predictions))) - set(middle_of(volume.predictions, END))
        if not volume.voxels[i]
    ]
    types = Counter(p.label for p in ends)
    sure = [p for p in ends if p.label != "no_tumor" and p.decision is Verdict.ACCEPT]
    verdicts = Counter(p.decision.value for p in ends)
    print(f"end slices without tumor: {len(ends)}; answered {dict(types)}; {dict(verdicts)}; "
          f"{len(sure)} with a tumor type and accepted")  # fmt: skip


def print_candidates(volumes: Sequence[Volume], threshold: float) -> None:
    """Other ways to join slices: types, key slices in the tumor, AUROC of stretches."""
    for cut in (False, True):
        print(f"\n{'without' if cut else 'with'} the ends")
        for name, join in CANDIDATES.items():
            answers = [join(_table(v, cut), threshold) for v in volumes]
            classes = tuple(volumes[0].predictions[0].probabilities)
            types = " ".join(classes[_tumor_type(mean, classes)][:4] for mean, _ in answers)
            key = sum(_key_hits(v, cut) for v in volumes)

            def score(_: Volume, part: Sequence[Prediction], join=join) -> float:
                return join(_rows(part), threshold)[1]

            text = window_text(*windows(volumes, cut=cut, score=score))
            print(f"{name:<22}{types}  {key} of {3 * len(volumes)}  {text}")


def _rows(predictions: Sequence[Prediction]) -> Floats:
    return np.array([list(p.probabilities.values()) for p in predictions])


def _table(volume: Volume, cut: bool) -> Floats:
    return _rows(volume.predictions[volume.middle(cut=cut)])


def _key_hits(volume: Volume, cut: bool) -> int:
    """Of the three slices with the highest tumor probability."""
    voxels = volume.voxels[volume.middle(cut=cut)]
    negative = list(volume.predictions[0].probabilities).index("no_tumor")
    best = np.argsort(_table(volume, cut)[:, negative], kind="stable")[:3]
    return int((voxels[best] >= TUMOR_VOXELS).sum())


def _tumor_type(mean: Floats, classes: Sequence[str]) -> int:
    return max((i for i, name in enumerate(classes) if name != "no_tumor"), key=lambda i: mean[i])


NEGATIVE = 2
"""Of the four classes in their order: glioma, meningioma, no_tumor, pituitary."""
Join = Callable[[Floats, float], tuple[Floats, float]]


def _run(width: int) -> Join:
    def join(table: Floats, _: float) -> tuple[Floats, float]:
        views = np.lib.stride_tricks.sliding_window_view(table, min(width, len(table)), axis=0)
        means = views.mean(axis=-1)
        best = means[means[:, NEGATIVE].argmin()]
        return best, 1 - best[NEGATIVE]

    return join


def _highest(count: int) -> Join:
    def join(table: Floats, _: float) -> tuple[Floats, float]:
        best = table[np.argsort(table[:, NEGATIVE])[:count]].mean(axis=0)
        return best, 1 - best[NEGATIVE]

    return join


def _of_means(mean: Floats) -> tuple[Floats, float]:
    return mean, 1 - mean[NEGATIVE]


def _mean_logits(table: Floats, _: float) -> tuple[Floats, float]:
    raised = np.exp(np.log(np.maximum(table, 1e-9)).mean(axis=0))
    return _of_means(raised / raised.sum())


CANDIDATES: dict[str, Join] = {
    "mean of 3 neighbours": _run(3),
    "mean of 5 neighbours": _run(5),
    "3 highest": _highest(3),
    "5 highest": _highest(5),
    "mean of all": lambda table, _: _of_means(table.mean(axis=0)),
    "mean of all logits": _mean_logits,
    "noisy-or": lambda table, _: (table.mean(axis=0), 1 - float(table[:, NEGATIVE].prod())),
    "share flagged": lambda table, threshold: (
        table[1 - table[:, NEGATIVE] >= threshold].mean(axis=0)
        if (1 - table[:, NEGATIVE] >= threshold).any()
        else table.mean(axis=0),
        float((1 - table[:, NEGATIVE] >= threshold).mean()),
    ),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--candidates", action="store_true")
    given = parser.parse_args()
    classifier = Classifier.load(given.bundle)
    volumes = read_volumes(Manifest.read(given.manifest), given.split, classifier)
    reference = classifier.bundle.reference
    print(f"{reference.name} {reference.version} ({reference.sha256[:12]}), split {given.split}\n")
    print_studies(classifier, volumes)
    print_windows(classifier, volumes)
    print_ends(volumes)
    if given.candidates:
        print_candidates(volumes, classifier.threshold().value or 0.5)


if __name__ == "__main__":
    main()
