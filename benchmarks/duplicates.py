"""How well copies are found: made copies, real copies between collections, false joins.

    python -m benchmarks.duplicates DATA [--slices 400] [--sheets DIR]

DATA holds `figshare/` (with `folds.csv`), `nickparvar/`, `br35h/` and `navoneel/`. The parameters
were chosen on Figshare's folds 1 and 2; made copies and neighbours are reported on folds 4 and 5.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from slicewise.data.build.build import Collected, collect
from slicewise.data.build.config import config_of
from slicewise.data.build.sources import Item
from slicewise.data.duplicates.fingerprint import Fingerprints, fingerprints
from slicewise.data.duplicates.search import Pair, find_pairs, match
from slicewise.data.groups import clusters
from slicewise.data.tasks import parse_task
from slicewise.stats.intervals import wilson

REPORT_FOLDS = frozenset({"4", "5"})
SOURCES = ("figshare", "nickparvar", "br35h", "navoneel")
TASK = "glioma,meningioma,pituitary,no_tumor,tumor"
SEED = 0
SLICES = 400
"""Slices that copies are made of, unless another number is asked for."""
_SHEET = 20
_SIDE = 190

Picture = Image.Image


def jpeg(picture: Picture, quality: int = 60) -> Picture:
    """The picture after a JPEG of low quality."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "mirrored": ImageOps.mirror,
    "turned by 180 degrees": lambda p: p.rotate(180),
    "resized to 224": lambda p: p.resize((224, 224), Image.Resampling.BILINEAR),
    "JPEG, quality 60": jpeg,
    "brightness x 0.8": lambda p: ImageEnhance.Brightness(p).enhance(0.8),
    "brightness x 1.2": lambda p: ImageEnhance.Brightness(p).enhance(1.2),
    "contrast x 0.8": lambda p: ImageEnhance.Contrast(p).enhance(0.8),
    "contrast x 1.2": lambda p: ImageEnhance.Contrast(p).enhance(1.2),
    "sharpened": lambda p: p.filter(ImageFilter.UnsharpMask(2, 150)),
    "mirrored, 224, brighter, sharpened, JPEG": lambda p: jpeg(
        ImageEnhance.Brightness(ImageOps.mirror(p).resize((224, 224)))
        .enhance(1.2)
        .filter(ImageFilter.UnsharpMask(2, 120))
    ),
}


def prints_of(pictures: Sequence[Picture]) -> Fingerprints:
    """Fingerprints of pictures in memory."""
    return fingerprints(np.asarray(picture.convert("L"), dtype=np.float32) for picture in pictures)


def report_rows(figshare: Path) -> list[dict[str, str]]:
    """Rows of the table of folds that belong to the reported folds."""
    with (figshare / "folds.csv").open(encoding="utf-8") as table:
        return [row for row in csv.DictReader(table) if row["fold"] in REPORT_FOLDS]


def made_copies(figshare: Path, count: int) -> None:
    """Change slices in each way, look for them among all slices of the two folds, print shares."""
    rows = report_rows(figshare)
    files = [figshare / row["label"] / f"{row['number']}.jpg" for row in rows]
    everything = fingerprints(
        np.asarray(Image.open(file).convert("L"), dtype=np.float32) for file in files
    )
    chosen = np.random.default_rng(SEED).permutation(len(rows))[:count].tolist()
    pictures = [Image.open(files[i]).convert("L") for i in chosen]
    groups = len({rows[i]["group"] for i in chosen})
    print(f"\n{len(chosen)} slices of {groups} groups, among {len(rows)} of folds 4 and 5")
    print(f"  {'changed':<42} {'found':>24}  joined to a slice of another group")
    total = 0
    for name, change in CHANGES.items():
        hits = match(prints_of([change(picture) for picture in pictures]), everything)
        right = sum(i in found for i, found in zip(chosen, hits, strict=True))
        wrong = sum(
            any(rows[j]["group"] != rows[i]["group"] for j in found)
            for i, found in zip(chosen, hits, strict=True)
        )
        total += right
        print(f"  {name:<42} {share(right, len(chosen)):>24}  {wrong}", flush=True)
    print(f"  {'all together':<42} {total:>12} of {len(chosen) * len(CHANGES)}")
    pairs = find_pairs(everything)
    across = sum(rows[p.first]["group"] != rows[p.second]["group"] for p in pairs)
    print(f"  unchanged slices: {len(pairs)} pairs joined, {across} across groups of patients")


def share(hits: int, n: int) -> str:
    """A share in percent with Wilson's interval."""
    found = wilson(hits, n)
    assert found.ci_low is not None
    assert found.ci_high is not None
    return f"{found.value:.2%} ({100 * found.ci_low:.2f}-{100 * found.ci_high:.2f})"


