"""Tables of text on disk: CSV, or Parquet where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from slicewise.delimited import read_delimited
from slicewise.errors import ManifestError, MissingExtraError
from slicewise.files import whole, write_csv


def read_table(path: Path, note: Callable[[str], object] | None = None) -> list[dict[str, str]]:
    """All rows of a table with a header, every value as text; CSV in any dialect, also `.tsv`.

    Args:
        note: Told in which dialect a table is written that has not commas and UTF-8.

    Raises:
        ManifestError: If it cannot be read, or a row has more or fewer values than the header.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    if path.suffix.lower() != ".tsv" and is_parquet(path):
        arrow = _pyarrow()
        try:
            records = arrow.parquet.read_table(path).to_pylist()
        except (OSError, arrow.ArrowException) as error:
            raise ManifestError(f"{path}: expected a Parquet table; {error}") from error
        return [{k: "" if v is None else str(v) for k, v in record.items()} for record in records]
    try:
        table = read_delimited(path)
    except OSError as error:
        raise ManifestError(f"{path}: expected a CSV table; {error}") from error
    except ValueError as error:
        raise ManifestError(str(error)) from error
    if table.dialect and note is not None:
        note(f"{path}: read as a table in {table.dialect}")
    return table.rows


def write_table(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
    """Write rows of text, from column name to value; what a row lacks is empty.

    Raises:
        ManifestError: If the suffix is neither `.csv` nor `.parquet`.
        MissingExtraError: If Parquet is wanted and pyarrow is not installed.
    """
    if is_parquet(path):
        arrow = _pyarrow()
        values = {name: [_held(row.get(name, "")) for row in rows] for name in columns}
        with whole(path) as draft:
            arrow.parquet.write_table(arrow.table(values), draft)
        return
    cells = ([_held(row.get(name, "")) for name in columns] for row in rows)
    write_csv(path, chain([columns], cells))


def _held(text: str) -> str:
    """Text that UTF-8 can hold; of bytes that Python could not decode, as far as they are UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_parquet(path: Path) -> bool:
    """Whether a table is Parquet, by its suffix, or CSV; `ManifestError` where it is neither."""
    if path.suffix.lower() not in {".csv", ".parquet"}:
        raise ManifestError(f"{path}: expected a table named .csv or .parquet; save it as CSV")
    return path.suffix.lower() == ".parquet"


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Parquet", "evaluate") from error
    return pyarrow
