"""What a user knows about slices beside their folders: a table, or a pattern on the path."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from slicewise.data.manifest import (
    COLUMNS,
    MASK_COLUMN,
    PUBLIC_COLUMN,
    PUBLISHED_COLUMN,
    TAKEN_COLUMN,
)
from slicewise.data.tables import read_table
from slicewise.delimited import with_slashes
from slicewise.errors import ManifestError

FIELDS = ("patient", "group", "fold")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Known:
    """What a user says of one slice; empty where nothing is said.

    Patient and group are unique within their source; a fold is the same in every source. `taken` is
    the class that training takes the slice for, where its label leaves several open.
    """

    patient: str = ""
    group: str = ""
    fold: str = ""
    excluded: str = ""
    taken: str = ""


NOTHING_KNOWN = Known()

UsedRows = dict[tuple[Path, str], Path]
"""Which file used which row: from table and key to the file."""


class TableSpec(BaseModel):
    """Where a table is and what its columns mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(description="As given, or else below the root that is built from.")
    key: str = Field(
        description="Column that names the slice: relative path, file name with or without suffix."
    )
    patient_column: str | None = Field(None, description="Column of patient ids.")
    group_column: str | None = Field(None, description="Column of leak-free groups.")
    fold_column: str | None = Field(None, description="Column of folds.")
    keep_column: str | None = Field(None, description="Column of yes or no; no is left out.")
    reason_column: str | None = Field(None, description="Column that says why it is left out.")
    taken_column: str | None = Field(
        None, description="Column of classes that training takes untyped slices for, or empty."
    )

    @field_validator("fold_column")
    @classmethod
    def _no_column_of_the_manifest(cls, name: str | None) -> str | None:
        """The fold keeps its column's name in the manifest, which must have none such."""
        if name in (*COLUMNS, PUBLISHED_COLUMN, MASK_COLUMN, PUBLIC_COLUMN, TAKEN_COLUMN):
            raise ValueError(f"expected a name that is no manifest column; got {name!r}: rename it")
        return name

    @model_validator(mode="after")
    def _reasons_are_of_keep(self) -> Self:
        if self.reason_column and not self.keep_column:
            raise ValueError("reason_column: expected a keep_column beside it; got none")
        return self

    def columns(self) -> list[str]:
        """The columns that must be there."""
        return [name for field, name in self if field != "path" and name]


class Table:
    """A user's table, looked up by the path of a slice relative to `root`.

    Raises:
        ManifestError: If it is missing, lacks a column or names a slice twice.
    """

    def __init__(
        self, spec: TableSpec, root: Path, note: Callable[[str], object] | None = None
    ) -> None:
        self.spec = spec
        places = (spec.path, root / spec.path)
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise ManifestError(f"{spec.path}: expected a table there or at {places[1]}")
        self.path = found
        self._root = root.resolve()
        rows = read_table(self.path, note)
        missing = [name for name in spec.columns() if rows and name not in rows[0]]
        if missing or not rows:
            has = ", ".join(rows[0]) if rows else "no rows"
            raise ManifestError(
                f"{self.path}: expected columns {', '.join(spec.columns())}; got {has}"
            )
        self._rows: dict[str, Known] = {}
        for row in rows:
            key = PurePath(row[spec.key]).as_posix()
            if key in self._rows:
                raise ManifestError(f"{self.path}, column {spec.key}: {key!r} stands there twice")
            self._rows[key] = self._known(row)
        self._slashed = {  # as Windows names files
            PurePath(with_slashes(key).strip()).as_posix(): key for key in self._rows
        }

    def look_up(self, inner: Sequence[PurePath], used: UsedRows) -> list[Known]:
        """What the table says of each file; `used` are rows that files of other roots used.

        Raises:
            ManifestError: If a file has no row, or a row serves two files, as a bare name may that
                stands in two folders.
        """
        where = f"{self.path}, column {self.spec.key}"
        keys = {path: key for path in inner if (key := self._key(path)) is not None}
        lost = [path.as_posix() for path in inner if path not in keys]
        if lost:
            raise ManifestError(
                f"{where}: {len(lost)} slices have no row; expected their relative path, file name "
                f"or file name without suffix, such as {', '.join(lost[:_SHOWN])}"
            )
        table = self.path.resolve()
        for path, key in keys.items():
            file = self._root / path
            other = used.setdefault((table, key), file)
            if other != file:
                raise ManifestError(
                    f"{where}: expected one slice for row {key!r}; got {other} and {file}. Name "
                    "slices by relative path, where need be with the root's name before it"
                )
        return [self._rows[keys[path]] for path in inner]

    def _key(self, inner: PurePath) -> str | None:
        path = inner.as_posix()
        without = inner.with_suffix("").as_posix()
        names = (f"{self._root.name}/{path}", path, without, inner.name, inner.stem)
        given = next((name for name in names if name in self._rows), None)
        return given or next((self._slashed[name] for name in names if name in self._slashed), None)

    def _known(self, row: Mapping[str, str]) -> Known:
        spec = self.spec

        def value(column: str | None) -> str:
            return row[column].strip() if column else ""

        kept = value(spec.keep_column) if spec.keep_column else "yes"
        if kept.lower() not in {"yes", "no"}:
            raise ManifestError(
                f"{self.path}, column {spec.keep_column}: expected yes or no; got {kept!r}"
            )
        reason = value(spec.reason_column) or f"{spec.keep_column} is no in {self.path.name}"
        return Known(
            patient=value(spec.patient_column),
            group=value(spec.group_column),
            fold=value(spec.fold_column),
            excluded=reason if kept.lower() == "no" else "",
            taken=value(spec.taken_column),
        )


def require_pattern(text: str) -> str:
    """A regular expression as it is; `ValueError` where it names no patient, group or fold."""
    try:
        names = set(re.compile(text).groupindex)
    except re.error as error:
        raise ValueError(f"expected a regular expression; {error}") from error
    if not names or not names <= set(FIELDS):
        raise ValueError(
            "expected groups named (?P<patient>...), (?P<group>...) or (?P<fold>...); got "
            f"{', '.join(sorted(names)) or 'none'}"
        )
    return text


def known_by_path(pattern: str, inner: PurePath) -> Known:
    """What a pattern finds in a path; a path without a match is an error."""
    match = re.search(pattern, inner.as_posix())
    if match is None:
        raise ManifestError(f"{inner}: expected a path in which {pattern!r} is found")
    return Known(**{name: value or "" for name, value in match.groupdict().items()})


def merged(by_table: Known, by_path: Known, where: str) -> Known:
    """What table and path say together of a slice that errors call `where`; no contradictions."""
    values = asdict(by_table)
    for name, two in asdict(by_path).items():
        one = values[name]
        if one and two and one != two:
            if name == "patient":
                raise ManifestError(f"{where}: the table and the path name different patients")
            raise ManifestError(f"{where}: {name} is {one!r} by the table and {two!r} by the path")
        values[name] = one or two
    return Known(**values)
