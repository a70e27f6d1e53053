"""What becomes of the slices in the suggested manifest, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slicewise.data.build.build import Built
from slicewise.data.manifest import ManifestRow
from slicewise.data.quality.issues import Issue
from slicewise.data.quality.sentence import Sentence
from slicewise.data.quality.suggested import kept_of
from slicewise.text import counted


def fate(one: Issue, clean: Built | None) -> str:
    """What becomes of the slices of a rule.

    Args:
        clean: The suggested manifest; None where nothing is left.
    """
    if one.rule.leave_out:
        return "left out of the suggested manifest"
    kept, total = kept_of(one, clean), len(one.slices)
    if kept == total:
        return "kept, but marked, in the suggested manifest"
    if kept == 0:
        return "left out of the suggested manifest for another reason"
    return (
        f"{kept:,} kept, but marked, in the suggested manifest; {total - kept:,} left out of it "
        "for another reason"
    )


def suspect_sentences(issues: Sequence[Issue], clean: Built | None) -> Iterator[Sentence]:
    """One sentence a rule.

    Args:
        issues: The rules that hold, each with its slices.
        clean: The suggested manifest; None where nothing is left.
    """
    for one in issues:
        text = f"{counted(len(one.slices), 'slice')}: {one.rule.title} ({fate(one, clean)})."
        yield Sentence("warning" if one.rule.leave_out else "note", "suspects", text)


def clean_sentence(clean: Built | None) -> Sentence:
    """What the suggested manifest holds, and what it lacks.

    Args:
        clean: The suggested manifest; None where nothing is left.
    """
    if clean is None:
        return Sentence("severe", "clean", "No slice would be left in a suggested manifest.")
    report = clean.report
    groups = len({row.group for row in report.rows})
    text = (
        f"The suggested manifest keeps {counted(len(report.rows), 'slice')} in "
        f"{counted(groups, 'group')} and leaves out {len(report.excluded):,}; split "
        f"{report.boundary}.{_lacking(report.rows, groups)}"
    )
    return Sentence("note", "clean", text)


def _lacking(rows: Sequence[ManifestRow], groups: int) -> str:
    """What training and testing would miss."""
    empty = [name for name in ("train", "val", "test") if all(row.split != name for row in rows)]
    text = ""
    if missed := [name for name in empty if name != "test"]:
        text += f" Training needs slices in train and in val; it has none in {' or '.join(missed)}."
    if "test" in empty:
        text += " It has no test slices: nothing is held back to measure a trained model on."
    if empty and groups < 3:
        text += f" {counted(groups, 'group')} cannot fill three splits."
    return text