def real_copies(collected: Collected, pairs: Sequence[Pair]) -> None:
    """Print how many slices of one collection have a copy in another, by kind of label."""
    found = collected.items
    root = clusters(len(found), ((p.first, p.second) for p in pairs))
    print(f"\n{len(found)} slices of {len(SOURCES)} sets are {len(set(root))} different ones")
    questions = {
        "Nickparvar tumor slices with a copy in Figshare": (
            lambda f: f.source == "nickparvar" and f.label != "no_tumor",
            lambda f: f.source == "figshare",
        ),
        "Nickparvar Testing with a copy in Training": (
            lambda f: f.source == "nickparvar" and f.published_split == "test",
            lambda f: f.source == "nickparvar" and f.published_split == "train",
        ),
        "Nickparvar no tumor with a copy in Br35H or Navoneel": (
            lambda f: f.source == "nickparvar" and f.label == "no_tumor",
            lambda f: f.source in ("br35h", "navoneel"),
        ),
        "Br35H with a copy in Navoneel": (
            lambda f: f.source == "br35h",
            lambda f: f.source == "navoneel",
        ),
    }
    for name, (asked, known) in questions.items():
        there = {root[i] for i, one in enumerate(found) if known(one)}
        own = [root[i] for i, one in enumerate(found) if asked(one)]
        print(f"  {name:<54} {sum(r in there for r in own):>5} of {len(own)}")


def crossings(collected: Collected, pairs: Sequence[Pair], figshare: Path) -> list[Pair]:
    """Print groups of copies across labels or Figshare folds; the pairs that make them.

    These are where a false join would show; each has to be looked at.
    """
    found = collected.items
    root = clusters(len(found), ((p.first, p.second) for p in pairs))
    with (figshare / "folds.csv").open(encoding="utf-8") as table:
        fold = {row["number"]: row["fold"] for row in csv.DictReader(table)}
    labels: dict[int, set[str]] = {}
    folds: dict[int, set[str]] = {}
    for index, one in enumerate(found):
        labels.setdefault(root[index], set()).add(one.label)
        if one.source == "figshare":
            folds.setdefault(root[index], set()).add(fold[one.file.stem])
    sizes = Counter(root)
    groups = sum(size > 1 for size in sizes.values())
    odd = {r for r, names in labels.items() if contradict(names)}
    torn = {r for r, names in folds.items() if len(names) > 1}
    print(
        f"  {groups} groups of copies; {len(odd)} across labels, {len(torn)} across Figshare folds"
    )
    return [pair for pair in pairs if root[pair.first] in odd | torn]


def contradict(labels: set[str]) -> bool:
    """Whether labels exclude each other: `tumor` is no contradiction to a tumor type."""
    types = labels - {"tumor"}
    return len(types) > 1 or ("tumor" in labels and "no_tumor" in labels)


def spread_pairs(collected: Collected, pairs: Sequence[Pair], count: int) -> list[Pair]:
    """Near copies to look at: half of them the least alike, half spread over sources and scores."""
    near = sorted((p for p in pairs if not p.exact), key=lambda p: p.agreement)
    lowest, rest = near[: count // 2], near[count // 2 :]
    by_sources: dict[tuple[str, ...], list[Pair]] = {}
    for pair in rest:
        both = sorted(collected.items[i].source for i in (pair.first, pair.second))
        by_sources.setdefault(tuple(both), []).append(pair)
    each = max(1, (count - len(lowest)) // max(1, len(by_sources)))
    for own in by_sources.values():
        lowest += [own[i] for i in np.linspace(0, len(own) - 1, min(each, len(own))).astype(int)]
    return lowest


def draw_sheets(collected: Collected, pairs: Sequence[Pair], folder: Path, name: str) -> None:
    """Contact sheets of pairs, 20 a sheet, with agreement, labels and file names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(pairs), _SHEET)):
        sheet = Image.new("L", (5 * 2 * _SIDE, 4 * (_SIDE + 26)), 255)
        for place, pair in enumerate(pairs[start : start + _SHEET]):
            x, y = place % 5 * 2 * _SIDE, place // 5 * (_SIDE + 26)
            for k, index in enumerate((pair.first, pair.second)):
                _paste(sheet, collected.items[index], (x + k * _SIDE, y), start + place, pair)
        sheet.save(folder / f"{name}_{number:02d}.png")


def _paste(sheet: Picture, found: Item, at: tuple[int, int], number: int, pair: Pair) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.text(at, f"{number}: {pair.agreement:.2f} {found.label[:6]} {found.source}", fill=0)
    draw.text((at[0], at[1] + 12), found.file.name, fill=0)
    picture = Image.open(found.file).convert("L")
    picture.thumbnail((_SIDE - 4, _SIDE - 4))
    sheet.paste(picture, (at[0], at[1] + 25))


def main() -> None:
    """Read the options, then measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.duplicates", description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the four sets")
    parser.add_argument("--slices", type=int, default=SLICES, help="how many are changed")
    parser.add_argument("--sheets", type=Path, help="draw joined pairs here, to be looked at")
    given = parser.parse_args()
    measure(given.data, given.slices, given.sheets)


def measure(data: Path, slices: int = SLICES, sheets: Path | None = None) -> None:
    """Measure and print.

    Args:
        data: Folder of the four sets.
        slices: How many are changed.
        sheets: Folder for pictures of joined pairs, to be looked at.
    """
    made_copies(data / "figshare", slices)
    config = config_of([data / name for name in SOURCES], task=TASK)
    collected = collect(config, parse_task(TASK), None)
    pairs = find_pairs(collected.prints)
    real_copies(collected, pairs)
    doubtful = crossings(collected, pairs, data / "figshare")
    if sheets:
        draw_sheets(collected, spread_pairs(collected, pairs, 200), sheets, "spread")
        draw_sheets(collected, doubtful, sheets, "crossing")


if __name__ == "__main__":
    main()
