"""The model card of a bundle, written from what was measured."""

from __future__ import annotations

from collections import Counter
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from slicewise.data.manifest import Manifest
from slicewise.inference.bundle import BundleInfo
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
    """Markdown for `MODEL_CARD.md`.

    Args:
        info: Description of the bundle, evaluation included.
        manifest: The slices it was made from.
        commands: What reproduces the model and its figures, by what it does.
        frozen_stages: How many leading stages of the network were not trained.
    """
    environment = Environment(
        loader=PackageLoader("slicewise.training.export", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (Markdown of our own figures, shown to nobody as HTML)
    )
    environment.filters |= {"figure": _figure, "spread": _spread, "measured": _measured}
    return environment.get_template("card.md.j2").render(
        info=info,
        headlines=HEADLINES,
        counts=_counts(manifest),
        commands=commands,
        trained=_trained(frozen_stages),
        others=_others(manifest),
        expected=_expected(info),
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
    return f"{watched}, and {test} were held out for the figures below."


def _expected(info: BundleInfo) -> str:
    if info.evaluation.get("allow_seen"):  # measured on the validation split
        return "expect less on new patients"
    return "expect the held-out figures above"


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


def _figure(estimate: dict[str, Any] | None) -> str:
    """`0.912 (0.890-0.931)`, or why there is none."""
    if not estimate or estimate.get("value") is None:
        return "not available" + (
            f": {estimate['reason']}" if estimate and estimate.get("reason") else ""
        )
    text = f"{estimate['value']:.3f}"
    if estimate.get("ci_low") is None:
        return text
    return f"{text} ({estimate['ci_low']:.3f}-{estimate['ci_high']:.3f})"


def _measured(point: OperatingPoint, name: str) -> str:
    """Sensitivity or specificity of an operating point, with its interval where there is one."""
    ends = getattr(point, f"{name}_ci")
    text = f"{getattr(point, name):.3f}"
    return text if ends is None else f"{text} ({ends[0]:.3f}-{ends[1]:.3f})"


def _spread(figure: dict[str, Any]) -> str:
    """`0.912 (0.890-0.931)` of a mean over folds, or why there is none."""
    return _figure({**figure, "value": figure["mean"]})


def _spreads(evaluation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Titles and figures of what was measured on every fold; none without cross-validation."""
    over = evaluation.get("over_folds")
    if over is None:
        return []
    titles = [(over[key], title) for key, title in HEADLINES]
    titles += [(over["tumor"][key], f"Tumor {key}") for key in ("sensitivity", "specificity")]
    return [(title, figure) for figure, title in titles if figure["folds"]]


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


def _accepted_held_out(evaluation: dict[str, Any]) -> str | None:
    """What a rule that did not see them accepts of held-out slices; None where not measured."""
    found = evaluation.get("rule_across_folds")
    if found is None:
        return None
    accepted = found["decisions"]["accept"]
    return (
        f"with the rule fitted on the other folds, {cell_text(accepted['share'])} of the held-out "
        f"slices were accepted and {cell_text(accepted['accuracy'])} of these were right"
    )


def _counts(manifest: Manifest) -> list[tuple[str, str, int, int]]:
    """Source, label, slices, groups."""
    slices = Counter((row.source, row.label) for row in manifest.rows)
    groups = Counter(
        (source, label)
        for source, label, _ in {(r.source, r.label, r.group) for r in manifest.rows}
    )
    return [(*key, slices[key], groups[key]) for key in sorted(slices)]
