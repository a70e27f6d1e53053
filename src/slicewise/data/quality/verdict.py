"""The verdict: the findings of an audit in words, each with how much it matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from slicewise.data.manifest import SPLITS
from slicewise.data.quality.leakage import RANDOM_SPLIT, Crossed
from slicewise.data.quality.results import AuditResults, outcome
from slicewise.data.quality.shortcuts import FOLDS, Probe, headline
from slicewise.reports.blocks import Kind
from slicewise.stats.intervals import Share
from slicewise.text import counted, percent_text, share_text

Severity = Literal["severe", "warning", "note", "good"]
KINDS: dict[Severity, Kind] = {
    "severe": "alert", "warning": "caution", "note": "note", "good": "good",
}  # fmt: skip
"""How each is shown, the gravest first."""

_SEVERE_LEAK = 0.05
_SEVERE_MEMORY = 0.9
_SEVERE_SHORTCUT = 0.5
_SHORTCUT = 0.2
_FEWEST_GROUPS = 10
"""An interval that resamples fewer groups than these says little."""
_COPIED = 0.2
_HELD_OUT = {"train": 0, "val": 2, "test": 3}
"""Of two splits the one further right is said to hold copies of the other; folds are 1."""


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """One finding in one or a few sentences; `topic` is the part of the audit it is of."""

    severity: Severity
    topic: str
    text: str


def verdict(results: AuditResults) -> list[QualityFinding]:
    """What a newcomer should know, the gravest first."""
    found = [
        *_public(results),
        *_copies(results),
        *_splits(results),
        *_memory(results),
        *_conflicts(results),
        *_shortcut(results.class_probe),
        *_source(results.source_probe),
        *_slices(results),
        suggestion(results),
    ]
    return sorted(found, key=lambda finding: list(KINDS).index(finding.severity))


def percent(share: float | Share) -> str:
    """A share in percent with one decimal, with its interval where there is one."""
    if isinstance(share, float):
        return percent_text(share)
    return share_text(share.value, share.ci_low, share.ci_high)


def _public(results: AuditResults) -> Iterator[QualityFinding]:
    public = results.public
    if public is None:
        return
    known, total = len(public.known), len(results.items)
    all_of = f"All {total:,}" if known == total else f"{known:,} of the {total:,}"
    names = ", ".join(f"{name} {count:,}" for name, count in public.collections.items())
    test, leaking = public.leaking
    text = (
        f"{all_of} slices are known public ones: {counted(public.distinct, 'distinct slice')} in "
        f"{counted(public.groups, 'group')}, {public.patients:,} of them of whole patients. They, "
        f"or copies of them, stand in {names}. A{RANDOM_SPLIT[1:]} puts "
        f"{counted(public.torn, 'group')} ({percent(public.torn / public.groups)}) on both sides"
    )
    text += f", and with them {leaking:,} of its {test:,} known test slices." if test else "."
    if public.crossing and (origin := results.sides.origin):
        crossing = counted(len(public.crossing), "known slice")
        text += f" {origin[0].upper()}{origin[1:]} do so with the groups of {crossing}."
    text += " `slicewise data build` keeps these groups whole."
    severity: Severity = "severe" if leaking > _SEVERE_LEAK * max(test, 1) else "note"
    yield QualityFinding(severity, "known", text)
    if groups := public.contradictions:
        slices = sum(map(len, groups))
        rows = results.suggested.report.rows if results.suggested else ()
        staying = {row.path for row in rows}
        kept = sum(results.items[i].written in staying for group in groups for i in group)
        then = f"keeps {kept:,} of these files" if kept else "leaves them out"
        text = (
            f"{counted(len(groups), 'known slice')} ({counted(slices, 'file')} here) "
            f"{'was' if len(groups) == 1 else 'were'} published under labels that contradict each "
            f"other; the suggested manifest {then}."
        )
        yield QualityFinding("warning", "known", text)
    if other := len(public.relabelled):
        text = f"{counted(other, 'known slice')} {'has' if other == 1 else 'have'} another label "
        yield QualityFinding("warning", "known", f"{text}than any that it was published under.")


def _copies(results: AuditResults) -> Iterator[QualityFinding]:
    total, distinct = len(results.items), results.copies.distinct
    if distinct == total:
        yield QualityFinding("good", "copies", f"No copies were found among the {total:,} slices.")
        return
    spare = 1 - distinct / total
    text = (
        f"The {total:,} slices are {distinct:,} different pictures: {percent(spare)} are copies of "
        "another one (equal, mirrored, turned, resized or retouched)."
    )
    yield QualityFinding("warning" if spare > _COPIED else "note", "copies", text)
    for one, other in _both_ways(results.copies.cross_source):
        if one.side < one.other:
            text = (
                f"{one.side} and {one.other} share pictures: {percent(one.share)} of the "
                f"{counted(one.n, 'slice')} of {one.side} and {percent(other.share)} of the "
                f"{other.n:,} of {other.side}. Never train on one and test on the other."
            )
            yield QualityFinding("warning", "sources", text)


def _splits(results: AuditResults) -> Iterator[QualityFinding]:
    sides = results.sides
    if sides.origin is None:
        return
    both = _both_ways(results.copies.cross_split)
    leaks = [(one, back) for one, back in both if _weight(one) > _weight(back)]
    for one, back in leaks:
        severity: Severity = "severe" if one.share.value > _SEVERE_LEAK else "warning"
        yield QualityFinding(severity, "splits", _leak_text(one, back, sides.origin))
    if results.copies.torn:
        units = ", ".join(
            f"{count} by {'known patients' if bond == 'public' else bond}"
            for bond, count in results.copies.torn.items()
        )
        text = f"Units that belong together stand in more than one split: {units}."
        yield QualityFinding("severe", "splits", text)
    elif not leaks:
        alone = sides.names.count("")
        not_looked_at = f"{'was' if alone == 1 else 'were'} not looked at"
        rest = f" {counted(alone, 'slice')} without a split {not_looked_at}." if alone else ""
        yield QualityFinding("good", "splits", f"No copies cross {sides.origin}.{rest}")


def _both_ways(crossed: Sequence[Crossed]) -> list[tuple[Crossed, Crossed]]:
    """Every side that shares a picture with another, and the way back."""
    back = {(one.side, one.other): one for one in crossed}
    return [(one, back[one.other, one.side]) for one in crossed if one.hits]


def _weight(one: Crossed) -> tuple[int, float, str]:
    """Of two directions the greater is said: of held-out slices, else of the larger share."""
    return _HELD_OUT.get(one.side, 1), one.share.value, one.side


def _leak_text(one: Crossed, back: Crossed, origin: str) -> str:
    side, other = (name if name in _HELD_OUT else f"fold {name}" for name in (one.side, one.other))
    meaning = f"A score on {side} says how well a model remembers, not how well it would do on a "
    meaning += "new patient."
    if {one.side, one.other} == {"val", "test"}:
        meaning = "What is chosen on val has then seen part of test: the score on test is too good."
    of, back_of = (
        f"of the {counted(way.n, f'{name} slice')} ({len(way.hits):,}) "
        f"{'has' if way.n == 1 else 'have'}"
        for way, name in ((one, side), (back, other))
    )
    return (
        f"{percent(one.share)} {of} a copy in {other}, and {percent(back.share.value)} {back_of} "
        f"one in {side} ({origin}). {meaning}"
    )


def _memory(results: AuditResults) -> Iterator[QualityFinding]:
    memory = results.memory
    if memory is None:
        return
    lead = memory.accuracy.value - memory.majority.value
    bad = memory.accuracy.value >= _SEVERE_MEMORY and lead > 0.1
    meaning = "Put this score beside every other on this split."
    if bad:
        meaning = "This split measures memory: a model has to beat the first score before its "
        meaning += "own means anything."
    text = (
        f"Copying the label of the most similar training picture, with no learning, scores "
        f"{percent(memory.accuracy)} ({memory.split}; "
        f"{counted(len(memory.test), 'test slice')}). The most common class alone scores "
        f"{percent(memory.majority)}. With the copies and groups of each test slice taken out of "
        f"training it is {percent(memory.grouped)}. {meaning}"
    )
    yield QualityFinding("severe" if bad else "note", "memory", text)


def _conflicts(results: AuditResults) -> Iterator[QualityFinding]:
    if groups := results.copies.conflicts:
        slices = sum(len(group) for group in groups)
        text = (
            f"{counted(len(groups), 'picture')} {'stands' if len(groups) == 1 else 'stand'} under "
            f"labels that contradict each other ({slices:,} files). At least one label of each "
            "is wrong; the suggested manifest leaves all of these files out."
        )
        yield QualityFinding("warning", "labels", text)
    elif results.copies.distinct < len(results.items):
        yield QualityFinding("good", "labels", "No two copies of a picture contradict each other.")


def _shortcut(probe: Probe | str) -> Iterator[QualityFinding]:
    if isinstance(probe, str):
        yield QualityFinding("note", "shortcut", f"The class was not probed: {probe}.")
        return
    score = probe.scores[0]
    gain = _gain(probe, score.balanced_accuracy.value)
    unclear = _unclear(probe)
    text = (
        "File, border and brightness features, none of which looks at a place in the brain, "
        f"{'were probed for' if unclear else 'predict'} the class: balanced accuracy "
        f"{percent(score.balanced_accuracy)} where guessing gives {percent(probe.chance)}; "
        f"accuracy {percent(score.accuracy)} where the most common class gives "
        f"{percent(probe.majority)}.{unclear}"
    )
    names = ", ".join(name.replace("_", " ") for name in headline(probe))
    if names and not unclear:
        text += f" What tells most: {names}."
    if gain > _SHORTCUT and not unclear:
        text += " A model can read the class off the file instead of the tumor."
    level: Severity = "warning" if gain > _SHORTCUT else "note" if unclear else "good"
    if gain > _SEVERE_SHORTCUT and not unclear:
        level = "severe"
    yield QualityFinding(level, "shortcut", text)


def _gain(probe: Probe, balanced_accuracy: float) -> float:
    """How far from guessing (0) to always right (1)."""
    return (balanced_accuracy - probe.chance) / (1 - probe.chance)


def _unclear(probe: Probe) -> str:
    """Why the probe cannot tell; empty with enough groups and an interval on one side of its limit.

    A gain above the limit is clear where the interval excludes guessing; one below it, where the
    interval excludes the limit.
    """
    rest = "whether a model could read the class off the file"
    if probe.folds < FOLDS or probe.groups < _FEWEST_GROUPS:
        rarest = f", the rarest class in {probe.folds}" if probe.folds < FOLDS else ""
        return f" From {counted(probe.groups, 'group')}{rarest}: it cannot be told {rest}."
    score = probe.scores[0].balanced_accuracy
    if score.ci_low is not None and score.ci_high is not None:
        above = _gain(probe, score.value) > _SHORTCUT
        clear = score.ci_low > probe.chance if above else _gain(probe, score.ci_high) <= _SHORTCUT
        if clear:
            return ""
    return f" The interval is too wide to tell {rest}."


def _source(probe: Probe | str) -> Iterator[QualityFinding]:
    if isinstance(probe, str):
        return
    score = probe.scores[0].balanced_accuracy
    text = (
        f"The same features tell the source: balanced accuracy {percent(score)} where guessing "
        f"gives {percent(probe.chance)}. Where classes come from different sources, a model may "
        "learn the source."
    )
    level: Severity = "warning" if _gain(probe, score.value) > _SHORTCUT else "note"
    yield QualityFinding(level, "source", text)


def _slices(results: AuditResults) -> Iterator[QualityFinding]:
    for issue in results.issues:
        what = f"{counted(len(issue.slices), 'slice')}: {issue.rule.title}"
        text = f"{what} ({outcome(issue, results.suggested)})."
        yield QualityFinding("warning" if issue.rule.leave_out else "note", "suspects", text)
    if count := len(results.dataset.excluded):
        what = "1 file or slice" if count == 1 else f"{counted(count, 'file')} or slices"
        text = f"{what} could not be read, or {'was' if count == 1 else 'were'} left out before it."
        yield QualityFinding("warning", "files", text)
    if not results.known_patients:
        text = (
            "Patients are not known for all slices. Neighbouring slices of one patient may still "
            "stand on both sides of any split made here, so metrics stay too good; give patients "
            "or groups with a table or pattern if you can."
        )
        yield QualityFinding("warning", "groups", text)


def suggestion(results: AuditResults) -> QualityFinding:
    """What the suggested manifest holds, and what training and testing would miss in it."""
    if results.suggested is None:
        return QualityFinding("severe", "clean", "No slice would be left in a suggested manifest.")
    report = results.suggested.report
    groups = len({row.group for row in report.rows})
    empty = [name for name in SPLITS if all(row.split != name for row in report.rows)]
    text = (
        f"The suggested manifest keeps {counted(len(report.rows), 'slice')} in "
        f"{counted(groups, 'group')} and leaves out {len(report.excluded):,}; split "
        f"{report.boundary}."
    )
    if missed := [name for name in empty if name != "test"]:
        text += f" Training needs slices in train and in val; it has none in {' or '.join(missed)}."
    if "test" in empty:
        text += " It has no test slices: nothing is held back to measure a trained model on."
    if empty and groups < 3:
        text += f" {counted(groups, 'group')} cannot fill three splits."
    return QualityFinding("note", "clean", text)
