"""A comparison of models: `compare.json`, `compare.png` and a section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from slicewise.evaluation.compare import decided, figures_of_each, paired
from slicewise.evaluation.gate import SMALLER_IS_BETTER
from slicewise.evaluation.sections.headlines import ACCEPTED, COPYING, OVERALL, TUMOR, Headline
from slicewise.evaluation.sections.timing import machine, timings
from slicewise.files import write_json
from slicewise.imaging.slice import Slice
from slicewise.inference.bundle import MODEL_NAME
from slicewise.inference.classifier import Classifier
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.reports.plots import COLOURS, drawing, grid
from slicewise.stats.bootstrap import Bootstrap
from slicewise.text import cell_text, change_text

COMPARED = (*(h for h in OVERALL if h is not COPYING), *TUMOR, *ACCEPTED)
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
        out_dir: Folder for the files; it must exist.
    """
    names = names_of(models)
    measured = zip(names, models, tables, figures_of_each(tables, bootstrap), strict=True)
    content = {
        "n": tables[0].n,
        "groups": tables[0].n_groups,
        "notice": notice,
        "first": names[0],
        "machine": machine(models[0].threads),
        "models": {
            name: {
                "bundle": asdict(model.bundle.reference),
                "size_mb": round(len(model.bundle.files[MODEL_NAME]) / 1e6, 2),
                "stages_ms": timings(model, slices)["stages_ms"],
                "scored_by": table.scored_by,
                "figures": metrics,
            }
            for name, model, table, metrics in measured
        },
        "against_first": {
            name: paired(tables[0], table, bootstrap)
            for name, table in zip(names[1:], tables[1:], strict=True)
        },
    }
    write_json(out_dir / "compare.json", content)
    pictures = (_draw(content, out_dir / "compare.png"),) if plots else ()
    columns = ("metric", *names, *(f"{name} minus {names[0]}" for name in names[1:]))
    text, rows = _text(content), _rows(content)
    return Section.of("Models side by side", text, columns, rows, pictures, notice)


def names_of(models: Sequence[Classifier]) -> list[str]:
    """Name and version of each; with the first of the identity where two are called alike."""
    plain = [f"{m.bundle.info.name} {m.bundle.info.version}" for m in models]
    return [
        f"{name} ({model.bundle.identity[:8]})" if plain.count(name) > 1 else name
        for name, model in zip(plain, models, strict=True)
    ]


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
        each = ", ".join(f"{name} by {score}" for name, score in scores.items())
        lines.append(f"What is accepted is not chosen by the same score: {each}.")
    return "\n\n".join(lines)


def _rows(content: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    models, others = content["models"].values(), content["against_first"].values()
    for headline in COMPARED:
        yield (
            headline.title,
            *(cell_text(headline.figure(model["figures"])) for model in models),
            *(_gap_text(headline, other["differences"]) for other in others),
        )
    blank = [""] * len(others)
    median = [f"{model['stages_ms']['answer']['p50']:.1f}" for model in models]
    yield "ms a slice, median, here", *median, *blank
    yield "size of the graph, MB", *(f"{model['size_mb']:.1f}" for model in models), *blank


def _gap_text(headline: Headline, differences: Mapping[str, Any]) -> str:
    gap = headline.figure(differences)
    if gap["ci_low"] is None:
        return change_text(gap)
    return f"{change_text(gap)}: {decided(gap, falling=headline.path[-1] in FALLING)}"


def _draw(content: Mapping[str, Any], path: Path) -> Path:
    """Differences of every metric with their intervals, a row a metric."""
    others = content["against_first"]
    drawn = [
        h for h in COMPARED
        if any(h.figure(o["differences"])["value"] is not None for o in others.values())
    ]  # fmt: skip
    title = f"{content['n']} slices of {content['groups']} groups, the same for all"
    with drawing(path, 8.4, 1.4 + 0.42 * len(drawn), title, content["notice"]) as figure:
        axes = figure.add_subplot()
        axes.axvline(0, color="0.4", linewidth=1)
        for place, (name, other) in enumerate(others.items()):
            colour = COLOURS[place % len(COLOURS)]
            gaps = [h.figure(other["differences"]) for h in drawn]
            y = np.arange(len(drawn)) + 0.18 * (place - (len(others) - 1) / 2)
            for row, gap in zip(y, gaps, strict=True):
                if gap["ci_low"] is not None:
                    axes.plot([gap["ci_low"], gap["ci_high"]], [row, row], color=colour)
            values = [np.nan if gap["value"] is None else gap["value"] for gap in gaps]
            axes.plot(values, y, "osD^v"[place % 5], color=colour, label=name)
        axes.set_yticks(range(len(drawn)), [_side(headline) for headline in drawn])
        axes.invert_yaxis()
        axes.set_xlabel(f"difference to {content['first']}")
        grid(axes, "x")
        axes.legend(fontsize=8)
    return path


def _side(headline: Headline) -> str:
    better = "left" if headline.path[-1] in FALLING else "right"
    return f"{headline.title} ({better} is better)"
