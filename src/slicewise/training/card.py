"""The model card of a bundle, written from what was measured."""

from __future__ import annotations

from collections import Counter
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from slicewise.data.manifest import Manifest
from slicewise.inference.bundle import BundleInfo

HEADLINES = (
    ("accuracy", "Accuracy"),
    ("balanced_accuracy", "Balanced accuracy"),
    ("macro_auroc", "Macro AUROC"),
    ("macro_f1", "Macro F1"),
    ("ece", "Expected calibration error"),
    ("brier", "Brier score"),
    ("memorisation_1nn", "Pixel 1-NN accuracy on the same split (no learning)"),
)


def model_card(info: BundleInfo, manifest: Manifest, commands: dict[str, str]) -> str:
    """Markdown for `MODEL_CARD.md`.

    Args:
        info: Description of the bundle, evaluation included.
        manifest: The slices it was made from.
        commands: What reproduces the model and its figures, by what it does.
    """
    environment = Environment(
        loader=PackageLoader("slicewise.training", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (Markdown of our own figures, shown to nobody as HTML)
    )
    environment.filters["figure"] = _figure
    return environment.get_template("card.md.j2").render(
        info=info, headlines=HEADLINES, counts=_counts(manifest), commands=commands
    )


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


def _counts(manifest: Manifest) -> list[tuple[str, str, int, int]]:
    """Source, label, slices, groups."""
    slices = Counter((row.source, row.label) for row in manifest.rows)
    groups = Counter(
        (source, label)
        for source, label, _ in {(r.source, r.label, r.group) for r in manifest.rows}
    )
    return [(*key, slices[key], groups[key]) for key in sorted(slices)]
