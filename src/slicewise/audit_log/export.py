"""Predictions and feedback as tables for other programs: CSV, or Parquet where pyarrow is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Double, Table, Text

from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.tables import Span, count_of, moment, rows_of
from slicewise.errors import AuditError, ManifestError, MissingExtraError
from slicewise.files import harmless, whole, write_csv
from slicewise.progress import Progress, ProgressCount

NUMBERS = frozenset({"probabilities", "summary"})  # columns of JSON text that hold numbers by name
TEXTS = frozenset({"prediction_set", "reasons"})  # columns of JSON text that hold a list of texts
NEWER_NAMES = {"ood_score": "distance"}  # written a second time, under the name of today

GROUP = 5000  # rows of one group of a Parquet file, which stand in memory together


def export(
    log: AuditLog, table: Table, out: Path, span: Span, progress: Progress | None = None
) -> int:
    """Write the rows of a chain to a `.csv` or `.parquet` file, and give how many there were.

    In CSV, mappings and lists are JSON text, and text that a spreadsheet would run as a formula
    begins with an apostrophe. In Parquet they are maps and lists, and times are times.

    Raises:
        AuditError: If the database fails, or a row was changed so that it cannot be read.
        ManifestError: If the suffix is another one.
        MissingExtraError: If Parquet is wanted and pyarrow is not installed.
    """
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise ManifestError(f"{out}: expected a table named .csv or .parquet")
    columns = [column.name for column in table.c]
    columns += [name for name, stored in NEWER_NAMES.items() if stored in columns]
    tally = ProgressCount(progress, table.name, count_of(log.database, table, span))

    def rows() -> Iterator[dict[str, Any]]:
        for row in rows_of(log.database, table, span):
            yield {name: row[NEWER_NAMES.get(name, name)] for name in columns}
            tally()

    if out.suffix.lower() == ".csv":
        cells = ([harmless(value) for value in row.values()] for row in rows())
        write_csv(out, chain([columns], cells))
    else:
        _write_parquet(table, columns, out, rows())
    return tally.done


def _write_parquet(
    table: Table, columns: list[str], out: Path, rows: Iterator[dict[str, Any]]
) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Parquet", "evaluate") from error
    types = [_arrow_type(table.c[NEWER_NAMES.get(name, name)]) for name in columns]
    schema = pyarrow.schema(list(zip(columns, types, strict=True)))
    with whole(out) as draft, parquet.ParquetWriter(draft, schema) as writer:
        while group := [_native(row) for row in islice(rows, GROUP)]:
            writer.write_table(pyarrow.Table.from_pylist(group, schema))


def _arrow_type(column: Any) -> Any:
    import pyarrow

    if column.name in NUMBERS:
        return pyarrow.map_(pyarrow.string(), pyarrow.float64())
    if column.name in TEXTS:
        return pyarrow.list_(pyarrow.string())
    if column.name == "created":
        return pyarrow.timestamp("us", tz="UTC")
    plain = {Text: pyarrow.string(), Double: pyarrow.float64(), Boolean: pyarrow.bool_()}
    return plain.get(type(column.type), pyarrow.int64())


def _native(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its JSON text and time read."""
    try:
        return {name: _value(name, value) for name, value in row.items()}
    except (ValueError, TypeError, AttributeError):
        raise AuditError(f"row {row['seq']} is not as it was written") from None


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in NUMBERS:
        return list(json.loads(value).items())
    if name in TEXTS:
        return json.loads(value)
    return moment(value) if name == "created" else value
