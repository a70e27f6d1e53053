"""The manifest: one row a slice, and the promise that no group stands in two splits."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from slicewise.data.groups import Bond
from slicewise.data.tables import read_table, write_table
from slicewise.delimited import with_slashes
from slicewise.errors import LeakageError, ManifestError
from slicewise.imaging.read import file_and_index

SPLITS = ("train", "val", "test")
COLUMNS = (
    "path", "label", "source", "patient_id", "group", "split", "sha256", "width", "height",
)  # fmt: skip
PUBLISHED_COLUMN = "published_split"
"""Extra column: the split that a publisher's folder names."""
MASK_COLUMN = "mask"
"""Extra column: the tumor mask of the slice, `file` or `file#index`, relative like `path`."""
PUBLIC_COLUMN = "public_group"
"""Extra column: of a known public slice its group of patients, or else its set of copies."""
TAKEN_COLUMN = "taken_as"
"""Extra column: the class that training takes a slice of an unknown tumor type for."""
NOT_UTF8 = "a manifest holds names in UTF-8 only: rename the file"
_REQUIRED = ("path", "label", "source", "group", "sha256")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATIENT_PREFIX = f"{Bond.PATIENT.name.lower()}:"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One slice.

    Args:
        path: File, or `file#index` for one slice of several; relative to the manifest's folder.
        patient_id: Empty where unknown. A DICOM patient is a pseudonym.
        split: `train`, `val`, `test`, or empty where none was made.
        sha256: Of the file's bytes, in hexadecimal.
    """

    path: str
    label: str
    source: str
    patient_id: str
    group: str
    split: str
    sha256: str
    width: int
    height: int
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Rows, and the folder that their paths start from: where the manifest lies or will lie."""

    rows: tuple[ManifestRow, ...]
    folder: Path

    @property
    def sha256(self) -> str:
        """Hash of what the rows say, whatever their order and wherever the files lie."""
        lines = sorted(json.dumps(_content(row), sort_keys=True) for row in self.rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def subset(self, split: str) -> Manifest:
        """The rows of one split; `ManifestError` where it is none of `SPLITS`."""
        if split not in SPLITS:
            raise ManifestError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
        return replace(self, rows=tuple(row for row in self.rows if row.split == split))

    def resolve(self, row: ManifestRow) -> str:
        """Absolute reference to a row's slice, for `read_slice`."""
        return os.path.normpath(self.folder.absolute() / row.path)

    def resolve_mask(self, row: ManifestRow) -> str | None:
        """Absolute reference to the tumor mask of a row's slice; None where it has none."""
        mask = row.extra.get(MASK_COLUMN)
        return os.path.normpath(self.folder.absolute() / mask) if mask else None

    def write(self, path: Path) -> None:
        """Write as CSV or Parquet, by the suffix; paths become relative to the file's folder.

        The folder is made. Errors as `require_sound` and `write_table`.
        """
        self.require_sound(path)
        folder = path.absolute().parent
        folder.mkdir(parents=True, exist_ok=True)
        records = [_record(row) for row in self.rows]
        for record, row in zip(records, self.rows, strict=True):
            record["path"] = as_utf8(os.path.relpath(self.resolve(row), folder))
            if mask := self.resolve_mask(row):
                record[MASK_COLUMN] = as_utf8(os.path.relpath(mask, folder))
        extra = dict.fromkeys(name for row in self.rows for name in row.extra)
        write_table(path, records, [*COLUMNS, *extra])

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read and check a manifest, `.csv` or `.parquet`.

        Raises:
            LeakageError: If a group stands in two splits.
            ManifestError: If a column is missing, a value is off or a slice stands in two rows.
            MissingExtraError: If it is Parquet and pyarrow is not installed.
        """
        if path.is_dir():
            raise ManifestError(
                f"{path}: expected a manifest, .csv or .parquet; got a folder; `slicewise data "
                f"build {path} --out manifest.csv` makes one of it"
            )
        records = read_table(path)
        if not records:
            raise ManifestError(f"{path}: expected at least one row; got none")
        missing = [name for name in COLUMNS if name not in records[0]]
        if missing:
            raise ManifestError(f"{path}: expected columns {', '.join(COLUMNS)}; missing {missing}")
        folder = path.absolute().parent
        rows = tuple(
            _row(_slashed(record, folder), f"{path}, row {i}")
            for i, record in enumerate(records, start=1)
        )
        manifest = cls(rows, folder)
        manifest.require_sound(path)
        return manifest

    def require_sound(self, path: Path) -> None:
        """Check that no group stands in two splits and no slice (`file` is `file#0`) in two rows.

        Raises:
            LeakageError: Names how many groups do, and the first few; none that names a patient.
            ManifestError: Says how many slices do, and names the first few with both rows.
        """
        if leaking := _leaking(self.rows):
            raise LeakageError(
                f"{path}: expected every group in one split; {len(leaking)} groups are in several: "
                f"{'; '.join(leaking[:_SHOWN])}"
            )
        first: dict[tuple[str, int], int] = {}
        repeats = []
        for number, row in enumerate(self.rows, start=1):
            met = first.setdefault(slice_of(self.resolve(row)), number)
            if met != number:
                repeats.append(f"{row.path} in rows {met} and {number}")
        if repeats:
            raise ManifestError(
                f"{path}: expected every slice in one row; {len(repeats)} rows repeat another: "
                f"{'; '.join(repeats[:_SHOWN])}"
            )


def slice_of(reference: str) -> tuple[str, int]:
    """Of which file, and which of it: the only one of a file is its first."""
    file, index = file_and_index(reference)
    return file, index or 0


def _leaking(rows: Iterable[ManifestRow]) -> list[str]:
    """Groups in several splits, in words that name no patient."""
    splits: dict[str, set[str]] = {}
    private: set[str] = set()
    for row in rows:
        splits.setdefault(row.group, set()).add(row.split)
        names_patient = bool(row.patient_id) and row.patient_id in row.group
        if names_patient or row.group.startswith(_PATIENT_PREFIX):
            private.add(row.group)
    return [
        f"{'a patient' if group in private else group} in {sorted(found)}"
        for group, found in splits.items()
        if len(found) > 1
    ]


def as_utf8(name: str) -> str:
    """A file's name as a manifest has it; `ManifestError` where its bytes are not UTF-8."""
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeError:
        raise ManifestError(f"{name}: {NOT_UTF8}") from None


def _content(row: ManifestRow) -> dict[str, str]:
    """What a row says wherever its files lie: of a reference only the digits after its `#`."""
    record = _record(row)
    for name in {"path", MASK_COLUMN} & record.keys():
        file, _, index = record[name].rpartition("#")
        record[name] = index if file and index.isdecimal() else ""
    return record


def _record(row: ManifestRow) -> dict[str, str]:
    return {name: str(getattr(row, name)) for name in COLUMNS} | dict(row.extra)


def _slashed(record: dict[str, str], folder: Path) -> dict[str, str]:
    """The record with slashes in its paths where it has backslashes and no file is called so."""
    found = {
        name: with_slashes(text)
        for name in ("path", MASK_COLUMN)
        if "\\" in (text := record.get(name, ""))
        and not Path(file_and_index(str(folder / text))[0]).exists()
    }
    return record | found


def _row(record: Mapping[str, str], where: str) -> ManifestRow:
    for name in _REQUIRED:
        if not record[name]:
            raise ManifestError(f"{where}, column {name}: expected a value; got none")
    if record["split"] not in (*SPLITS, ""):
        raise ManifestError(
            f"{where}, column split: expected {', '.join(SPLITS)} or nothing; "
            f"got {record['split']!r}"
        )
    if not _SHA256.fullmatch(record["sha256"]):
        raise ManifestError(
            f"{where}, column sha256: expected 64 hexadecimal digits; got {record['sha256']!r}"
        )
    for name in ("width", "height"):
        text = record[name]
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise ManifestError(
                f"{where}, column {name}: expected a positive whole number; got {text!r}"
            )
    paths = {"path", MASK_COLUMN}  # as this system names files
    values: dict[str, Any] = {
        name: os.fsdecode(value.encode("utf-8")) if name in paths else value
        for name, value in record.items()
    }
    extra = {name: values.pop(name) for name in record if name not in COLUMNS}
    values |= {name: int(record[name]) for name in ("width", "height")}
    return ManifestRow(**values, extra=extra)
