"""A robustness report in words and tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicewise.evaluation.robustness.results import NO_INTERVAL
from slicewise.reports.blocks import Section
from slicewise.text import share_text

_SHOWN_LEVELS = (1, 3, 5)


def perturbation_section(report: Mapping[str, Any], picture: Path) -> Section:
    """What worse slices do to answers; the table has levels 1, 3 and 5.

    Args:
        report: As in `robustness.json`.
        picture: The drawn curves.
    """
    rows = [
        (
            name.replace("_", " "),
            f"{level['level']} ({level['strength']:g})",
            _share(level["accuracy"]),
            _change(level["accuracy_change"]),
            _share(level["accepted"]),
            _share(level["accepted_wrong"]),
        )
        for name, entry in report["perturbations"].items()
        for level in entry["levels"]
        if level["level"] in _SHOWN_LEVELS
    ]
    clean = report["clean"]
    unchanged = ("unchanged", "0", _share(clean["accuracy"]), "", _share(clean["accepted"]),
                 _share(clean["accepted_wrong"]))  # fmt: skip
    return Section(
        title="When slices get worse",
        text=_perturbation_text(report),
        columns=("change", "level (strength)", "accuracy", "difference to unchanged", "accepted",
                 "accepted and wrong"),
        rows=(unchanged, *rows),
        pictures=(picture,),
    )  # fmt: skip


def ood_section(report: Mapping[str, Any], picture: Path) -> Section:
    """What happens to pictures that are no slice, or no longer one.

    Args:
        report: As in `robustness.json`.
        picture: The drawn bars.
    """
    rows = [
        (
            name.replace("_", " "),
            entry["family"],
            "yes" if entry["fitted_on"] else "no",
            str(entry["n"]),
            _share(entry["accepted"]),
            _share(entry["reviewed"]),
            _share(entry["rejected"]),
        )
        for name, entry in report["strange"]["kinds"].items()
    ]
    return Section(
        title="Strange pictures",
        text=_ood_text(report),
        columns=("kind", "family", "gates fitted on it", "n", "accepted", "for review", "rejected"),
        rows=tuple(rows),
        pictures=(picture,),
    )


def _perturbation_text(report: Mapping[str, Any]) -> str:
    classes = ", ".join(
        f"{name} {entry['n']} of {entry['groups']}" for name, entry in report["classes"].items()
    )
    lines = [
        f"{report['n']} slices of {report['groups']} groups (by class: {classes} groups), changed "
        "in known ways at up to five levels. The mix of classes was chosen, so compare these "
        "figures with each other and not with those of the whole split. Differences are paired: "
        "the same slices, unchanged. Intervals are 95 % and resample groups of each class apart; "
        "a share of 0 or 1 has Wilson's interval over groups.",
        "An answer that is withheld is no error: look at accuracy and at accepted and wrong "
        "together.",
    ]
    return "\n\n".join([*_warning(report), *report["cautions"], *lines])


def _ood_text(report: Mapping[str, Any]) -> str:
    strange = report["strange"]
    lines = [
        "Pictures made in code, cut from photographs with a stated licence, or made from slices of "
        "this evaluation in ways that spoil them. None should be accepted. Intervals are 95 % "
        "(Wilson) and take pictures as independent; those made from slices share "
        "their donors, so for them the intervals are too narrow.",
    ]
    for key, words in (("unseen_kinds", "never saw"), ("seen_kinds", "were fitted on")):
        if strange[key] is not None:
            shares = {name: _share(strange[key][name]) for name in ("accepted", "rejected")}
            lines.append(
                f"Kinds that the gates {words}: {shares['accepted']} accepted and "
                f"{shares['rejected']} rejected, of {strange[key]['n']} pictures of "
                f"{strange[key]['kinds']} kinds (no interval: {NO_INTERVAL})."
            )
    return "\n\n".join([*_warning(report), *lines])


def _warning(report: Mapping[str, Any]) -> list[str]:
    return [] if report["notice"] is None else [str(report["notice"])]


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
