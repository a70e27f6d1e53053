"""`audit.html`: the findings with pictures; self-contained, no script, readable on a phone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from slicewise.data.duplicates.search import Pair
from slicewise.data.quality.findings import Findings
from slicewise.data.quality.leakage import Crossed, Group
from slicewise.data.quality.pictures import Pictures
from slicewise.data.quality.sentence import Sentence, percent
from slicewise.data.quality.shortcuts import FAMILIES, Probe
from slicewise.data.quality.suggestion import fate
from slicewise.progress import Progress
from slicewise.reports.html import templates
from slicewise.text import counted

_TEMPLATE = "audit.html.j2"
_GROUPS, _MEMBERS = 12, 6
_PAIRS = 8
_CONFLICTS = 24
_SUSPECTS = 12
_LISTED = 50
_FEATURES = 10
_NAMED = {"all": "all features together"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture on the page."""

    address: str
    name: str
    label: str
    source: str
    split: str


@dataclass(frozen=True, slots=True)
class Strip:
    """Pictures that belong together, and how many more there are."""

    title: str
    pictures: list[Shown]
    more: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A share as a bar with its interval."""

    name: str
    share: float
    text: str


class Gallery:
    """Chooses and reads the pictures of the page."""

    def __init__(self, findings: Findings, progress: Progress | None) -> None:
        self._findings = findings
        self._pictures = Pictures(findings.items)
        self._progress = progress
        self._read = 0

    def strip(self, group: Group, title: str = "", members: int = _MEMBERS) -> Strip:
        """Some slices of a group: as different labels, splits and sources as there are first."""
        chosen = self._varied(group)[:members]
        return Strip(title, [self._shown(i) for i in chosen], len(group) - len(chosen))

    def pair(self, first: int, second: int, title: str = "") -> Strip:
        """Two slices side by side, in this order."""
        return Strip(title, [self._shown(first), self._shown(second)], 0)

    def _shown(self, index: int) -> Shown:
        found = self._findings.items[index]
        self._read += 1
        if self._progress:
            self._progress("drawing pictures", self._read, self._read)
        name = PurePath(found.reference).name
        split = self._findings.sides.names[index]
        return Shown(self._pictures.address(index), name, found.label, found.source, split)

    def _varied(self, group: Group) -> Group:
        seen: dict[tuple[str, str, str], int] = {}
        ranks = []
        for index in group:
            found = self._findings.items[index]
            kind = (found.label, found.source, self._findings.sides.names[index])
            seen[kind] = rank = seen.get(kind, -1) + 1
            ranks.append(rank)
        return [index for _, index in sorted(zip(ranks, group, strict=True))]


def render_page(
    findings: Findings,
    sentences: Sequence[Sentence],
    pairs: Sequence[Pair],
    audited: Sequence[str],
    progress: Progress | None = None,
) -> str:
    """The page as text.

    Args:
        findings: Of the audit.
        sentences: Its verdict.
        pairs: Copies by index, of which the least alike are shown.
        audited: Names of what was audited.
        progress: Told of each picture.
    """
    gallery = Gallery(findings, progress)
    copies = findings.copies
    environment = templates("slicewise.data.quality")
    environment.filters["percent"] = percent
    environment.filters["counted"] = counted
    return environment.get_template(_TEMPLATE).render(
        findings=findings,
        sentences=sentences,
        audited=audited,
        groups=[gallery.strip(group, f"{len(group)} files") for group in copies.groups[:_GROUPS]],
        faintest=[_faint(gallery, pair) for pair in _least_alike(pairs)],
        leaks=list(_crossing_strips(gallery, findings, copies.cross_split)),
        foreign=list(_crossing_strips(gallery, findings, copies.cross_source)),
        conflicts=[gallery.strip(group, members=4) for group in copies.conflicts[:_CONFLICTS]],
        memory=_memory_bars(findings),
        neighbours=_neighbours(gallery, findings),
        probes=[
            (probe, _probe_bars(probe), probe.importance[:_FEATURES])
            for probe in (findings.class_probe, findings.source_probe)
            if isinstance(probe, Probe)
        ],
        families=FAMILIES,
        suspects=[
            (one, fate(one, findings.suggested), gallery.strip(one.slices, members=_SUSPECTS))
            for one in findings.issues
        ],
        unreadable=findings.dataset.excluded[:_LISTED],
        unreadable_count=len(findings.dataset.excluded),
        conflict_count=len(copies.conflicts),
    )


def _least_alike(pairs: Sequence[Pair]) -> list[Pair]:
    near = [pair for pair in pairs if not pair.exact]
    return sorted(near, key=lambda pair: pair.agreement)[:_PAIRS]


def _faint(gallery: Gallery, pair: Pair) -> Strip:
    return gallery.pair(pair.first, pair.second, f"agreement {pair.agreement:.2f}")


def _crossing_strips(
    gallery: Gallery, findings: Findings, crossed: Sequence[Crossed]
) -> Iterator[tuple[Crossed, list[Strip]]]:
    """Each pair of splits or sources; some copies on both sides where it was not met before."""
    members: dict[int, Group] = {}
    for index, item in enumerate(findings.items):
        members.setdefault(item.cluster, []).append(index)
    met: set[frozenset[str]] = set()
    for one in sorted(crossed, key=lambda one: -one.share.value):
        both = frozenset((one.side, one.other))
        if one.hits:
            yield one, [] if both in met else _examples(gallery, findings, one, members)
            met.add(both)


def _examples(
    gallery: Gallery, findings: Findings, one: Crossed, members: Mapping[int, Group]
) -> list[Strip]:
    first = {findings.items[index].cluster: index for index in reversed(one.hits)}
    clusters = sorted(first, key=lambda cluster: first[cluster])
    chosen = clusters[:: max(1, len(clusters) // _PAIRS)][:_PAIRS]
    return [
        gallery.pair(
            first[cluster],
            next(i for i in members[cluster] if one.other in _places(findings, i)),
        )
        for cluster in chosen
    ]


def _places(findings: Findings, index: int) -> tuple[str, str]:
    return findings.sides.names[index], findings.items[index].source


def _memory_bars(findings: Findings) -> list[Bar]:
    memory = findings.memory
    if memory is None:
        return []
    named = {
        "most common class": memory.majority,
        "nearest picture, own group taken out": memory.grouped,
        "nearest picture, split as it is": memory.accuracy,
    }
    return [Bar(name, share.value, percent(share)) for name, share in named.items()]


def _neighbours(gallery: Gallery, findings: Findings) -> list[Strip]:
    memory = findings.memory
    if memory is None:
        return []
    met = [i for i, near in enumerate(memory.neighbours) if near >= 0]
    chosen = met[:: max(1, len(met) // _PAIRS)]
    pairs = [(int(memory.test[i]), int(memory.neighbours[i])) for i in chosen]
    return [gallery.pair(*pair) for pair in pairs[:_PAIRS]]


def _probe_bars(probe: Probe) -> list[Bar]:
    guess = Bar("guessing", probe.chance, percent(probe.chance))
    bars = [
        Bar(
            _NAMED.get(score.family, score.family),
            score.balanced_accuracy.value,
            percent(score.balanced_accuracy),
        )
        for score in probe.scores
    ]
    return [guess, *bars]
