"""The findings in sentences, each with how much it matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slicewise.data.quality.findings import Findings
from slicewise.data.quality.leakage import Crossed
from slicewise.data.quality.sentence import KINDS, Sentence, Severity, percent
from slicewise.data.quality.shortcuts import FOLDS, Probe, headline
from slicewise.data.quality.suggestion import clean_sentence, suspect_sentences
from slicewise.text import counted

_SEVERE_LEAK = 0.05
_SEVERE_MEMORY = 0.9
_SEVERE_SHORTCUT = 0.5
_SHORTCUT = 0.2
_FEWEST_GROUPS = 10
"""An interval that resamples fewer groups than these says little."""
_COPIED = 0.2
_HELD_OUT = {"train": 0, "val": 2, "test": 3}
"""Of two splits the one further right is said to hold copies of the other; folds are 1."""


def verdict(findings: Findings) -> list[Sentence]:
    """What a newcomer should know, the gravest first."""
    found = [
        *_copies(findings),
        *_splits(findings),
        *_memory(findings),
        *_conflicts(findings),
        *_shortcut(findings.class_probe),
        *_source(findings.source_probe),
        *suspect_sentences(findings.issues, findings.suggested),
        *_files(findings),
        *_groups(findings),
        clean_sentence(findings.suggested),
    ]
    return sorted(found, key=lambda sentence: list(KINDS).index(sentence.severity))


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
                f"{counted(one.n, 'slice')} of {one.side} and {percent(other.share)} of the "
                f"{other.n:,} of "
                f"{other.side}. Never train on one and test on the other."
            )
            yield Sentence("warning", "sources", text)


def _splits(findings: Findings) -> Iterator[Sentence]:
    sides = findings.sides
    if sides.origin is None:
        return
    leaks = _leaks(findings.copies.cross_split)
    for one, back in leaks:
        yield Sentence(_leak_severity(one), "splits", _leak_text(one, back, sides.origin))
    if findings.copies.torn:
        units = ", ".join(f"{count} by {bond}" for bond, count in findings.copies.torn.items())
        text = f"Units that belong together stand in more than one split: {units}."
        yield Sentence("severe", "splits", text)
    elif not leaks:
        rest = _alone(sides.names.count(""))
        yield Sentence("good", "splits", f"No copies cross {sides.origin}.{rest}")


def _alone(count: int) -> str:
    """Slices of which nothing was said, in words; nothing where there are none."""
    if not count:
        return ""
    verb = "was" if count == 1 else "were"
    return f" {counted(count, 'slice')} without a split {verb} not looked at."


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
        f"{_share_of(one, side, percent(one.share))} a copy in {other}, and "
        f"{_share_of(back, other, percent(back.share.value))} one in {side} ({said}). {meaning}"
    )


def _share_of(one: Crossed, side: str, share: str) -> str:
    verb = "has" if one.n == 1 else "have"
    return f"{share} of the {counted(one.n, f'{side} slice')} ({len(one.hits):,}) {verb}"


def _memory(findings: Findings) -> Iterator[Sentence]:
    memory = findings.memory
    if memory is None:
        return
    lead = memory.accuracy.value - memory.majority.value
    bad = memory.accuracy.value >= _SEVERE_MEMORY and lead > 0.1
    text = (
        f"Copying the label of the most similar training picture, with no learning, scores "
        f"{percent(memory.accuracy)} ({memory.split}; "
        f"{counted(len(memory.test), 'test slice')}). The most common class alone scores "
        f"{percent(memory.majority)}. With the copies and groups of each test slice taken out of "
        f"training it is {percent(memory.grouped)}. "
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
            f"{counted(len(groups), 'picture')} {'stands' if len(groups) == 1 else 'stand'} under "
            f"labels that contradict each other ({slices:,} files). At least one label of each "
            "is wrong; the suggested manifest leaves all of these files out."
        )
        yield Sentence("warning", "labels", text)
    elif findings.copies.distinct < len(findings.items):
        yield Sentence("good", "labels", "No two copies of a picture contradict each other.")


def _shortcut(probe: Probe | str) -> Iterator[Sentence]:
    if isinstance(probe, str):
        yield Sentence("note", "shortcut", f"The class was not probed: {probe}.")
        return
    score = probe.scores[0]
    gain = _gain(probe, score.balanced_accuracy.value)
    clear = _is_clear(probe)
    text = (
        "File, border and brightness features, none of which looks at a place in the brain, "
        f"{'predict' if clear else 'were probed for'} the class: balanced accuracy "
        f"{percent(score.balanced_accuracy)} where guessing gives {percent(probe.chance)}; "
        f"accuracy {percent(score.accuracy)} where the most common class gives "
        f"{percent(probe.majority)}. " + (_told(probe, gain) if clear else _untold(probe))
    )
    level: Severity = (
        "severe" if gain > _SEVERE_SHORTCUT else "warning" if gain > _SHORTCUT else "good"
    )
    if not clear:
        level = "warning" if gain > _SHORTCUT else "note"
    yield Sentence(level, "shortcut", text.rstrip())


def _gain(probe: Probe, balanced_accuracy: float) -> float:
    """How far from guessing (0) to always right (1)."""
    return (balanced_accuracy - probe.chance) / (1 - probe.chance)


def _is_clear(probe: Probe) -> bool:
    """Whether the probe can tell: enough groups, and an interval on one side of its limit.

    A gain above the limit is clear where the interval excludes guessing; one below it, where the
    interval excludes the limit.
    """
    score = probe.scores[0].balanced_accuracy
    if score.ci_low is None or score.ci_high is None:
        return False
    if _has_few_groups(probe):
        return False
    if _gain(probe, score.value) > _SHORTCUT:
        return score.ci_low > probe.chance
    return _gain(probe, score.ci_high) <= _SHORTCUT


def _has_few_groups(probe: Probe) -> bool:
    """Whether a class stands in fewer groups than there should be folds, or all do in few."""
    return probe.folds < FOLDS or probe.groups < _FEWEST_GROUPS


def _told(probe: Probe, gain: float) -> str:
    names = ", ".join(name.replace("_", " ") for name in headline(probe))
    most = f"What tells most: {names}. " if names else ""
    bad = "A model can read the class off the file instead of the tumor."
    return most + (bad if gain > _SHORTCUT else "")


def _untold(probe: Probe) -> str:
    rest = "whether a model could read the class off the file"
    if not _has_few_groups(probe):
        return f"The interval is too wide to tell {rest}."
    rarest = f", the rarest class in {probe.folds}" if probe.folds < FOLDS else ""
    return f"From {counted(probe.groups, 'group')}{rarest}: it cannot be told {rest}."


def _source(probe: Probe | str) -> Iterator[Sentence]:
    if isinstance(probe, str):
        return
    score = probe.scores[0]
    gain = _gain(probe, score.balanced_accuracy.value)
    text = (
        f"The same features tell the source: balanced accuracy {percent(score.balanced_accuracy)} "
        f"where guessing gives {percent(probe.chance)}. Where classes come from different sources, "
        "a model may learn the source."
    )
    yield Sentence("warning" if gain > _SHORTCUT else "note", "source", text)


def _files(findings: Findings) -> Iterator[Sentence]:
    excluded = findings.dataset.excluded
    if excluded:
        text = (
            f"{counted(len(excluded), 'file')} or slices could not be read, or were left out "
            "before it."
            if len(excluded) > 1
            else "1 file or slice could not be read, or was left out before it."
        )
        yield Sentence("warning", "files", text)


def _groups(findings: Findings) -> Iterator[Sentence]:
    if not findings.known_patients:
        text = (
            "Patients are not known for all slices. Neighbouring slices of one patient may still "
            "stand on both sides of any split made here, so figures stay too good; give patients "
            "or groups with a table or pattern if you can."
        )
        yield Sentence("warning", "groups", text)
