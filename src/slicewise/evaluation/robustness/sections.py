"""A robustness report in words and tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicewise.evaluation.robustness.results import NO_INTERVAL
from slicewise.reports.blocks import Section
from slicewise.text import change_text, share_text

_SHOWN_LEVELS = (1, 3, 5)


def corruption_section(report: Mapping[str, Any], picture: Path) -> Section:
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


def ood_section(report: Mapping[str, Any], picture: Path) -> Section:
    """What happens to pictures that are no slice, or no longer one, of `robustness.json`."""
    rows = [
        (
            name.replace("_", " "),
            entry["family"],
            "yes" if entry["fitted_on"] else "no",
            str(entry["n"]),
            *(_share(entry[key]) for key in ("accepted", "reviewed", "rejected")),
        )
        for name, entry in report["strange"]["kinds"].items()
    ]
    columns = ("kind", "family", "limits fitted on it", "n", "accepted", "for review", "rejected")
    text, notice = _ood_text(report), report["notice"]
    return Section.of("Out-of-distribution inputs", text, columns, rows, [picture], notice)


def _corruption_text(report: Mapping[str, Any]) -> str:
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


def _ood_text(report: Mapping[str, Any]) -> str:
    found = report["strange"]
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
