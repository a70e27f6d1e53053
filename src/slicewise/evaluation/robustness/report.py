"""A robustness report in words, tables and drawings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicewise.evaluation.robustness.results import NO_INTERVAL
from slicewise.reports.blocks import Section
from slicewise.reports.plots import COLOURS, drawing, grid
from slicewise.text import change_text, share_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Report = Mapping[str, Any]
"""The content of `robustness.json`."""

_SHOWN_LEVELS = (1, 3, 5)
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


def corruption_section(report: Report, folder: Path) -> Section:
    """What image corruptions do to answers, of `robustness.json`; the table has three levels."""
    rows = [_row("unchanged", "0", report["clean"])]
    rows += [
        _row(name, f"{level['level']} ({level['strength']:g})", level)
        for name, entry in report["perturbations"].items()
        for level in entry["levels"]
        if level["level"] in _SHOWN_LEVELS
    ]
    columns = (
        "corruption", "level (strength)", "accuracy", "difference to unchanged", "accepted",
        "accepted and wrong",
    )  # fmt: skip
    text, notice = _corruption_text(report), report["notice"]
    picture = _draw_corruptions(report, folder / "robustness.png")
    return Section.of("Image corruptions", text, columns, rows, [picture], notice)


def _row(name: str, strength: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    change = found.get("accuracy_change")
    return (
        name.replace("_", " "),
        strength,
        _share(found["accuracy"]),
        "" if change is None else change_text(change, 1, 100, " points"),
        _share(found["accepted"]),
        _share(found["accepted_wrong"]),
    )


def ood_section(report: Report, folder: Path) -> Section:
    """What happens to pictures that are no slice, or no longer one, of `robustness.json`."""
    rows = [
        (
            name.replace("_", " "),
            entry["family"],
            "yes" if entry["fitted_on"] else "no",
            str(entry["n"]),
            *(_share(entry[key]) for key in ("accepted", "reviewed", "rejected")),
        )
        for name, entry in report["ood"]["kinds"].items()
    ]
    columns = ("kind", "family", "limits fitted on it", "n", "accepted", "for review", "rejected")
    text, notice = _ood_text(report), report["notice"]
    picture = _draw_ood(report, folder / "ood.png")
    return Section.of("Out-of-distribution inputs", text, columns, rows, [picture], notice)


def _corruption_text(report: Report) -> str:
    classes = ", ".join(
        f"{name} {entry['n']} of {entry['groups']}" for name, entry in report["classes"].items()
    )
    lines = [
        f"{report['n']} slices of {report['groups']} groups (by class: {classes} groups), changed "
        "in known ways at up to five levels. The mix of classes was chosen, so compare these "
        "metrics with each other and not with those of the whole split. Differences are paired: "
        "the same slices, unchanged. Intervals are 95 % and resample groups of each class apart; "
        "a share of 0 or 1 has Wilson's interval over groups.",
        "An answer that is withheld is no error: look at accuracy and at accepted and wrong "
        "together.",
    ]
    return "\n\n".join([*report["cautions"], *lines])


def _ood_text(report: Report) -> str:
    found = report["ood"]
    lines = [
        "Pictures made in code, cut from photographs with a stated licence, or made from slices of "
        "this evaluation in ways that spoil them. None should be accepted. Intervals are 95 % "
        "(Wilson) and take pictures as independent; those made from slices share "
        "their donors, so for them the intervals are too narrow.",
    ]
    for key, known in (("unseen_kinds", "never saw"), ("seen_kinds", "were fitted on")):
        if found[key] is not None:
            lines.append(
                f"Kinds that the limits {known}: {_share(found[key]['accepted'])} accepted and "
                f"{_share(found[key]['rejected'])} rejected, of {found[key]['n']} pictures of "
                f"{found[key]['kinds']} kinds (no interval: {NO_INTERVAL})."
            )
    return "\n\n".join(lines)


def _share(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "none"
    return share_text(estimate["value"], estimate["ci_low"], estimate["ci_high"])


def _draw_corruptions(report: Report, path: Path) -> Path:
    """Small multiples: shares of slices against the level of each corruption."""
    entries = report["perturbations"]
    rows = -(-len(entries) // _COLUMNS)
    count = f"{report['n']} slices of {report['groups']} groups; bands: 95 % by groups"
    title = f"Share of slices by strength (0: unchanged)\n{count}"
    with drawing(path, 2.7 * _COLUMNS, 2.1 * rows + 1.0, title, report["notice"]) as figure:
        panels = figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False).ravel()
        for axes, (name, entry) in zip(panels, entries.items(), strict=False):
            _draw_curves(axes, name, report["clean"], entry["levels"])
        for axes in panels[len(entries) :]:
            axes.set_axis_off()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return path


def _draw_ood(report: Report, path: Path) -> Path:
    """A bar for each kind of out-of-distribution input: accepted, for review, rejected."""
    kinds = report["ood"]["kinds"]
    count = next(iter(kinds.values()))["n"]
    star = "   * limits were fitted on this kind"
    title = f"Out-of-distribution inputs, {count} of each kind"
    title += star if any(entry["fitted_on"] for entry in kinds.values()) else ""
    with drawing(path, 7.5, 0.17 * len(kinds) + 1.4, title, report["notice"]) as figure:
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
    return path


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
