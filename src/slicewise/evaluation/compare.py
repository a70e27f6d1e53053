"""Several models on the same slices: paired differences, their files and their section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from slicewise.errors import EvaluationError
from slicewise.evaluation import summary
from slicewise.evaluation.gate import SMALLER_IS_BETTER
from slicewise.evaluation.sections.headlines import ACCEPTED, COPYING, OVERALL, TUMOR, Headline
from slicewise.evaluation.timing import machine, timings
from slicewise.files import write_json
from slicewise.imaging.slice import Slice
from slicewise.inference.bundle import MODEL_NAME, Bundle
from slicewise.inference.classifier import Classifier
from slicewise.predictions.table import PredictionTable
from slicewise.reports.blocks import Section
from slicewise.reports.plots import COLOURS, drawing, grid, whiskers
from slicewise.stats.bootstrap import Bootstrap, Key, Quantity, group_intervals
from slicewise.text import cell_text, change_text

COMPARED = (*(h for h in OVERALL if h is not COPYING), *TUMOR, *ACCEPTED)
FALLING = (*SMALLER_IS_BETTER, "risk_coverage_area")
Direction = Literal["better", "worse", "not_shown", "no_interval"]
_WORDS = {"not_shown": "no difference shown", "no_interval": "no interval"}


def require_same_task(bundles: Sequence[Bundle]) -> None:
    """`EvaluationError` where models differ in classes, order aside, or one is given twice."""
    first, identities = bundles[0], [bundle.identity for bundle in bundles]
    for bundle in bundles:
        if identities.count(bundle.identity) > 1:
            raise EvaluationError(
                f"{bundle.info.name} {bundle.info.version}: expected different models to compare; "
                "got this one twice"
            )
    for other in bundles[1:]:
        same = set(other.classes) == set(first.classes)
        if not same or other.negative_class != first.negative_class:
            raise EvaluationError(
                f"{other.info.name} cannot be compared with {first.info.name}: expected the "
                f"classes {', '.join(sorted(first.classes))} with {first.negative_class} as the "
                f"negative one; got {', '.join(sorted(other.classes))} with {other.negative_class}"
            )


def headline_quantities(table: PredictionTable) -> dict[Key, Quantity]:
    """The metrics that models are compared in."""
    decisions = summary.decision_quantities(table)
    accepted = {headline.path: decisions[headline.path] for headline in ACCEPTED}
    return {**summary.overall_quantities(table), **summary.tumor_quantities(table), **accepted}


def metrics_of(table: PredictionTable, bootstrap: Bootstrap) -> dict[str, Any]:
    """The headline metrics of a model, with intervals."""
    quantities = headline_quantities(table)
    return summary.nested(group_intervals(quantities, table.groups, table.labels, bootstrap))


def paired(first: PredictionTable, other: PredictionTable, bootstrap: Bootstrap) -> dict[str, Any]:
    """How another model differs from the first on the same slices, each difference on one resample.

    `differences` (other minus first) of every headline metric, and `mcnemar_counts` as `right`;
    `EvaluationError` if the slices differ.
    """
    same = first.n == other.n and bool((first.paths == other.paths).all())
    if not same or not (first.labels == other.labels).all():
        raise EvaluationError("a paired comparison needs the same slices in the same order")
    mine, theirs = headline_quantities(first), headline_quantities(other)
    gaps = {key: summary.difference(mine[key], theirs[key]) for key in mine}
    found = group_intervals(gaps, first.groups, first.labels, bootstrap)
    return {"differences": summary.nested(found), "right": mcnemar_counts(first, other)}


def mcnemar_counts(first: PredictionTable, other: PredictionTable) -> dict[str, int]:
    """Slices by which of two models answered them right (McNemar 1947).

    Slices of a group are not independent: the interval of the difference is the test, no p-value.
    """
    a, b = first.predicted == first.targets, other.predicted == other.targets
    cells = {"both": a & b, "first_only": a & ~b, "other_only": ~a & b, "neither": ~a & ~b}
    return {name: int(np.sum(slices)) for name, slices in cells.items()}


def direction_of(estimate: Mapping[str, Any], *, falling: bool) -> Direction:
    """What the interval of a difference, other minus first, says of the other."""
    low, high = estimate["ci_low"], estimate["ci_high"]
    if low is None:
        return "no_interval"
    if low <= 0 <= high:
        return "not_shown"
    return "better" if (low > 0) != falling else "worse"


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
    """Compare models with the first of them; writes `compare.json` and `compare.png`.

    Args:
        tables: What each answered, the same slices in the same order.
        slices: To take times on.
    """
    names = names_of(models)
    content: dict[str, Any] = {
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
                "metrics": metrics_of(table, bootstrap),
            }
            for name, model, table in zip(names, models, tables, strict=True)
        },
        "against_first": {
            name: paired(tables[0], table, bootstrap)
            for name, table in zip(names[1:], tables[1:], strict=True)
        },
    }
    for model in content["models"].values():
        model["figures"] = model["metrics"]  # an older name
    write_json(out_dir / "compare.json", content)
    pictures = (_draw(content, out_dir / "compare.png"),) if plots else ()
    columns = ("metric", *names, *(f"{name} minus {names[0]}" for name in names[1:]))
    title, text = "Models side by side", _text(content)
    return Section.of(title, text, columns, _rows(content), pictures, notice)


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
            f"{_direction_text(found['differences']['accuracy'], falling=False)}."
        )
    scores = {name: model["scored_by"] for name, model in content["models"].items()}
    if len(set(scores.values())) > 1:
        each = ", ".join(f"{name} by {score}" for name, score in scores.items())
        lines.append(f"What is accepted is not chosen by the same score: {each}.")
    return "\n\n".join(lines)


def _rows(content: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    models, others = content["models"].values(), content["against_first"].values()
    for headline in COMPARED:
        own = (cell_text(headline.metric(model["metrics"])) for model in models)
        yield headline.title, *own, *(_gap_text(headline, other["differences"]) for other in others)
    blank = [""] * len(others)
    median = [f"{model['stages_ms']['answer']['p50']:.1f}" for model in models]
    yield "ms a slice, median, here", *median, *blank
    yield "size of the graph, MB", *(f"{model['size_mb']:.1f}" for model in models), *blank


def _gap_text(headline: Headline, differences: Mapping[str, Any]) -> str:
    gap = headline.metric(differences)
    words = _direction_text(gap, falling=headline.path[-1] in FALLING)
    return change_text(gap) if gap["ci_low"] is None else f"{change_text(gap)}: {words}"


def _direction_text(estimate: Mapping[str, Any], *, falling: bool) -> str:
    direction = direction_of(estimate, falling=falling)
    return _WORDS.get(direction, direction)


def _draw(content: Mapping[str, Any], path: Path) -> Path:
    others = content["against_first"]
    known = [other["differences"] for other in others.values()]
    drawn = [h for h in COMPARED if any(h.metric(gaps)["value"] is not None for gaps in known)]
    title = f"{content['n']} slices of {content['groups']} groups, the same for all"
    with drawing(path, 8.4, 1.4 + 0.42 * len(drawn), title, content["notice"]) as figure:
        axes = figure.add_subplot()
        axes.axvline(0, color="0.4", linewidth=1)
        for place, (name, other) in enumerate(others.items()):
            colour = COLOURS[place % len(COLOURS)]
            gaps = [h.metric(other["differences"]) for h in drawn]
            y = np.arange(len(drawn)) + 0.18 * (place - (len(others) - 1) / 2)
            ends = whiskers((gap["value"], gap["ci_low"], gap["ci_high"]) for gap in gaps)
            values = np.array([gap["value"] for gap in gaps], dtype=np.float64)
            axes.errorbar(values, y, xerr=ends, fmt="osD^v"[place % 5], color=colour, label=name)
        axes.set_yticks(range(len(drawn)), [_side(headline) for headline in drawn])
        axes.invert_yaxis()
        axes.set_xlabel(f"difference to {content['first']}")
        grid(axes, "x")
        axes.legend(fontsize=8)
    return path


def _side(headline: Headline) -> str:
    better = "left" if headline.path[-1] in FALLING else "right"
    return f"{headline.title} ({better} is better)"
