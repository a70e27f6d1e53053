"""What the index of public slices knows of files and folders of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slicewise.data.public.index import PublicIndex, PublicSlice, pixels_sha256
from slicewise.errors import InputError
from slicewise.imaging.discovery import entry_or_failure, ignore_skip, is_bystander, is_folder, walk
from slicewise.imaging.entry import Entry
from slicewise.imaging.limits import DEFAULT_LIMITS
from slicewise.imaging.read import read_inputs
from slicewise.imaging.slice import Failure, Series, failure_of
from slicewise.text import counted

COLUMNS = (
    "path", "known_by", "group", "patients", "cluster", "published", "collections",
    "figshare_numbers", "mirrored", "contradicting_labels", "error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Looked:
    """One slice that was looked up: `file`, `file#index` or a member of a zip; None if unknown."""

    source: str
    found: PublicSlice | None

    def as_json(self) -> dict[str, object]:
        """As `data known --json` prints it; an unknown one has no more than its path."""
        return {"path": self.source, "known": self.found is not None} | (
            self.found.as_json() if self.found else {}
        )

    def text(self) -> str:
        """One line."""
        if self.found is None:
            return f"{self.source}: unknown"
        found, of = self.found, ""
        names = ", ".join(f"{collection} ({label})" for collection, label in found.published)
        if found.figshare:
            turned = ", mirrored" if found.mirrored else ""
            of = f"; slice {' or '.join(map(str, found.figshare))} of Figshare{turned}"
        if found.elsewhere:
            names += f"; copies in {', '.join(found.elsewhere)}"
        odd = (
            f"; labels contradict: {', '.join(found.contradicting)}" if found.contradicting else ""
        )
        return f"{self.source}: known by {found.match}: {names}; group {found.group}{of}{odd}"

    def row(self) -> dict[str, str]:
        """As `data known --csv` writes it."""
        if self.found is None:
            return {"path": self.source}
        found = self.found
        return {
            "path": self.source,
            "known_by": found.match,
            "group": found.group,
            "patients": "yes" if found.patients else "no",
            "cluster": str(found.cluster),
            "published": " ".join(map(":".join, found.published)),
            "collections": " ".join(found.collections),
            "figshare_numbers": " ".join(map(str, found.figshare)),
            "mirrored": "yes" if found.mirrored else "no",
            "contradicting_labels": " ".join(found.contradicting),
        }


@dataclass(slots=True)
class LookUp:
    """All that was looked up, and the files that could not be read beside them."""

    slices: list[Looked] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """As `data known --json` prints it."""
        errors = [{"path": bad.source, "error": bad.error} for bad in self.failures]
        return {"slices": [one.as_json() for one in self.slices], "errors": errors}

    def rows(self) -> list[dict[str, str]]:
        """Rows of a table with `COLUMNS`."""
        errors = [{"path": bad.source, "error": bad.error} for bad in self.failures]
        return [one.row() for one in self.slices] + errors

    def summary(self) -> str:
        """One line: how many, how many of them known, how many distinct, in how many groups."""
        known = [one.found for one in self.slices if one.found]
        distinct, groups = len({one.cluster for one in known}), len({one.group for one in known})
        odd = sum(bool(one.contradicting) for one in known)
        text = f"{counted(len(self.slices), 'slice')}, {len(known):,} known"
        if known:
            text += f": {counted(distinct, 'distinct slice')} in {counted(groups, 'group')}"
        if odd:
            text += f"; {odd:,} with contradicting labels"
        if self.failures:
            text += f"; {counted(len(self.failures), 'error')}"
        return text


def look_up(
    paths: Iterable[str | Path], index: PublicIndex, skip: Callable[[str], object]
) -> Iterator[Looked | Failure]:
    """What is known of each slice below the paths, one after another; none costs another.

    Args:
        paths: Files of any format that is read, and folders of them.
        skip: Is told of every file of a folder that is no image.
    """
    for path in map(Path, paths):
        if is_folder(path):
            empty = True
            for found in walk(path, skip=skip):
                for one in _looked(found, index, skip):
                    empty = False
                    yield one
            if empty:
                yield Failure(str(path), "expected at least one image, got none")
        else:
            yield from _looked(entry_or_failure(path), index, None)


def _looked(
    entry: Entry | Failure, index: PublicIndex, skip: Callable[[str], object] | None
) -> Sequence[Looked | Failure]:
    """By the bytes first: what is known by them is not decoded."""
    if isinstance(entry, Failure):
        return [entry]
    try:
        if skip is not None and is_bystander(entry):
            skip(entry.source)
            return []
        if entry.size <= DEFAULT_LIMITS.max_bytes:
            with Path(entry.source).open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            found = index.find([digest], [""])[0]
            if found:
                return [Looked(entry.source, found)]
        answers = list(read_inputs([entry], skip=skip or ignore_skip))
    except OSError as error:
        return [Failure(entry.source, f"expected a readable file; {error.strerror}")]
    except InputError as error:
        return [failure_of(entry.source, error)]
    slices = [one for answer in answers if isinstance(answer, Series) for one in answer.slices]
    known = index.find([""] * len(slices), [pixels_sha256(one) for one in slices])
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    return [*(Looked(one.source, two) for one, two in zip(slices, known, strict=True)), *failures]
