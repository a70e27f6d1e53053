"""The model card of a bundle, written from what was measured."""

from __future__ import annotations

from collections import Counter

from jinja2 import Environment, PackageLoader, StrictUndefined

from slicewise.data.manifest import Manifest
from slicewise.inference.bundle import BundleInfo
from slicewise.inference.measured import Evaluation, Measured, Spread
from slicewise.inference.rule import Acceptance, DecisionRule, OperatingPoint
from slicewise.text import cell_text

HEADLINES = (
    ("accuracy", "Accuracy"),
    ("balanced_accuracy", "Balanced accuracy"),
    ("macro_auroc", "Macro AUROC"),
    ("macro_f1", "Macro F1"),
    ("ece", "Expected calibration error"),
    ("brier", "Brier score"),
    ("memorisation_1nn", "Pixel 1-NN accuracy on the same split (no learning)"),
)

_MOSTLY = 0.5
"""Sources of two kinds of slices are mostly different where they share less than this."""


def model_card(
    info: BundleInfo, manifest: Manifest, commands: dict[str, str], frozen_stages: int = 0
) -> str:
    """Markdown for `MODEL_CARD.md`; the first `frozen_stages` of the network were not trained."""
    environment = Environment(
        loader=PackageLoader("slicewise.training.export", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (Markdown of our own metrics, shown to nobody as HTML)
    )
    environment.filters |= {"metric": _metric, "measured": _at_threshold}
    return environment.get_template("card.md.j2").render(
        info=info,
        headlines=HEADLINES,
        counts=_counts(manifest),
        commands=commands,
        trained=_trained(frozen_stages),
        others=_others(manifest),
        expected=(
            "expect less on new patients"
            if info.evaluation.allow_seen  # measured on the validation split
            else "expect the held-out metrics above"
        ),
        sources_differ=_sources_differ(manifest, info.task.negative_class),
        spreads=_spreads(info.evaluation),
        missing_limits=_missing_limits(info.decision),
        accepted_from=_accepted_from(info.decision.acceptance),
        accepted_held_out=_accepted_held_out(info.evaluation),
    )


def _trained(frozen_stages: int) -> str:
    if not frozen_stages:
        return "All weights were trained afterwards."
    first = "stage" if frozen_stages == 1 else f"{frozen_stages} stages"
    return f"The first {first} kept the start weights; all other weights were trained afterwards."


def _others(manifest: Manifest) -> str:
    """What the slices that trained no weight were for."""
    validation, test = (len(manifest.subset(name).rows) for name in ("val", "test"))
    watched = f"{validation} others watched over training"
    if not test:
        return f"{watched}."
    return f"{watched}, and {test} were held out for the metrics below."


def _sources_differ(manifest: Manifest, negative: str | None) -> str | None:
    """How the sources of slices with and without a tumor differ; None where they hardly do."""
    with_tumor = Counter(row.source for row in manifest.rows if row.label != negative)
    without = Counter(row.source for row in manifest.rows if row.label == negative)
    if not (with_tumor and without):
        return None
    shared = sum(
        min(with_tumor[name] / with_tumor.total(), without[name] / without.total())
        for name in with_tumor
    )
    if not shared:
        return "from different sources throughout"
    return "mostly from different sources" if shared < _MOSTLY else None


def _metric(found: Measured | Spread | None) -> str:
    """`0.912 (0.890-0.931)`, or why there is none."""
    if found is None:
        return "not available"
    value = found.mean if isinstance(found, Spread) else found.value
    if value is None:
        return f"not available: {found.reason}" if found.reason else "not available"
    return _with_interval(value, found.ci_low, found.ci_high)


def _at_threshold(point: OperatingPoint, name: str) -> str:
    """Sensitivity or specificity of an operating point, with its interval where there is one."""
    return _with_interval(getattr(point, name), *(getattr(point, f"{name}_ci") or (None, None)))


def _with_interval(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f}-{high:.3f})"


def _spreads(evaluation: Evaluation) -> list[tuple[str, Spread]]:
    """Titles and means of what was measured on every fold; none without cross-validation."""
    over = evaluation.over_folds
    tumor = over.get("tumor")
    named = [(title, over.get(key)) for key, title in HEADLINES]
    if isinstance(tumor, dict):
        named += [(f"Tumor {key}", tumor[key]) for key in ("sensitivity", "specificity")]
    return [(title, found) for title, found in named if isinstance(found, Spread) and found.folds]


def _missing_limits(rule: DecisionRule) -> str:
    """What an answer would need to stand by itself."""
    parts = (
        (rule.conformal, "conformal sets"),
        (rule.acceptance, "trust or confidence that is right often enough"),
        (rule.out_of_distribution, "out-of-distribution limits"),
    )
    return "No " + " and no ".join(name for fitted, name in parts if fitted is None)


def _accepted_from(acceptance: Acceptance | None) -> str | None:
    """The limit of acceptance in words."""
    if acceptance is None:
        return None
    if acceptance.trust is None:
        return f"confidence {acceptance.confidence:.3f}"
    return f"a trust score of {acceptance.trust:.3f}"


def _accepted_held_out(evaluation: Evaluation) -> str | None:
    """What a rule that did not see them accepts of held-out slices; None where not measured."""
    found = evaluation.rule_across_folds
    if found is None:
        return None
    share, right = (
        cell_text(found.decisions.accept[name].model_dump()) for name in ("share", "accuracy")
    )
    return (
        f"with the rule fitted on the other folds, {share} of the held-out slices were accepted "
        f"and {right} of these were right"
    )


def _counts(manifest: Manifest) -> list[tuple[str, str, int, int]]:
    """Source, label, slices, groups."""
    slices = Counter((row.source, row.label) for row in manifest.rows)
    groups = Counter(
        (source, label)
        for source, label, _ in {(r.source, r.label, r.group) for r in manifest.rows}
    )
    return [(*key, slices[key], groups[key]) for key in sorted(slices)]
