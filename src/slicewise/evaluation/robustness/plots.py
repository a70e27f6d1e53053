"""Drawings of a robustness report: curves against strength, and decisions by kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicewise.reports.plots import COLOURS, drawing, grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4
_LINES = (
    ("accuracy", "right answers, all slices", COLOURS[0], "-", "o"),
    ("accepted", "accepted", COLOURS[1], "--", "s"),
    ("accepted_wrong", "accepted and wrong", COLOURS[6], ":", "^"),
)
_VERDICTS = (
    ("accepted", "accepted", COLOURS[1]),
    ("reviewed", "for review", COLOURS[5]),
    ("rejected", "rejected", COLOURS[0]),
)


def draw_corruptions(report: Mapping[str, Any], path: Path, notice: str | None) -> None:
    """Small multiples: shares of slices against the level of each corruption."""
    entries = report["perturbations"]
    rows = -(-len(entries) // _COLUMNS)
    count = f"{report['n']} slices of {report['groups']} groups; bands: 95 % by groups"
    title = f"Share of slices by strength (0: unchanged)\n{count}"
    with drawing(path, 2.7 * _COLUMNS, 2.1 * rows + 1.0, title, notice) as figure:
        panels = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False).ravel()
        for axes, (name, entry) in zip(panels, entries.items(), strict=False):
            _draw_curves(axes, name, report["clean"], entry["levels"])
        for axes in panels[len(entries) :]:
            axes.set_axis_off()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


def draw_ood(report: Mapping[str, Any], path: Path, notice: str | None) -> None:
    """A bar for each kind of out-of-distribution input: accepted, for review, rejected."""
    kinds = report["strange"]["kinds"]
    count = next(iter(kinds.values()))["n"]
    star = "   * limits were fitted on this kind"
    title = f"Out-of-distribution inputs, {count} of each kind"
    title += star if any(entry["fitted_on"] for entry in kinds.values()) else ""
    with drawing(path, 7.5, 0.17 * len(kinds) + 1.4, title, notice) as figure:
        axes = figure.subplots()
        starts = [0.0] * len(kinds)
        for key, label, colour in _VERDICTS:
            shares = [entry[key]["value"] for entry in kinds.values()]
            axes.barh(range(len(kinds)), shares, left=starts, color=colour, label=label, height=0.8)
            starts = [start + share for start, share in zip(starts, shares, strict=True)]
        names = [f"{name}{' *' if entry['fitted_on'] else ''}" for name, entry in kinds.items()]
        axes.set_yticks(range(len(kinds)), names, fontsize=7)
        axes.set_ylim(len(kinds) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("Share of pictures")
        figure.legend(loc="outside lower center", ncols=3)


def _draw_curves(
    axes: Axes, name: str, clean: Mapping[str, Any], levels: list[dict[str, Any]]
) -> None:
    for key, label, colour, dash, marker in _LINES:
        points = [clean[key], *(level[key] for level in levels)]
        x = list(range(len(points)))
        axes.plot(x, [point["value"] for point in points], color=colour, linestyle=dash,
                  marker=marker, markersize=3, linewidth=1.5, label=label)  # fmt: skip
        if all(point["ci_low"] is not None for point in points):
            low, high = ([point[end] for point in points] for end in ("ci_low", "ci_high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    strengths = ["0", *(f"{level['strength']:g}" for level in levels)]
    axes.set_xticks(range(len(strengths)), strengths, fontsize=7)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title(name.replace("_", " "), fontsize=9)
    grid(axes)
