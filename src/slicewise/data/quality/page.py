"""`audit.html`: the results as a report with pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

import numpy as np
from PIL import Image

from slicewise.data.duplicates.agreement import SAME_AGREEMENT
from slicewise.data.duplicates.search import Pair
from slicewise.data.quality.leakage import RANDOM_SEED, Crossed, Group
from slicewise.data.quality.results import AuditResults, kept_of, outcome
from slicewise.data.quality.shortcuts import FAMILIES, Probe
from slicewise.data.quality.verdict import KINDS, QualityFinding, percent
from slicewise.errors import InputError, InternalError
from slicewise.imaging.read import read_slice
from slicewise.progress import Progress
from slicewise.reports import blocks
from slicewise.reports.html import jpeg, render_html
from slicewise.text import counted

_SIDE = 128
_DISCLAIMER = "A research tool, not a medical device."
_GROUPS, _PAIRS, _CONFLICTS, _ISSUES, _LISTED, _FEATURES = 12, 8, 24, 12, 50, 10
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


class Thumbnails:
    """Slices as strips of thumbnails, each file read at most once."""

    def __init__(self, results: AuditResults, progress: Progress | None) -> None:
        self._results = results
        self._progress = progress
        self._made: dict[int, blocks.Picture] = {}

    def strip(self, group: Group, title: str = "", most: int = 6) -> blocks.Strip:
        """Some slices of a group: as different labels, splits and sources as there are first."""
        met: Counter[tuple[str, str, str]] = Counter()
        ranks = {}
        for index in group:
            ranks[index] = met[self._kind(index)]
            met[self._kind(index)] += 1
        chosen = sorted(group, key=lambda index: (ranks[index], index))[:most]
        return blocks.Strip(tuple(map(self._picture, chosen)), title, len(group) - len(chosen))

    def pair(self, first: int, second: int, title: str = "") -> blocks.Strip:
        """Two slices side by side, in this order."""
        return blocks.Strip((self._picture(first), self._picture(second)), title)

    def _picture(self, index: int) -> blocks.Picture:
        if index not in self._made:
            found = self._results.items[index]
            place = " · ".join(part for part in self._kind(index)[::2] if part)
            caption = f"{place}\n{found.source}\n{PurePath(found.reference).name}"
            self._made[index] = blocks.Picture(_thumbnail(found.reference), caption)
            if self._progress:
                self._progress("drawing pictures", len(self._made), len(self._made))
        return self._made[index]

    def _kind(self, index: int) -> tuple[str, str, str]:
        found = self._results.items[index]
        return found.label, found.source, self._results.sides.names[index]


def render_page(
    results: AuditResults,
    verdict: Sequence[QualityFinding],
    pairs: Sequence[Pair],
    audited: Sequence[str],
    progress: Progress | None = None,
) -> str:
    """The page; of the pairs of copies the least alike are shown."""
    shown = Thumbnails(results, progress)
    parts: dict[str, Iterator[blocks.Block]] = {
        "What is public already": _public(results, verdict, shown),
        "What was found": _found(f for f in verdict if f.topic != "known"),
        "What is in it": _content(results),
        "Copies across splits": _crossings(results, shown, of_splits=True),
        "Copies across sources": _crossings(results, shown, of_splits=False),
        "What memory alone scores": _memory(results, shown),
        "What files and borders give away": _probes(results),
        "One picture, several labels": _conflicts(results, shown),
        "Slices that may not belong": _issues(results, shown),
        "The largest groups of copies": _groups(results, pairs, shown),
        "Files that are not in the audit": _unreadable(results),
        "What to do next": iter([blocks.Bullets(_NEXT)]),
    }
    sections = [blocks.Section(title, tuple(part)) for title, part in parts.items()]
    slices = counted(len(results.items), "slice")
    page = blocks.Page(
        "SliceWise data audit",
        f"{', '.join(audited)}: {slices}, {results.copies.distinct:,} different. Everything below "
        "is measured on pixels and files; look at the pictures before you act on it.",
        _DISCLAIMER,
        tuple(section for section in sections if section.blocks),
    )
    return render_html(page)


def _found(findings: Iterable[QualityFinding]) -> Iterator[blocks.Block]:
    return (blocks.Notice(KINDS[f.severity], f.severity, f.text) for f in findings)


def _public(
    results: AuditResults, verdict: Sequence[QualityFinding], shown: Thumbnails
) -> Iterator[blocks.Block]:
    public = results.public
    if public is None:
        return
    yield from _found(f for f in verdict if f.topic == "known")
    test, leaking = public.leaking
    numbers = {
        "known public slices": len(public.known),
        "distinct slices among them": public.distinct,
        "groups of patients, or else of copies": public.groups,
        "groups of whole patients": public.patients,
        "groups on both sides of a random split": public.torn,
        "known test slices of a random split": test,
        "whose group is on its other side": leaking,
    }
    if results.sides.origin:
        numbers["known slices whose group is in several of the splits given"] = len(public.crossing)
    yield blocks.Prose(
        "Slices of the older public collections are recognised by an index of hashes, which knows "
        "the patients of most, though their files name none. The random split is 80/20 by slice, "
        f"seed {RANDOM_SEED}."
    )
    yield blocks.Table(("what", "n"), tuple((what, f"{n:,}") for what, n in numbers.items()))
    collections = tuple((name, f"{n:,}") for name, n in public.collections.items())
    yield blocks.Table(("collection", "slices that stand in it, or have a copy there"), collections)
    if groups := public.contradictions:
        yield blocks.Prose("Published under labels that contradict each other:")
        named = (
            (group, f"published as {' and '.join(found.contradicting)}")
            for group in groups[:_CONFLICTS]
            if (found := results.items[group[0]].public)
        )
        yield blocks.Gallery(tuple(shown.strip(group, title, most=4) for group, title in named))


def _content(results: AuditResults) -> Iterator[blocks.Block]:
    yield blocks.Prose(
        "A different slice is counted once however many copies there are. A group is what must not "
        "be torn apart: shared copies, patient, volume or group."
    )
    yield blocks.Table(
        ("class", "source", "split", "slices", "different", "groups"),
        tuple(
            tuple(f"{cell:,}" if isinstance(cell, int) else cell or "none" for cell in row.values())
            for row in results.counts
        ),
    )


def _crossings(
    results: AuditResults, shown: Thumbnails, *, of_splits: bool
) -> Iterator[blocks.Block]:
    """Each pair of splits or sources; some copies on both sides where it was not met before."""
    crossed = results.copies.cross_split if of_splits else results.copies.cross_source
    found = sorted((one for one in crossed if one.hits), key=lambda one: -one.share.value)
    if found and of_splits:
        yield blocks.Prose(
            "Left and right are the same picture, found as equal, mirrored, turned by 180 degrees, "
            f"resized or retouched. Splits come from {results.sides.origin}."
        )
    met: set[frozenset[str]] = set()
    for one in found:
        of = f"{counted(one.n, 'slice')} of {one.side}"
        of = counted(one.n, f"{one.side} slice") if of_splits else of
        has = "has a copy" if len(one.hits) == 1 else "have a copy"
        title = f"{len(one.hits):,} of {of} {has} in {one.other}: {percent(one.share)}"
        both = frozenset((one.side, one.other))
        examples = () if both in met else tuple(_examples(results, shown, one))
        met.add(both)
        yield blocks.Section(title, (blocks.Gallery(examples),) if examples else ())


def _examples(results: AuditResults, shown: Thumbnails, one: Crossed) -> Iterator[blocks.Strip]:
    """Slices of one side, each beside a copy on the other."""
    first = {results.items[index].cluster: index for index in reversed(one.hits)}
    other = {
        item.cluster: index
        for index, item in reversed([*enumerate(results.items)])
        if one.other in (results.sides.names[index], item.source)
    }
    for cluster in _some(sorted(first, key=first.__getitem__)):
        yield shown.pair(first[cluster], other[cluster])


def _some(found: list[int]) -> list[int]:
    """A few, spread over all of them."""
    return found[:: max(1, len(found) // _PAIRS)][:_PAIRS]


def _memory(results: AuditResults, shown: Thumbnails) -> Iterator[blocks.Block]:
    memory = results.memory
    if memory is None:
        return
    yield blocks.Prose(
        "Each test slice takes the label of the most similar training picture (32 x 32 pixels, "
        f"correlation). Nothing is learnt. Split: {memory.split}. Intervals are 95 %, resampled by "
        "group."
    )
    named = {
        "most common class": memory.majority,
        "nearest picture, own group taken out": memory.grouped,
        "nearest picture, split as it is": memory.accuracy,
    }
    yield blocks.Bars(tuple((name, share.value, percent(share)) for name, share in named.items()))
    yield blocks.Prose(
        "Where the last bar is high, a model can score as high by remembering. Some test slices "
        "and their nearest training picture:"
    )
    met = _some([i for i, near in enumerate(memory.neighbours) if near >= 0])
    pairs = ((int(memory.test[i]), int(memory.neighbours[i])) for i in met)
    yield blocks.Gallery(tuple(shown.pair(*pair) for pair in pairs))


def _probes(results: AuditResults) -> Iterator[blocks.Block]:
    probes = [p for p in (results.class_probe, results.source_probe) if isinstance(p, Probe)]
    if not probes:
        return
    yield blocks.Prose(
        "A classifier sees only these features and is tested on groups it was not fitted on. Bars "
        "are balanced accuracy: the mean over classes of the share answered right."
    )
    families = (f"{name}: {', '.join(features)}" for name, features in FAMILIES.items())
    yield blocks.Bullets(tuple(text.replace("_", " ") for text in families))
    for probe in probes:
        bars = [("guessing", probe.chance, percent(probe.chance))]
        for score in probe.scores:
            name = "all features together" if score.family == "all" else score.family
            bars.append((name, score.balanced_accuracy.value, percent(score.balanced_accuracy)))
        falls = ", ".join(f"{name} {fall:.3f}" for name, fall in probe.importance[:_FEATURES])
        text = (
            f"Accuracy with all features {percent(probe.scores[0].accuracy)}; the most common "
            f"answer alone {percent(probe.majority)}. What tells most (fall of balanced accuracy "
            f"when shuffled): {falls.replace('_', ' ')}."
        )
        yield blocks.Section(
            f"Predicting the {probe.target} ({counted(probe.n, 'slice')}, "
            f"{counted(probe.groups, 'group')}, {probe.folds} folds)",
            (blocks.Bars(tuple(bars)), blocks.Prose(text)),
        )


def _conflicts(results: AuditResults, shown: Thumbnails) -> Iterator[blocks.Block]:
    if groups := results.copies.conflicts:
        more = f", {_CONFLICTS} shown" if len(groups) > _CONFLICTS else ""
        yield blocks.Prose(
            f"{counted(len(groups), 'picture')} in all{more}. At least one label of each is wrong."
        )
        yield blocks.Gallery(tuple(shown.strip(group, most=4) for group in groups[:_CONFLICTS]))


def _issues(results: AuditResults, shown: Thumbnails) -> Iterator[blocks.Block]:
    for one in results.issues:
        then = outcome(one, results.suggested)
        text = f"Rule: {one.rule.words}. {then[0].upper()}{then[1:]}."
        if not one.rule.leave_out and kept_of(one, results.suggested):
            text += " The mark stands in its column suspect."
        strip = shown.strip(one.slices, most=_ISSUES)
        title = f"{counted(len(one.slices), 'slice')}: {one.rule.title}"
        yield blocks.Section(title, (blocks.Prose(text), blocks.Gallery((strip,))))


def _groups(
    results: AuditResults, pairs: Sequence[Pair], shown: Thumbnails
) -> Iterator[blocks.Block]:
    copies = results.copies
    if not copies.groups:
        return
    yield blocks.Prose(
        f"{counted(len(copies.exact), 'group')} of equal pixels; "
        f"{counted(len(copies.near), 'group')} with one picture in several versions. All of them "
        "are in audit.json."
    )
    largest = (shown.strip(group, f"{len(group)} files") for group in copies.groups[:_GROUPS])
    yield blocks.Gallery(tuple(largest))
    text = (
        "Here a mistake would show first. A pair is joined from an agreement of "
        f"{SAME_AGREEMENT:g}."
    )
    measured = (pair for pair in pairs if not (pair.exact or pair.told))
    near = sorted(measured, key=lambda pair: pair.agreement)[:_PAIRS]
    strips = (shown.pair(p.first, p.second, f"agreement {p.agreement:.2f}") for p in near)
    faintest = (blocks.Prose(text), blocks.Gallery(tuple(strips)))
    yield blocks.Section("The least alike pairs that were joined", faintest)


def _unreadable(results: AuditResults) -> Iterator[blocks.Block]:
    if excluded := results.dataset.excluded:
        more = f", the first {_LISTED}" if len(excluded) > _LISTED else ""
        yield blocks.Prose(f"{counted(len(excluded), 'file')}{more}:")
        yield blocks.Bullets(tuple(f"{one.path}: {one.reason}" for one in excluded[:_LISTED]))


def _thumbnail(reference: str) -> bytes | str:
    """A small grey JPEG; in words that the file can no longer be read, or that SliceWise failed."""
    try:
        pixels = read_slice(reference).pixels
    except InternalError as error:
        return str(error).removeprefix(f"{reference}: ")
    except InputError:
        return "no longer readable"
    low, high = (float(value) for value in np.percentile(pixels, (0.5, 99.7)))
    scale = 255 / (high - low) if high > low else 0.0
    picture = Image.fromarray(np.clip((pixels - low) * scale, 0, 255).astype(np.uint8))
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return jpeg(picture)
