"""A robustness report in words and tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicewise.evaluation.robustness.results import NO_INTERVAL
from slicewise.reports.blocks import Section
from slicewise.text import share_text

_SHOWN_LEVELS = (1, 3, 5)


def corruption_section(report: Mapping[str, Any], picture: Path) -> Section:
    """What image corruptions do to answers; the table has levels 1, 3 and 5.

    Args:
        report: As in `robustness.json`.
    """
    shown = ("accuracy", "accuracy_change", "accepted", "accepted_wrong")
    levels = [("unchanged", "0", report["clean"])]
    levels += [
        (name.replace("_", " "), f"{level['level']} ({level['strength']:g})", level)
        for name, entry in report["perturbations"].items()
        for level in entry["levels"]
        if level["level"] in _SHOWN_LEVELS
    ]
    return Section.of(
        "Image corruptions",
        _corruption_text(report),
        ("corruption", "level (strength)", "accuracy", "difference to unchanged", "accepted",
         "accepted and wrong"),
        [
            (name, strength, *(_words(key, found[key]) if key in found else "" for key in shown))
            for name, strength, found in levels
        ],
        [picture],
    )  # fmt: skip


def ood_section(report: Mapping[str, Any], picture: Path) -> Section:
    """What happens to pictures that are no slice, or no longer one.

    Args:
        report: As in `robustness.json`.
    """
    return Section.of(
        "Out-of-distribution inputs",
        _ood_text(report),
        ("kind", "family", "limits fitted on it", "n", "accepted", "for review", "rejected"),
        [
            (
                name.replace("_", " "),
                entry["family"],
                "yes" if entry["fitted_on"] else "no",
                str(entry["n"]),
                *(_share(entry[key]) for key in ("accepted", "reviewed", "rejected")),
            )
            for name, entry in report["strange"]["kinds"].items()
        ],
        [picture],
    )


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
    return "\n\n".join([*_warning(report), *report["cautions"], *lines])


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
    return "\n\n".join([*_warning(report), *lines])


def _warning(report: Mapping[str, Any]) -> list[str]:
    return [] if report["notice"] is None else [str(report["notice"])]


def _words(key: str, estimate: Mapping[str, Any]) -> str:
    return _change(estimate) if key == "accuracy_change" else _share(estimate)


def _share(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "none"
    return share_text(estimate["value"], estimate["ci_low"], estimate["ci_high"])


def _change(estimate: Mapping[str, Any]) -> str:
    """`-3.0 points (-5.1 to -1.0)`."""
    value = f"{100 * estimate['value']:+.1f} points"
    if estimate["ci_low"] is None:
        return value
    return f"{value} ({100 * estimate['ci_low']:+.1f} to {100 * estimate['ci_high']:+.1f})"
