"""A comparison of models as `compare.json`, `compare.png` and a part of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.evaluation.compare import decided, figures_of_each, paired
from slicewise.evaluation.gate import SMALLER_IS_BETTER
from slicewise.evaluation.sections.headlines import ACCEPTED, OVERALL, TUMOR, Headline
from slicewise.evaluation.sections.plots import COLOURS, DPI, require_plots
from slicewise.evaluation.sections.timing import machine, timings
from slicewise.files import whole, write_json
from slicewise.imaging.slice import Slice
from slicewise.inference.bundle import MODEL_NAME
from slicewise.inference.classifier import Classifier
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.stats.bootstrap import Bootstrap
from slicewise.text import cell_text

COMPARED = (*(h for h in OVERALL if h.path != ("memorisation_1nn",)), *TUMOR, *ACCEPTED)
FALLING = (*SMALLER_IS_BETTER, "risk_coverage_area")


def comparison(
    models: Sequence[Classifier],
    tables: Sequence[PredictionTable],
    slices: Sequence[Slice],
    out_dir: Path,
    bootstrap: Bootstrap,
    *,
    notice: str | None,
    plots: bool,
) -> Section:
    """Compare models with the first of them.

    Args:
        models: At least two, of the same classes.
        tables: What each answered, the same slices in the same order.
        slices: Some of them, to take times on.
        out_dir: Folder for the files; it must exist.
        bootstrap: How intervals are made.
        notice: What the picture has to say.
        plots: Whether to draw the picture.
    """
    names = names_of(models)
    content = {
        "n": tables[0].n,
        "groups": tables[0].n_groups,
        "notice": notice,
        "first": names[0],
        "machine": machine(models[0].threads),
        "models": {
            name: {"bundle": _identity(model), "size_mb": _megabytes(model),
                   "stages_ms": timings(model, slices)["stages_ms"],
                   "scored_by": table.scored_by, "figures": figures}
            for name, model, table, figures in zip(
                names, models, tables, figures_of_each(tables, bootstrap), strict=True
            )
        },
        "against_first": {
            name: paired(tables[0], table, bootstrap)
            for name, table in zip(names[1:], tables[1:], strict=True)
        },
    }  # fmt: skip
    write_json(out_dir / "compare.json", content)
    pictures = (_draw(content, out_dir / "compare.png"),) if plots else ()
    return Section(
        "Models side by side",
        _text(content),
        ("figure", *names, *(f"{name} minus {names[0]}" for name in names[1:])),
        tuple(_rows(content)),
        pictures,
    )


def names_of(models: Sequence[Classifier]) -> list[str]:
    """Name and version of each; with the first of the identity where two are called alike."""
    plain = [f"{m.bundle.info.name} {m.bundle.info.version}" for m in models]
    return [
        f"{name} ({model.bundle.identity[:8]})" if plain.count(name) > 1 else name
        for name, model in zip(plain, models, strict=True)
    ]


def _identity(model: Classifier) -> dict[str, str]:
    reference = model.bundle.reference
    return {"name": reference.name, "version": reference.version, "sha256": reference.sha256}


def _megabytes(model: Classifier) -> float:
    return round(len(model.bundle.files[MODEL_NAME]) / 1e6, 2)


def _text(content: Mapping[str, Any]) -> str:
    first = content["first"]
    lines = [
        f"All models answered the same {content['n']} slices of {content['groups']} groups; slices "
        f"that any of them was trained on were {'kept' if content['notice'] else 'refused'}. "
        f"Differences are to {first}, with intervals of differences on the same resamples of "
        "groups: where the interval holds 0, no difference is shown."
    ]
    for name, found in content["against_first"].items():
        right = found["right"]
        lines.append(
            f"{name} and {first} are both right on {right['both']} slices, both wrong on "
            f"{right['neither']}; only {first} on {right['first_only']}, only {name} on "
            f"{right['other_only']}. In accuracy {name} is: "
            f"{decided(found['differences']['accuracy'], falling=False)}."
        )
    scores = {name: model["scored_by"] for name, model in content["models"].items()}
    if len(set(scores.values())) > 1:
        told = ", ".join(f"{name} by {score}" for name, score in scores.items())
        lines.append(f"What is accepted is not chosen by the same score: {told}.")
    return "\n\n".join([content["notice"], *lines] if content["notice"] else lines)


def _rows(content: Mapping[str, Any]) -> list[tuple[str, ...]]:
    models, others = content["models"], content["against_first"]
    rows = [
        (
            headline.title,
            *(cell_text(headline.figure(model["figures"])) for model in models.values()),
            *(_gap_text(headline, other["differences"]) for other in others.values()),
        )
        for headline in COMPARED
    ]
    blank = [""] * len(others)
    median = [f"{model['stages_ms']['answer']['p50']:.1f}" for model in models.values()]
    size = [f"{model['size_mb']:.1f}" for model in models.values()]
    rows.append(("ms a slice, median, here", *median, *blank))
    rows.append(("size of the graph, MB", *size, *blank))
    return rows


def _gap_text(headline: Headline, differences: Mapping[str, Any]) -> str:
    gap = headline.figure(differences)
    if gap["value"] is None:
        return "-"
    if gap["ci_low"] is None:
        return f"{gap['value']:+.3f}"
    said = decided(gap, falling=headline.path[-1] in FALLING)
    return f"{gap['value']:+.3f} ({gap['ci_low']:+.3f} to {gap['ci_high']:+.3f}): {said}"


def _draw(content: Mapping[str, Any], path: Path) -> Path:
    """Differences of every figure with their intervals, a row a figure."""
    require_plots()
    from matplotlib.figure import Figure

    others = content["against_first"]
    drawn = [
        h for h in COMPARED
        if any(h.figure(o["differences"])["value"] is not None for o in others.values())
    ]  # fmt: skip
    figure = Figure(figsize=(8.4, 1.4 + 0.42 * len(drawn)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color="0.4", linewidth=1)
    for place, (name, other) in enumerate(others.items()):
        gaps = [h.figure(other["differences"]) for h in drawn]
        y = np.arange(len(drawn)) + 0.18 * (place - (len(others) - 1) / 2)
        for row, gap in zip(y, gaps, strict=True):
            if gap["ci_low"] is not None:
                axes.plot([gap["ci_low"], gap["ci_high"]], [row, row], color=COLOURS[place])
        values = [np.nan if gap["value"] is None else gap["value"] for gap in gaps]
        marker = "osD^v"[place % 5]
        axes.plot(values, y, marker, color=COLOURS[place % len(COLOURS)], label=name)
    axes.set_yticks(range(len(drawn)), [_side(headline) for headline in drawn])
    axes.invert_yaxis()
    axes.set_xlabel(f"difference to {content['first']}")
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.legend(fontsize=8)
    title = f"{content['n']} slices of {content['groups']} groups, the same for all"
    axes.set_title(title, fontsize=10)
    if content["notice"]:
        figure.suptitle(content["notice"], color="#B00000", fontsize=9, fontweight="bold")
    with whole(path) as draft:
        figure.savefig(draft)
    return path


def _side(headline: Headline) -> str:
    better = "left" if headline.path[-1] in FALLING else "right"
    return f"{headline.title} ({better} is better)"
