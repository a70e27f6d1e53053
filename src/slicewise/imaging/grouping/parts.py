"""How DICOM files become series: divided by what tells their slices apart, then put in order."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from slicewise.imaging.formats.dicom.header import Person
from slicewise.imaging.geometry import first_near, heights_of, plane_of
from slicewise.imaging.grouping.attributes import ATTRIBUTES, Attribute, DicomFile, Frame, Rule
from slicewise.imaging.grouping.spacing import Levels, levels_of

_FEWEST = 2  # slices of a part, on average, where an attribute tells parts and not single slices
_INTERLEAVED = 0.75  # of the distance that slices have where acquisitions fill each other's gaps
_NAMES = "Patient's Name (0010,0010) or Patient's Birth Date (0010,0030)"
_NO_STACKS = ("localizer", "projection")
_BY_NUMBER, _BY_LOCATION = "Instance Number (0020,0013)", "Slice Location (0020,1041)"


@dataclass(frozen=True, eq=False)
class Part:
    """Slices that belong together.

    Args:
        words: What tells it from the other parts of its series.
        notes: What it was parted by.
    """

    frames: Sequence[Frame]
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def plane(self) -> str | None:
        """As of `plane_of`."""
        return plane_of(self.frames[0].place.orientation)

    @property
    def is_stack(self) -> bool:
        """Whether its slices, where there are several, have an answer together."""
        return self.frames[0].kind not in _NO_STACKS

    @cached_property
    def heights(self) -> list[float] | None:
        """Along the normal, mm; None where a position is missing."""
        places = [frame.place for frame in self.frames]
        return heights_of([place.position for place in places], places[0].orientation)

    @cached_property
    def levels(self) -> Levels | None:
        """Where its slices lie, as far as it is known.

        Where positions are missing, by Slice Location (0020,1041); where that is missing as well,
        by an Instance Number (0020,0013) that begins anew, as that of a second stack does.
        """
        heights = self.heights or _all(map(_location, self.frames)) or self._repeated_numbers
        return None if heights is None else levels_of(heights)

    @cached_property
    def in_mm(self) -> bool:
        """Whether the levels are distances in the patient, and not counts."""
        is_single = all(len(frame.file.header.frames) == 1 for frame in self.frames)
        located = is_single and _all(map(_location, self.frames)) is not None
        return self.heights is not None or located

    @property
    def _repeated_numbers(self) -> list[float] | None:
        numbers = _all(map(_number, self.frames))
        repeats = numbers is not None and 1 < len(set(numbers)) < len(numbers)
        return numbers if repeats else None

    def name(self, source: str) -> str:
        """What to call it within its series."""
        words = ", ".join(word for word in self.words if word)
        return f"{source} [{words}]" if words else source


def by_person_and_study(
    files: Sequence[DicomFile],
) -> list[tuple[list[DicomFile], tuple[str, ...]]]:
    """Divide the files of one Series Instance UID by patient and study.

    Returns:
        The files of each, and notes on what they were parted by.
    """
    by_person = _by_person(files)
    has_ids = len({file.header.person.id for file in files} - {""}) > 1
    who = "Patient ID (0010,0020)" if has_ids else _NAMES
    found: list[tuple[list[DicomFile], tuple[str, ...]]] = []
    for of_person in by_person:
        notes = (split_note(who, len(by_person)),) if len(by_person) > 1 else ()
        by_study = list(_grouped(of_person, lambda file: file.header.study_uid).values())
        if len(by_study) > 1:
            study = split_note("Study Instance UID (0020,000D)", len(by_study))
            notes = (*notes, study)
        found += [(each, notes) for each in by_study]
    return found


def parts_of(files: Sequence[DicomFile]) -> list[Part]:
    """Divide the slices of one series by all that tells them apart, by the order of acquisition."""
    frames = [Frame(file, index) for file in files for index in range(len(file.header.frames))]
    parts = [Part(sorted(frames, key=_acquired))]
    for attribute in ATTRIBUTES:
        parts = [piece for part in parts for piece in _divided(part, attribute)]
    return [piece for part in parts for piece in _repeats(part)]


def ordered(part: Part) -> tuple[list[Frame], list[str]]:
    """Put slices in order along their normal; where that is not known, say in a note by what.

    That is Instance Number, or else Slice Location, where all slices have one, and then the name
    of the file, with its numbers as numbers, and the index of the frame.
    """
    frames = list(part.frames)
    if part.heights is not None and part.levels is not None:
        level = dict(zip(frames, part.levels.of, strict=True))
        return sorted(frames, key=level.__getitem__), []
    files = {frame.file for frame in frames}
    keys = [_by_name(frame) for frame in frames]
    rules = ["file name"] if len(files) > 1 else ["frame"]
    for rule, value_of in ((_BY_LOCATION, _location), (_BY_NUMBER, _number)):
        values = [value_of(frame) for frame in frames]
        known = {value for value in values if value is not None}
        if None in values or len(known) == 1:
            continue
        keys = [(value, *key) for value, key in zip(values, keys, strict=True)]
        rules = [rule] if len(known) >= len(files) else [rule, *rules]
    key = dict(zip(frames, keys, strict=True))
    why = "because not all slices have Image Position (Patient) (0020,0032)"
    return sorted(frames, key=key.__getitem__), [f"ordered by {', then '.join(rules)}, {why}"]


def split_note(what: str, count: int) -> str:
    """What a series was parted by; never by which values."""
    return f"split from one Series Instance UID (0020,000E) by {what}: {count} series"


def _by_person(files: Sequence[DicomFile]) -> list[list[DicomFile]]:
    """Files by Patient ID; those without one by name and birth date, as far as these are known.

    Where one id stands for everybody, as in some anonymised files, name and birth date together
    tell persons apart.
    """
    persons = dict.fromkeys(file.header.person for file in files)
    groups: list[list[Person]] = []
    for person in filter(lambda person: person.id, persons):
        same = (each for each in groups if each[0].id == person.id)
        home = next((each for each in same if not person.is_other(each[0])), None)
        if home is None:
            groups.append(home := [])
        home.append(person)
    unnamed = (person for person in persons if not person.id)
    # Those who say most come first, so that the order of files makes no difference.
    for person in sorted(unnamed, key=lambda one: (not one.name) + (not one.birth_date)):
        homes = [group for group in groups if all(map(person.may_be, group))]
        if len(homes) == 1:
            homes[0].append(person)
        else:
            groups.append([person])
    index = {person: number for number, group in enumerate(groups) for person in group}
    return list(_grouped(files, lambda file: index[file.header.person]).values())


def _grouped(
    files: Iterable[DicomFile], key: Callable[[DicomFile], Hashable]
) -> dict[Hashable, list[DicomFile]]:
    """Files by a key; those without one join the others, where these have only one."""
    found: dict[Hashable, list[DicomFile]] = defaultdict(list)
    keyed = [(key(file), file) for file in files]
    known = list(dict.fromkeys(value for value, _ in keyed if value is not None))
    alone = known[0] if len(known) == 1 else None
    for value, file in keyed:
        found[alone if value is None else value].append(file)
    return found


def _divided(part: Part, attribute: Attribute) -> list[Part]:
    values = [attribute.value(frame) for frame in part.frames]
    if len(set(values)) == 1:
        return [part]
    clusters = _clusters(part.frames, values, attribute)
    if len(clusters) == 1 or not _is_parting(part, list(clusters.values()), attribute.rule):
        return [part]
    note = split_note(attribute.tag, len(clusters))
    return [
        Part(frames, (*part.words, word), tuple(dict.fromkeys((*part.notes, note))))
        for frames, word in zip(clusters.values(), _words(clusters, attribute), strict=True)
    ]


def _repeats(part: Part) -> list[Part]:
    """Divide a part whose positions repeat, though nothing says why.

    Either each stack was acquired before the next, or every position is there equally often.
    """
    levels = part.levels
    if levels is None or len(levels.counts) < _FEWEST or not levels.repeated:
        return [part]
    found = _runs(part, levels)
    fewest = min(levels.repeated, *map(len, found.values()))
    if len(found) != levels.most or 2 * fewest < len(levels.counts):
        if min(levels.counts) < levels.most:
            return [part]
        seen, found = Counter[int](), defaultdict(list)
        for frame, level in zip(part.frames, levels.of, strict=True):
            seen[level] += 1
            found[seen[level]].append(frame)
    what = "positions" if part.in_mm else _BY_NUMBER
    note = split_note(f"repeated {what}", len(found))
    return [
        Part(frames, (*part.words, f"repeat {number}"), (*part.notes, note))
        for number, frames in found.items()
    ]


def _runs(part: Part, levels: Levels) -> dict[int, list[Frame]]:
    """Slices in the order of acquisition, a run ending where a position comes again."""
    found, met = defaultdict[int, list[Frame]](list), set[int]()
    for frame, level in zip(part.frames, levels.of, strict=True):
        if level in met:
            met.clear()
        found[len(found) + (not met)].append(frame)
        met.add(level)
    return found


def _clusters(
    frames: Sequence[Frame], values: Sequence[Hashable], attribute: Attribute
) -> dict[Hashable, list[Frame]]:
    """Slices by value, numbers rising; those without one join the others if these have only one."""
    same = _alike(dict.fromkeys(value for value in values if value is not None), attribute.within)
    kinds = list(dict.fromkeys(same.values()))
    if isinstance(attribute.word, str):
        kinds.sort(key=_numbers)
    found: dict[Hashable, list[Frame]] = {kind: [] for kind in kinds}
    alone = kinds[0] if len(kinds) == 1 else None
    for frame, value in zip(frames, values, strict=True):
        found.setdefault(alone if value is None else same[value], []).append(frame)
    return found


def _alike(values: Iterable[Hashable], within: float) -> dict[Hashable, Hashable]:
    """For each value the first that is the same, but for rounding."""
    kept = list(values)
    points = [value for value in kept if isinstance(value, tuple)] if within else []
    near = first_near(points, within)
    return {value: value for value in kept} | dict(zip(points, near, strict=True))


def _numbers(value: Hashable) -> list[float]:
    return [part for part in value if isinstance(part, float)] if isinstance(value, tuple) else []


def _words(kinds: Iterable[Hashable], attribute: Attribute) -> list[str]:
    """What to call each part; parts of one name are counted."""
    if isinstance(attribute.word, str):
        return [f"{attribute.word} {number}" for number, _ in enumerate(kinds, start=1)]
    words, seen = list[str](), Counter[str]()
    for word in map(attribute.word, kinds):
        seen[word] += 1
        words.append(f"{word} {seen[word]}" if seen[word] > 1 else word)
    return words


def _is_parting(part: Part, clusters: Sequence[Sequence[Frame]], rule: Rule) -> bool:
    few = len(clusters) <= max(2, len(part.frames) // _FEWEST)
    if rule is Rule.ALWAYS or (rule is Rule.FEW and few):
        return True
    if part.levels is None:
        sizes = {len(cluster) for cluster in clusters}
        telling = rule is Rule.STACKS or (rule is Rule.REPEATS and len(sizes) == 1)
        return telling and min(sizes) >= _FEWEST
    if part.levels.repeated:
        return (few or rule is not Rule.COUNTS) and _explains(part, part.levels, clusters)
    if part.levels.is_even or rule is Rule.FEW:
        return False
    stacks = [Part(cluster).levels for cluster in clusters]
    if not all(stack is not None and stack.is_even for stack in stacks):
        return False
    spacing = min(stack.typical for stack in stacks if stack is not None)
    return rule is not Rule.COUNTS or part.levels.typical * len(stacks) < _INTERLEAVED * spacing


def _explains(part: Part, levels: Levels, clusters: Sequence[Sequence[Frame]]) -> bool:
    """Whether positions repeat less within the clusters, of which there are no more than needed."""
    level = dict(zip(part.frames, levels.of, strict=True))
    left = sum(len(each) - len({level[frame] for frame in each}) for each in clusters)
    return len(clusters) <= levels.most and left < levels.repeated


def _location(frame: Frame) -> float | None:
    """Slice Location (0020,1041), or the position within the stack of a multi-frame object."""
    value = frame.place.traits.location
    return value[0] if value and isinstance(value[0], float) else None


def _all(values: Iterable[float | None]) -> list[float] | None:
    """The values; None where one of them is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else None


def _number(frame: Frame) -> float | None:
    return frame.file.header.instance_number


def _acquired(frame: Frame) -> tuple[object, ...]:
    """By Instance Number, Slice Location and name; what is absent comes last."""
    found = (_number(frame), _location(frame))
    return (*((value is None, value or 0.0) for value in found), *_by_name(frame))


def _by_name(frame: Frame) -> tuple[object, ...]:
    return natural(frame.file.entry.source), frame.index


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts IM2 before IM10: digits by how many there are, without leading zeros."""
    parts = re.split(r"(\d+)", name)
    return [
        (len(part.lstrip("0")), part.lstrip("0")) if i % 2 else (0, part)
        for i, part in enumerate(parts)
    ]
