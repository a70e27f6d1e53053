"""The findings in sentences, each with how much it matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from slicewise.data.audit.copies import Crossed
from slicewise.data.audit.findings import Findings, headline
from slicewise.data.audit.shortcuts import Probe
from slicewise.data.manifest import ManifestRow
from slicewise.figures.share import Share
from slicewise.figures.text import percent_text, share_text

Severity = Literal["severe", "warning", "note", "good"]

_SEVERE_LEAK = 0.05
_SEVERE_MEMORY = 0.9
_SEVERE_SHORTCUT = 0.5
_SHORTCUT = 0.2
_COPIED = 0.2
_HELD_OUT = {"train": 0, "val": 2, "test": 3}
"""Of two splits the one further right is said to hold copies of the other; folds are 1."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One finding in words.

    Args:
        severity: `severe`, `warning`, `note` or `good`.
        topic: Of which part of the audit.
        text: One or a few sentences.
    """

    severity: Severity
    topic: str
    text: str

    def as_json(self) -> dict[str, str]:
        """Fields by name."""
        return asdict(self)


def verdict(findings: Findings) -> list[Sentence]:
    """What a newcomer should know, the gravest first.

    Args:
        findings: Of the audit.
    """
    found = [
        *_copies(findings),
        *_splits(findings),
        *_memory(findings),
        *_conflicts(findings),
        *_shortcut(findings.class_probe),
        *_source(findings.source_probe),
        *_suspects(findings),
        *_groups(findings),
        *_clean(findings),
    ]
    order: dict[Severity, int] = {"severe": 0, "warning": 1, "note": 2, "good": 3}
    return sorted(found, key=lambda sentence: order[sentence.severity])


def percent(share: float | Share) -> str:
    """A share in percent with one decimal, with its interval where there is one."""
    if isinstance(share, float):
        return percent_text(share)
    return share_text(share.value, share.ci_low, share.ci_high)


def _copies(findings: Findings) -> Iterator[Sentence]:
    total, distinct = len(findings.items), findings.copies.distinct
    if distinct == total:
        yield Sentence("good", "copies", f"No copies were found among the {total:,} slices.")
        return
    spare = 1 - distinct / total
    text = (
        f"The {total:,} slices are {distinct:,} different pictures: {percent(spare)} are copies of "
        "another one (equal, mirrored, turned, resized or retouched)."
    )
    yield Sentence("warning" if spare > _COPIED else "note", "copies", text)
    yield from _shared_sources(findings.copies.cross_source)


def _shared_sources(crossed: Sequence[Crossed]) -> Iterator[Sentence]:
    """One sentence for each two sources that share pictures."""
    back = {(one.side, one.other): one for one in crossed}
    for one in crossed:
        if one.hits and one.side < one.other:
            other = back[one.other, one.side]
            text = (
                f"{one.side} and {one.other} share pictures: {percent(one.share)} of the "
                f"{one.n:,} slices of {one.side} and {percent(other.share)} of the {other.n:,} of "
                f"{other.side}. Never train on one and test on the other."
            )
            yield Sentence("warning", "sources", text)


def _splits(findings: Findings) -> Iterator[Sentence]:
    sides = findings.sides
    if not sides.said:
        return
    leaks = _leaks(findings.copies.cross_split)
    for one, back in leaks:
        yield Sentence(_leak_severity(one), "splits", _leak_text(one, back, sides.said))
    if findings.copies.torn:
        units = ", ".join(f"{count} by {bond}" for bond, count in findings.copies.torn.items())
        text = f"Units that belong together stand in more than one split: {units}."
        yield Sentence("severe", "splits", text)
    elif not leaks:
        alone = sides.names.count("")
        rest = f" {alone:,} slices without a split were not looked at." if alone else ""
        yield Sentence("good", "splits", f"No copies cross {sides.said}.{rest}")


def _leaks(crossed: Sequence[Crossed]) -> list[tuple[Crossed, Crossed]]:
    """Every two splits that share a picture: the held-out side first, then the way back."""
    back = {(one.side, one.other): one for one in crossed}
    both = [(one, back[one.other, one.side]) for one in crossed if one.hits]
    return [pair for pair in both if _weight(pair[0]) > _weight(pair[1])]


def _weight(one: Crossed) -> tuple[int, float, str]:
    """Of two directions the greater is told: of held-out slices, else of the larger share."""
    return _HELD_OUT.get(one.side, 1), one.share.value, one.side


def _leak_severity(one: Crossed) -> Severity:
    return "severe" if one.share.value > _SEVERE_LEAK else "warning"


def _leak_text(one: Crossed, back: Crossed, said: str) -> str:
    side, other = (name if name in _HELD_OUT else f"fold {name}" for name in (one.side, one.other))
    meaning = (
        "What is chosen on val has then seen part of test: the score on test is too good."
        if {one.side, one.other} == {"val", "test"}
        else f"A score on {side} says how well a model remembers, not how well it would do on "
        "a new patient."
    )
    return (
        f"{percent(one.share)} of the {one.n:,} {side} slices ({len(one.hits):,}) have a copy in "
        f"{other}, and {percent(back.share.value)} of the {back.n:,} {other} slices "
        f"({len(back.hits):,}) have one in {side} ({said}). {meaning}"
    )


def _memory(findings: Findings) -> Iterator[Sentence]:
    memory = findings.memory
    if memory is None:
        return
    lead = memory.accuracy.value - memory.majority.value
    bad = memory.accuracy.value >= _SEVERE_MEMORY and lead > 0.1
    text = (
        f"Copying the label of the most similar training picture, with no learning, scores "
        f"{percent(memory.accuracy)} ({memory.split}; {len(memory.test):,} test slices). The most "
        f"common class alone scores {percent(memory.majority)}. With the copies and groups of each "
        f"test slice taken out of training it is {percent(memory.grouped)}. "
        + (
            "This split measures memory: a model has to beat the first figure before its score "
            "means anything."
            if bad
            else "Put this figure beside every score on this split."
        )
    )
    yield Sentence("severe" if bad else "note", "memory", text)


def _conflicts(findings: Findings) -> Iterator[Sentence]:
    groups = findings.copies.conflicts
    if groups:
        slices = sum(len(group) for group in groups)
        text = (
            f"{len(groups)} pictures stand under labels that contradict each other ({slices} "
            "files). At least one label of each is wrong; the suggested manifest leaves all of "
            "these files out."
        )
        yield Sentence("warning", "labels", text)
    elif findings.copies.distinct < len(findings.items):
        yield Sentence("good", "labels", "No two copies of a picture contradict each other.")


def _shortcut(probe: Probe | str) -> Iterator[Sentence]:
    if isinstance(probe, str):
        yield Sentence("note", "shortcut", f"The class was not probed: {probe}.")
        return
    score = probe.scores[0]
    gain = (score.balanced_accuracy.value - probe.chance) / (1 - probe.chance)
    names = ", ".join(name.replace("_", " ") for name in headline(probe))
    text = (
        "File, border and brightness features, none of which looks at a place in the brain, "
        f"predict the class: balanced accuracy {percent(score.balanced_accuracy)} where guessing "
        f"gives {percent(probe.chance)}; accuracy {percent(score.accuracy)} where the most common "
        f"class gives {percent(probe.majority)}."
        + (f" What tells most: {names}." if names else "")
        + (" A model can read the class off the file instead of the tumor." if gain > 0.2 else "")
    )
    level: Severity = (
        "severe" if gain > _SEVERE_SHORTCUT else "warning" if gain > _SHORTCUT else "good"
    )
    yield Sentence(level, "shortcut", text)


def _source(probe: Probe | str) -> Iterator[Sentence]:
    if isinstance(probe, str):
        return
    score = probe.scores[0]
    gain = (score.balanced_accuracy.value - probe.chance) / (1 - probe.chance)
    text = (
        f"The same features tell the source: balanced accuracy {percent(score.balanced_accuracy)} "
        f"where guessing gives {percent(probe.chance)}. Where classes come from different sources, "
        "a model may learn the source."
    )
    yield Sentence("warning" if gain > _SHORTCUT else "note", "source", text)


def _suspects(findings: Findings) -> Iterator[Sentence]:
    for one in findings.suspects:
        fate = "left out of" if one.rule.leave_out else "kept, but marked, in"
        text = f"{len(one.slices)} slices: {one.rule.title} ({fate} the suggested manifest)."
        yield Sentence("warning" if one.rule.leave_out else "note", "suspects", text)
    excluded = findings.material.collected.excluded
    if excluded:
        text = f"{len(excluded):,} files or slices could not be read, or were left out before it."
        yield Sentence("warning", "files", text)


def _groups(findings: Findings) -> Iterator[Sentence]:
    if not findings.known_patients:
        text = (
            "Patients are not known for all slices. Neighbouring slices of one patient may still "
            "stand on both sides of any split made here, so figures stay too good; give patients "
            "or groups with a table or pattern if you can."
        )
        yield Sentence("warning", "groups", text)


def _clean(findings: Findings) -> Iterator[Sentence]:
    if findings.clean is None:
        yield Sentence("severe", "clean", "No slice would be left in a suggested manifest.")
        return
    report = findings.clean.report
    groups = len({row.group for row in report.rows})
    text = (
        f"The suggested manifest keeps {len(report.rows):,} slices in {groups:,} groups and leaves "
        f"out {len(report.excluded):,}; split {report.boundary}.{_untrainable(report.rows)}"
    )
    yield Sentence("note", "clean", text)


def _untrainable(rows: Sequence[ManifestRow]) -> str:
    """What training would miss."""
    lacking = [split for split in ("train", "val") if all(row.split != split for row in rows)]
    if not lacking:
        return ""
    return f" Training needs slices in train and in val; it has none in {' or '.join(lacking)}."
