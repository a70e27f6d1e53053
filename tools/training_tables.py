"""Write the tables that say which slices of the newer collections train the bundled model.

    python tools/split_channels.py DATA/tcga_lgg DATA/tcga_lgg_channels
    python tools/training_tables.py --base DATA --out models/four_class --boxes FOLDER

`OUT` holds `data.yaml` and the tables of the older collections, and gets `feltrin44.csv`,
`tcga_lgg.csv`, `rsna_t1ce.csv` and `ds002748.csv`: which slices are kept, why others are not, and
the fold of each group. A group that shares a picture with an older one stands in its fold; the
others are dealt, whole, so that classes, collections and slices are spread evenly. `FOLDER` gets
`boxes.csv`, the boxes round the tumors of all collections that have boxes or masks. The same files
give the same tables again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from slicewise.data.build.build import clustered, collect
from slicewise.data.build.config import read_build_config
from slicewise.data.build.sources import Item
from slicewise.data.build.splits import deal, homes
from slicewise.data.duplicates.search import find_pairs
from slicewise.data.groups import connected
from slicewise.data.tasks import parse_task
from split_channels import channel_path, channels, read_rows, shows_head

FOLDS = ("1", "2", "4", "5")
SEED = 84
"""Of 1 to 100 the one that deals classes, collections and tumor sizes most evenly, with the whole
series of three patients in each fold; chosen before anything was trained."""
STRIPPED = {"axial": 40, "sagittal": 21, "coronal": 20}
"""Skull-stripped gliomas by plane: one and a half times the slices without tumor of `ds002748`, in
each plane. There are about one and a half times as many gliomas as slices without tumor in all, so
that the same share of both classes is stripped, and neither that nor the plane tells the class."""
SAME_PERSON = (
    "gli 17 19", "gli 21 22 25", "gli 29 52 57 61", "gli 35 51 59", "gli 39 42 43",
    "gli 44 45 47 48 49", "gli 53 58 63", "gli 55 60", "gli 66 73 77", "gli 68 83",
    "gli 72 81 84 89", "gli 80 82 86 88", "gli 91 94", "gli 101 103 105 107 110 113",
    "men 2 54", "men 3 65", "men 4 52", "men 5 56", "men 8 59", "men 13 58", "men 26 28",
    "men 31 32", "men 37 38", "men 44 53 57", "men 51 55",
)  # fmt: skip
"""Groups of `feltrin44` that look like one person: the same tumor at other levels of the head, in
pictures of one size and contrast, or files numbered or timed one after the other. Judged by eye."""
NOT_A_CLASS = "another kind of tumor ({label}): it is measured on and trains nothing"
ENOUGH = "skull-stripped: the share of such slices stays low"
NO_HEAD = "no head on this slice"
TABLE_COLUMNS = ("path", "sha256", "kept", "reason", "unit", "fold")
BOX_COLUMNS = ("path", "x_center", "y_center", "width", "height")
DIGITS = 6
PARTS = 3

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One slice of a table.

    Args:
        path: As `data build` looks it up.
        sha256: Of the published file.
        unit: Its patient or group.
        reason: Why it is left out; empty where it is kept.
        kind: What is spread evenly over the folds beside its class.
        series: Whether it is one of a whole series of its patient.
    """

    path: str
    sha256: str
    unit: str
    kind: str
    reason: str = ""
    series: bool = False
    fold: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The table of one collection.

    Args:
        name: Of the collection, and of its table.
        unit: Name of the column of patients or groups.
        with_series: Whether the table tells whole series.
    """

    name: str
    unit: str
    entries: tuple[Entry, ...]
    with_series: bool = False

    def in_folds(self, folds: Mapping[str, str]) -> Listing:
        """The same with the fold of each unit, where a slice is kept."""
        entries = (
            entry if entry.reason else replace(entry, fold=folds[entry.unit])
            for entry in self.entries
        )
        return replace(self, entries=tuple(entries))

    def write(self, folder: Path) -> None:
        """Write the table, sorted by path."""
        extra = ["whole_series"] if self.with_series else []
        columns = [self.unit if name == "unit" else name for name in TABLE_COLUMNS]
        rows = [
            [
                *(entry.path, entry.sha256, "no" if entry.reason else "yes", entry.reason),
                *(entry.unit, entry.fold),
                *(["yes" if entry.series and not entry.reason else "no"] if extra else []),
            ]
            for entry in sorted(self.entries, key=lambda entry: entry.path)
        ]
        write_rows(folder / f"{self.name}.csv", [*columns, *extra], rows)


def main(base: Path, out: Path, boxes: Path | None) -> None:
    """Write the tables, without folds and then with them, and the boxes."""
    listings = [feltrin44(base), tcga_lgg(base), rsna_t1ce(base), ds002748(base)]
    for listing in listings:
        listing.write(out)
    folds = folds_of_units(out / "data.yaml", base, listings)
    for listing in listings:
        listing.in_folds(folds[listing.name]).write(out)
        kept = [entry for entry in listing.entries if not entry.reason]
        print(f"{listing.name}: {len(kept)} of {len(listing.entries)} slices kept")
    if boxes is not None:
        boxes.mkdir(parents=True, exist_ok=True)
        rows = sorted(all_boxes(base))
        write_rows(boxes / "boxes.csv", BOX_COLUMNS, rows)
        print(f"{len(rows)} boxes: {boxes / 'boxes.csv'}")


def feltrin44(base: Path) -> Listing:
    """Gliomas and meningiomas are kept; the eight other kinds of tumor are not."""
    persons = one_name(SAME_PERSON)
    entries = []
    for row in read_rows(base / "feltrin44" / "slices.csv"):
        typed = row["label"] in {"glioma", "meningioma"}
        reason = "" if typed else NOT_A_CLASS.format(label=row["label"])
        group = persons.get(row["group"], row["group"])
        entries.append(entry_of(base, "feltrin44", row, group, reason))
    return Listing("feltrin44", "group", tuple(entries))


def one_name(persons: Sequence[str]) -> dict[str, str]:
    """From each group of a person to the first of them; `gli 17 19` are `fe_gli_17` and 19."""
    names = {}
    for person in persons:
        label, *numbers = person.split()
        names |= {f"fe_{label}_{number}": f"fe_{label}_{numbers[0]}" for number in numbers}
    return names


def tcga_lgg(base: Path) -> Listing:
    """Every channel of every picture that shows a head; the hash is the picture's.

    Small, middle and large tumors are spread evenly over the folds, and so are whole series.
    """
    entries = []
    rows = read_rows(base / "tcga_lgg" / "slices.csv")
    sizes = np.array([int(row["tumor_pixels"]) for row in rows])
    thirds = np.quantile(sizes[sizes > 0], (1 / 3, 2 / 3))
    for row, size in zip(rows, sizes, strict=True):
        picture = base / "tcga_lgg" / row["path"]
        digest = sha256_of(picture)
        for sequence, pixels in channels(picture):
            reason = "" if shows_head(pixels) else NO_HEAD
            path = channel_path(row["path"], sequence)
            whole = row["whole_series"] == "1"
            kind = f"tumor {np.searchsorted(thirds, size)}" if size else f"series {whole}"
            unit = row["patient_id"]
            entries.append(Entry(path, digest, unit, f"tcga_lgg {kind}", reason, whole))
    return Listing("tcga_lgg", "patient", tuple(entries), with_series=True)


def rsna_t1ce(base: Path) -> Listing:
    """Some skull-stripped gliomas, one slice a patient and so many of each plane."""
    rows = read_rows(base / "rsna_t1ce" / "slices.csv")
    kept = drawn(rows, STRIPPED)
    entries = [
        entry_of(base, "rsna_t1ce", row, row["group"], "" if row["path"] in kept else ENOUGH)
        for row in rows
    ]
    return Listing("rsna_t1ce", "patient", tuple(entries))


def ds002748(base: Path) -> Listing:
    """All skull-stripped slices without tumor."""
    rows = read_rows(base / "ds002748" / "slices.csv")
    entries = [entry_of(base, "ds002748", row, row["group"], "") for row in rows]
    return Listing("ds002748", "patient", tuple(entries))


def drawn(rows: Rows, wanted: Mapping[str, int]) -> set[str]:
    """Paths of so many slices of each plane, no two of one group, in an order drawn by hash."""
    left = dict(wanted)
    groups: set[str] = set()
    chosen: set[str] = set()
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["path"].encode()).hexdigest()):
        if left[row["plane"]] and row["group"] not in groups:
            left[row["plane"]] -= 1
            groups.add(row["group"])
            chosen.add(row["path"])
    if any(left.values()):
        raise ValueError(f"expected so many more slices of other groups: {left}")
    return chosen


def entry_of(base: Path, name: str, row: Mapping[str, str], unit: str, reason: str) -> Entry:
    """A slice of a collection that lies in class folders."""
    return Entry(f"{name}/{row['path']}", sha256_of(base / name / row["path"]), unit, name, reason)


def folds_of_units(
    recipe: Path, base: Path, listings: Sequence[Listing]
) -> dict[str, dict[str, str]]:
    """The fold of each unit of each listing, by the names of listing and unit.

    All slices of the recipe are read and their copies looked for, as `data build` does. Slices that
    are tied to others with a fold stand in the fold of most of these.
    """
    config = read_build_config(recipe, base)
    collected = collect(config, parse_task(config.task), None)
    items = clustered(collected.items, find_pairs(collected.prints))
    tied = connected([item.ties for item in items])
    given = homes((root, item.fold) for root, item in zip(tied, items, strict=True) if item.fold)
    report_ties(items, tied, given)
    kinds = {entry.path: entry.kind for listing in listings for entry in listing.entries}
    names: dict[int, str] = {}
    for root, item in zip(tied, items, strict=True):
        name = f"{item.source}:{unit_of(item)}"
        names[root] = min(name, names.get(root, name))
    free = [index for index, root in enumerate(tied) if root not in given]
    dealt = deal(
        [names[tied[index]] for index in free],
        [items[index].trained_as for index in free],
        [kinds[path_of(items[index])] for index in free],
        shares={fold: 1 / len(FOLDS) for fold in FOLDS},
        seed=SEED,
    )
    fold_of = dict(zip((tied[index] for index in free), dealt, strict=True)) | given
    folds: dict[str, dict[str, str]] = {listing.name: {} for listing in listings}
    for root, item in zip(tied, items, strict=True):
        if item.source in folds:
            folds[item.source][unit_of(item)] = fold_of[root]
    return folds


def unit_of(item: Item) -> str:
    """The patient or group that the table names."""
    return item.known.patient or item.known.group


def path_of(item: Item) -> str:
    """The path of a new slice in its table, which all have three parts."""
    return PurePath(*item.file.parts[-PARTS:]).as_posix()


def report_ties(items: Sequence[Item], tied: Sequence[int], given: Mapping[int, str]) -> None:
    """Print which new groups share pictures with groups that have a fold, and where they go."""
    lines: Counter[str] = Counter()
    for root, item in zip(tied, items, strict=True):
        if root in given and not item.fold:
            lines[f"{item.source}:{unit_of(item)} joins fold {given[root]}"] += 1
    for line, count in sorted(lines.items()):
        print(f"tied to an older group: {line} ({count} slices)")


def all_boxes(base: Path) -> Iterator[tuple[str, ...]]:
    """Boxes round tumors: of Figshare, of the newer collections, and round masks."""
    label_of = {row["number"]: row["label"] for row in read_rows(base / "figshare" / "folds.csv")}
    for row in read_rows(base / "figshare" / "boxes.csv"):
        if row["number"] in label_of:
            path = f"figshare/{label_of[row['number']]}/{row['number']}.jpg"
            yield (path, *(row[name] for name in BOX_COLUMNS[1:]))
    for name in ("feltrin44", "rsna_t1ce"):
        for row in read_rows(base / name / "slices.csv"):
            if row["box_x"]:
                columns = ("box_x", "box_y", "box_width", "box_height")
                yield (f"{name}/{row['path']}", *(row[column] for column in columns))
    channels_folder = base / "tcga_lgg_channels"
    for row in read_rows(channels_folder / "slices.csv"):
        if int(row["tumor_pixels"]):
            box = box_of(np.asarray(Image.open(channels_folder / row["mask"])) > 0)
            yield (row["path"], *(f"{number:.{DIGITS}f}" for number in box))


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Centre x, y, width and height of all that is true, as fractions of the picture."""
    (top, bottom), (left, right) = (
        (int(places[0]), int(places[-1]) + 1)
        for places in (np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0)))
    )
    height, width = mask.shape
    return (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )


def sha256_of(path: Path) -> str:
    """Hash of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--out", type=Path, required=True, help="folder of data.yaml")
    parser.add_argument("--boxes", type=Path, help="folder for boxes.csv; without it none")
    main(**vars(parser.parse_args()))
