"""`audit.html`: the findings as a report with pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from slicewise.data.duplicates.agreement import SAME_AGREEMENT
from slicewise.data.duplicates.search import Pair
from slicewise.data.quality.findings import Findings
from slicewise.data.quality.leakage import Crossed, Group
from slicewise.data.quality.pictures import Thumbnails
from slicewise.data.quality.sentence import KINDS, Sentence, percent
from slicewise.data.quality.shortcuts import FAMILIES, Probe
from slicewise.data.quality.suggested import kept_of
from slicewise.data.quality.suggestion import fate
from slicewise.progress import Progress
from slicewise.reports.blocks import (
    Bars,
    Block,
    Bullets,
    Gallery,
    Notice,
    Page,
    Prose,
    Section,
    Strip,
    Table,
)
from slicewise.reports.html import render_html
from slicewise.text import counted

_DISCLAIMER = "A research tool, not a medical device."
_GROUPS, _PAIRS, _CONFLICTS, _SUSPECTS, _LISTED, _FEATURES = 12, 8, 24, 12, 50, 10
"""The most that is shown of each."""
_NEXT = (
    "Train on clean.csv: one of each picture, no contradictions, suspects left out or marked, "
    "whole groups in one split. clean.excluded.csv says what it leaves out and why.",
    "Give patients or groups if you have them (slicewise data build --table or --pattern), then "
    "audit the manifest.",
    "Put the nearest-neighbour score beside every score. slicewise evaluate does.",
    "Where files or borders predict the class, look for slices of all classes from one source, and "
    "test on a source that took no part.",
)


def render_page(
    findings: Findings,
    sentences: Sequence[Sentence],
    pairs: Sequence[Pair],
    audited: Sequence[str],
    progress: Progress | None = None,
) -> str:
    """The page.

    Args:
        pairs: Copies by index, of which the least alike are shown.
        progress: Told of each picture.
    """
    shown = Thumbnails(findings, progress)
    parts: dict[str, Iterator[Block]] = {
        "What was found": (Notice(KINDS[s.severity], s.severity, s.text) for s in sentences),
        "What is in it": _content(findings),
        "Copies across splits": _across_splits(findings, shown),
        "Copies across sources": _across_sources(findings, shown),
        "What memory alone scores": _memory(findings, shown),
        "What files and borders give away": _probes(findings),
        "One picture, several labels": _conflicts(findings, shown),
        "Slices that may not belong": _suspects(findings, shown),
        "The largest groups of copies": _groups(findings, pairs, shown),
        "Files that are not in the audit": _unreadable(findings),
        "What to do next": iter([Bullets(_NEXT)]),
    }
    sections = [Section(title, tuple(blocks)) for title, blocks in parts.items()]
    slices = counted(len(findings.items), "slice")
    page = Page(
        "SliceWise data audit",
        f"{', '.join(audited)}: {slices}, {findings.copies.distinct:,} different. Everything below "
        "is measured on pixels and files; look at the pictures before you act on it.",
        _DISCLAIMER,
        tuple(section for section in sections if section.blocks),
    )
    return render_html(page)


def _content(findings: Findings) -> Iterator[Block]:
    yield Prose(
        "A different slice is counted once however many copies there are. A group is what must not "
        "be torn apart: shared copies, patient, volume or group."
    )
    yield Table(
        ("class", "source", "split", "slices", "different", "groups"),
        tuple(
            (row.label, row.source, row.split or "none", f"{row.slices:,}", f"{row.distinct:,}",
             f"{row.groups:,}")
            for row in findings.counts
        ),
    )  # fmt: skip


def _across_splits(findings: Findings, shown: Thumbnails) -> Iterator[Block]:
    crossed = findings.copies.cross_split
    if any(one.hits for one in crossed):
        yield Prose(
            "Left and right are the same picture, found as equal, mirrored, turned by 180 degrees, "
            f"resized or retouched. Splits come from {findings.sides.origin}."
        )
        yield from _crossings(findings, shown, crossed, "{side} slice", "")


def _across_sources(findings: Findings, shown: Thumbnails) -> Iterator[Block]:
    yield from _crossings(findings, shown, findings.copies.cross_source, "slice", " of {side}")


def _crossings(
    findings: Findings, shown: Thumbnails, crossed: Sequence[Crossed], noun: str, after: str
) -> Iterator[Section]:
    """Each pair of splits or sources; some copies on both sides where it was not met before."""
    members: dict[int, Group] = {}
    for index, item in enumerate(findings.items):
        members.setdefault(item.cluster, []).append(index)
    met: set[frozenset[str]] = set()
    for one in sorted(crossed, key=lambda one: -one.share.value):
        if not one.hits:
            continue
        verb = "has" if len(one.hits) == 1 else "have"
        title = (
            f"{len(one.hits):,} of {counted(one.n, noun.format(side=one.side))}"
            f"{after.format(side=one.side)} {verb} a copy in {one.other}: {percent(one.share)}"
        )
        both = frozenset((one.side, one.other))
        examples = () if both in met else tuple(_examples(findings, shown, one, members))
        met.add(both)
        yield Section(title, (Gallery(examples),) if examples else ())


def _examples(
    findings: Findings, shown: Thumbnails, one: Crossed, members: Mapping[int, Group]
) -> Iterator[Strip]:
    first = {findings.items[index].cluster: index for index in reversed(one.hits)}
    clusters = sorted(first, key=lambda cluster: first[cluster])
    for cluster in _some(clusters):
        yield shown.pair(
            first[cluster],
            next(i for i in members[cluster] if one.other in _places(findings, i)),
        )


def _places(findings: Findings, index: int) -> tuple[str, str]:
    return findings.sides.names[index], findings.items[index].source


def _some(found: list[int]) -> list[int]:
    """A few, spread over all of them."""
    return found[:: max(1, len(found) // _PAIRS)][:_PAIRS]


def _memory(findings: Findings, shown: Thumbnails) -> Iterator[Block]:
    memory = findings.memory
    if memory is None:
        return
    yield Prose(
        "Each test slice takes the label of the most similar training picture (32 x 32 pixels, "
        f"correlation). Nothing is learnt. Split: {memory.split}. Intervals are 95 %, resampled by "
        "group."
    )
    named = {
        "most common class": memory.majority,
        "nearest picture, own group taken out": memory.grouped,
        "nearest picture, split as it is": memory.accuracy,
    }
    yield Bars(tuple((name, share.value, percent(share)) for name, share in named.items()))
    yield Prose(
        "Where the last bar is high, a model can score as high by remembering. Some test slices "
        "and their nearest training picture:"
    )
    met = _some([i for i, near in enumerate(memory.neighbours) if near >= 0])
    pairs = ((int(memory.test[i]), int(memory.neighbours[i])) for i in met)
    yield Gallery(tuple(shown.pair(*pair) for pair in pairs))


def _probes(findings: Findings) -> Iterator[Block]:
    probes = [p for p in (findings.class_probe, findings.source_probe) if isinstance(p, Probe)]
    if not probes:
        return
    yield Prose(
        "A classifier sees only these features and is tested on groups it was not fitted on. Bars "
        "are balanced accuracy: the mean over classes of the share answered right."
    )
    yield Bullets(tuple(f"{name}: {_plain(', '.join(of))}" for name, of in FAMILIES.items()))
    yield from map(_probe, probes)


def _probe(probe: Probe) -> Section:
    named = {score.family: score.balanced_accuracy for score in probe.scores}
    bars = [
        ("all features together" if family == "all" else family, share.value, percent(share))
        for family, share in named.items()
    ]
    telling = ", ".join(f"{_plain(name)} {fall:.3f}" for name, fall in probe.importance[:_FEATURES])
    return Section(
        f"Predicting the {probe.target} ({counted(probe.n, 'slice')}, "
        f"{counted(probe.groups, 'group')}, {probe.folds} folds)",
        (
            Bars((("guessing", probe.chance, percent(probe.chance)), *bars)),
            Prose(
                f"Accuracy with all features {percent(probe.scores[0].accuracy)}; the most common "
                f"answer alone {percent(probe.majority)}. What tells most (fall of balanced "
                f"accuracy when shuffled): {telling}."
            ),
        ),
    )


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _conflicts(findings: Findings, shown: Thumbnails) -> Iterator[Block]:
    groups = findings.copies.conflicts
    if groups:
        more = f", {_CONFLICTS} shown" if len(groups) > _CONFLICTS else ""
        yield Prose(
            f"{counted(len(groups), 'picture')} in all{more}. At least one label of each is wrong."
        )
        yield Gallery(tuple(shown.strip(group, most=4) for group in groups[:_CONFLICTS]))


def _suspects(findings: Findings, shown: Thumbnails) -> Iterator[Block]:
    for one in findings.issues:
        outcome = fate(one, findings.suggested)
        text = f"Rule: {one.rule.words}. {outcome[0].upper()}{outcome[1:]}."
        if not one.rule.leave_out and kept_of(one, findings.suggested):
            text += " The mark stands in its column suspect."
        strip = shown.strip(one.slices, most=_SUSPECTS)
        title = f"{counted(len(one.slices), 'slice')}: {one.rule.title}"
        yield Section(title, (Prose(text), Gallery((strip,))))


def _groups(findings: Findings, pairs: Sequence[Pair], shown: Thumbnails) -> Iterator[Block]:
    copies = findings.copies
    if not copies.groups:
        return
    yield Prose(
        f"{counted(len(copies.exact), 'group')} of equal pixels; "
        f"{counted(len(copies.near), 'group')} with one picture in several versions. All of them "
        "are in audit.json."
    )
    yield Gallery(
        tuple(shown.strip(group, f"{len(group)} files") for group in copies.groups[:_GROUPS])
    )
    near = sorted((p for p in pairs if not p.exact), key=lambda pair: pair.agreement)[:_PAIRS]
    text = (
        "Here a mistake would show first. A pair is joined from an agreement of "
        f"{SAME_AGREEMENT:g}."
    )
    strips = (shown.pair(p.first, p.second, f"agreement {p.agreement:.2f}") for p in near)
    yield Section("The least alike pairs that were joined", (Prose(text), Gallery(tuple(strips))))


def _unreadable(findings: Findings) -> Iterator[Block]:
    excluded = findings.dataset.excluded
    if excluded:
        more = f", the first {_LISTED}" if len(excluded) > _LISTED else ""
        yield Prose(f"{counted(len(excluded), 'file')}{more}:")
        yield Bullets(tuple(f"{one.path}: {one.reason}" for one in excluded[:_LISTED]))
