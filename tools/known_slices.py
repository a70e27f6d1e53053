"""Write the index of known public slices that ships with SliceWise.

    python tools/known_slices.py DATA/known_slices.csv.gz src/slicewise/data/public/slices.npz

The table has a row a file of the older public collections: hashes of its bytes and of its pixels,
collection, published label, group of patients or cluster of copies, Figshare number, whether it is
mirrored, and whether the labels of its cluster contradict each other. Of a hash the index keeps the
first 64 bits. The same table gives the same bytes again. Groups and clusters are names that
manifests and bundles keep: a later table must give new ones to new pictures, and no old one to
others.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import write_arrays
from slicewise.data.public.index import FORMAT, PublicIndex, prefix_of
from slicewise.data.tasks import BINARY, FOUR_CLASS
from slicewise.files import whole

VERSION = 1
"""Of the content; the next table gets the next number."""
MOST_BYTES = 400_000
NUMBERS = 3
LABELS = {*FOUR_CLASS.classes, *BINARY.classes}

Row = Mapping[str, str]


def main(table: Path, out: Path) -> None:
    """Write the index and say what is in it."""
    content = index_bytes(read_table(table))
    if len(content) > MOST_BYTES:
        raise ValueError(f"expected at most {MOST_BYTES} bytes; got {len(content)}")
    with whole(out) as draft:
        draft.write_bytes(content)
    print(f"{out}: {len(content)} bytes; {PublicIndex.load(out).described}")


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of the table."""
    with gzip.open(path, "rt", encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def index_bytes(rows: Sequence[Row], version: int = VERSION) -> bytes:
    """Content of the index; `ValueError` where rows contradict each other, or hashes collide."""
    files = unique(rows, "file_sha256", "pixel_sha256")
    pictures = unique(rows, "pixel_sha256", "cluster", "mirrored")
    published: dict[str, set[str]] = {name: set() for name in pictures}
    for row in rows:
        if row["published_label"] not in LABELS:
            raise ValueError(f"expected a label of {sorted(LABELS)}; got {row['published_label']}")
        one = f"{row['collection']}:{row['published_label']}"
        published[row["pixel_sha256"]].add(one)
    lines = {name: " ".join(sorted(own)) for name, own in published.items()}
    publications = sorted(set(lines.values()))
    ordered = sorted(pictures)
    place = {name: number for number, name in enumerate(ordered)}
    return write_arrays({
        "format": np.array(FORMAT, np.uint8),
        "version": np.array(version, np.uint16),
        "files": prefixes(sorted(files)),
        "picture_of_file": np.array([place[files[name][0]] for name in sorted(files)], np.uint16),
        "pictures": prefixes(ordered),
        "cluster": np.array([int(pictures[name][0]) for name in ordered], np.uint16),
        "published": np.array([publications.index(lines[name]) for name in ordered], np.uint8),
        "mirrored": np.array([pictures[name][1] == "1" for name in ordered]),
        **of_clusters(rows),
        "publications": text(publications),
    })  # fmt: skip


def of_clusters(rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
    """The arrays along sets of copies."""
    clusters = unique(rows, "cluster", "group", "label_conflict")
    names = sorted({group for group, _ in clusters.values() if not group.startswith("cluster:")})
    count = max(map(int, clusters)) + 1
    group, conflict = np.zeros(count, np.uint8), np.zeros(count, np.bool_)
    figshare = np.zeros((count, NUMBERS), np.uint16)
    for cluster, (name, odd) in clusters.items():
        group[int(cluster)] = names.index(name) + 1 if name in names else 0
        conflict[int(cluster)] = odd == "1"
    numbers = {(int(row["cluster"]), int(row["figshare_number"] or 0)) for row in rows}
    for cluster, number in sorted(numbers):
        if number:
            figshare[cluster, np.flatnonzero(figshare[cluster] == 0)[0]] = number
    return {
        "group_of_cluster": group,
        "figshare": figshare,
        "conflict": conflict,
        "groups": text(names),
    }


def unique(rows: Iterable[Row], key: str, *columns: str) -> dict[str, tuple[str, ...]]:
    """From each value of the key column to its values of others, of which it has one each."""
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        values = tuple(row[name] for name in columns)
        if found.setdefault(row[key], values) != values:
            raise ValueError(f"{key} {row[key]}: expected one {', '.join(columns)}; got several")
    return found


def prefixes(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """The first 64 bits of ascending hashes, no two alike."""
    found = np.array([prefix_of(name) for name in hashes], np.uint64)
    if len(np.unique(found)) < len(found):
        raise ValueError("expected hashes that differ in their first 64 bits; got two that do not")
    return found


def text(lines: Sequence[str]) -> NDArray[np.uint8]:
    """Lines of ASCII."""
    return np.frombuffer("\n".join(lines).encode("ascii"), np.uint8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("table", type=Path, help="the table of known slices, .csv.gz")
    parser.add_argument("out", type=Path, help="the index to write, .npz")
    given = parser.parse_args()
    main(given.table, given.out)
