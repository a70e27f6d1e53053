"""Answers as a table: one row a slice, under the names that JSON has for them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile

from slicewise.files import row_writer, whole
from slicewise.imaging.slice import Failure
from slicewise.inference.decision import BundleReference, Prediction
from slicewise.output.sink import Item
from slicewise.predictions.table import JOINT
from slicewise.text import printable


class CsvSink:
    """A CSV file in UTF-8; an input that failed is a row with its `error`.

    The columns are those of a prediction: `p_<class>` for the probabilities, `bundle_name`,
    `bundle_version` and `bundle_sha256` for the bundle. Lists are joined by semicolons, what is
    null is empty. Control characters in a name are escapes, so that a row is one line.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        """Write to `path` once closed.

        Args:
            path: The file; its folder is made where it is missing.
            classes: Of the model, in order.
        """
        self._path = path
        self._rows = TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115
        self._write = row_writer(self._rows)
        parts = {
            "probabilities": [f"p_{name}" for name in classes],
            "bundle": [f"bundle_{field.name}" for field in fields(BundleReference)],
        }
        names = [parts.get(field.name, [field.name]) for field in fields(Prediction)]
        self._columns = [*chain.from_iterable(names), "error"]
        self._write(self._columns)

    def write(self, item: Item) -> None:
        """Take one row a slice, or the row of an error."""
        if isinstance(item, Failure):
            rows = [asdict(item)]
        else:
            rows = [_cells(answer.prediction) for answer in item.answers]
        for row in rows:
            self._write([_cell(row.get(name)) for name in self._columns])

    def close(self) -> None:
        """Put the file in place."""
        self._rows.seek(0)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with whole(self._path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
            shutil.copyfileobj(self._rows, file)
        self._rows.close()


def _cells(prediction: Prediction) -> dict[str, object]:
    cells = asdict(prediction)
    cells |= {f"p_{name}": share for name, share in prediction.probabilities.items()}
    return cells | {f"bundle_{name}": value for name, value in cells["bundle"].items()}


def _cell(value: object) -> object:
    if isinstance(value, list):
        return JOINT.join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return printable(value) if isinstance(value, str) else value
