"""Tiny indexes of known public slices, made of files that a test has drawn."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def row_of(path: Path, cluster: int, group: str = "", **changes: str) -> dict[str, str]:
    """The row of a file in the table that the index is made of, by the table's own definition."""
    with Image.open(path) as picture:
        grey = picture.convert("L")
    shaped = f"{grey.width}x{grey.height}:".encode("ascii")
    return {
        "file_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "pixel_sha256": hashlib.sha256(shaped + grey.tobytes()).hexdigest(),
        "collection": "nickparvar",
        "published_label": "glioma",
        "group": group or f"cluster:{cluster}",
        "cluster": str(cluster),
        "figshare_number": "",
        "mirrored": "0",
        "label_conflict": "0",
        **changes,
    }


def known_slices() -> ModuleType:
    """The tool that writes indexes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        return importlib.import_module("known_slices")


def index_of(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """An index of these rows, written to a new file."""
    path.write_bytes(known_slices().index_bytes(rows, 7))
    return path


def ship(monkeypatch: pytest.MonkeyPatch, index: Path) -> None:
    """From now on this index is the one that ships."""
    monkeypatch.setattr("slicewise.data.public.index.INDEX_PATH", index)


def rows_of(
    folder: Path, groups: dict[str, tuple[int, str]], **changes: str
) -> Iterator[dict[str, str]]:
    """Rows of the files whose stems are named, with cluster and group."""
    for path in sorted(folder.rglob("*.*")):
        if path.stem in groups:
            cluster, group = groups[path.stem]
            yield row_of(path, cluster, group, published_label=path.parent.name, **changes)
