"""What the index of known public slices finds in the public sets, and what it costs.

    python -m benchmarks.known DATA

DATA holds `nickparvar/`, `figshare/` (with `folds.csv`), `br35h/` and `navoneel/`. Measured are:
what is known of each; how a published, a random and a split by patient groups of Nickparvar score
with the label of the nearest training picture; for how many files of Nickparvar the others of
their group are the same with Figshare and the groups given for it beside them; and the time of
both searches.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from slicewise.data.annotations import Known
from slicewise.data.build.build import clustered, collect
from slicewise.data.build.config import config_of
from slicewise.data.build.recognition import copies_of, recognised
from slicewise.data.build.sources import Item
from slicewise.data.build.splits import deal
from slicewise.data.duplicates.fingerprint import (
    Fingerprints,
    concatenate,
    fingerprints,
    hashed_fingerprints,
)
from slicewise.data.duplicates.neighbour import thumbnail
from slicewise.data.duplicates.search import find_pairs
from slicewise.data.groups import group_names
from slicewise.data.public.index import INDEX_PATH, PublicIndex, pixels_sha256, public_index
from slicewise.data.quality.leakage import random_split, sides_of
from slicewise.data.quality.public import find_public
from slicewise.data.tasks import parse_task
from slicewise.evaluation.seen import neighbour_correct
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.stats.intervals import share_by_group

NAMES = ("nickparvar", "figshare", "br35h", "navoneel")
TASK = "glioma,meningioma,pituitary,no_tumor,tumor"
UNKNOWN, FEW, SIDES, SEED = 10_000, 1_000, (224, 512), 42


def read(data: Path, name: str) -> tuple[list[Item], Fingerprints]:
    """The slices of one set and their fingerprints."""
    collected = collect(config_of([data / name], task=TASK), parse_task(TASK), None)
    return collected.items, collected.prints


def seconds(start: float) -> str:
    """Processor time since a start, in words."""
    return f"{time.process_time() - start:.1f} s of processor time"


def tell_set(name: str, items: Sequence[Item]) -> None:
    """One row of the table of docs/audit.md."""
    found = find_public(items, sides_of(items, of_manifest=False))
    if found is None:
        raise SystemExit(f"{name}: expected known slices")
    odd = sum(map(len, found.contradictions))
    print(
        f"{name}: {len(items)} files, {len(found.known)} known, {found.distinct} distinct, "
        f"{found.groups} groups ({found.patients} of whole patients), {len(found.crossing)} in "
        f"groups on both sides of the published split, {odd} contradictions, "
        f"{len(found.relabelled)} relabelled; random split: {found.torn} groups on both sides, "
        f"{found.leaking[1]} of {found.leaking[0]} test slices"
    )


def tell_neighbours(items: Sequence[Item]) -> None:
    """The score of copying on three splits of one set."""
    groups = np.array(group_names([item.ties for item in items]))
    labels = np.array([item.label for item in items])
    small = np.stack([thumbnail(read_slice(item.reference).pixels) for item in items])
    published = np.array([item.published_split for item in items])
    dealt = np.array(
        deal(
            groups.tolist(),
            labels.tolist(),
            [item.source for item in items],
            shares={"train": 0.8, "test": 0.2},
            seed=SEED,
        )
    )
    _, drawn = random_split(len(items))
    splits = {
        "published": published == "test",
        "random by slice, 80/20": np.isin(np.arange(len(items)), drawn),
        "by patient groups, 80/20": dealt == "test",
    }
    for name, test in splits.items():
        right = neighbour_correct(small[test], labels[test], small[~test], labels[~test])
        share = share_by_group(right, groups[test])
        both = set(groups[test]) & set(groups[~test])
        leaking = np.isin(groups[test], list(both)).sum()
        print(
            f"{name}: {test.sum()} test slices in {len(set(groups[test]))} groups, {leaking} of "
            f"them of a group in train; {share.value:.3f} ({share.ci_low:.3f}-{share.ci_high:.3f})"
        )


def tell_agreement(found: Sequence[Item], both: Sequence[Item]) -> None:
    """For how many files the others of their group are the same, without Figshare and with it."""
    mates = [
        _mates([name for name, item in zip(group_names([i.ties for i in items]), items, strict=True)
                if item.source == "nickparvar"])
        for items in (found, both)
    ]  # fmt: skip
    kinds = Counter(
        "the same" if one == two else "fewer" if one < two else "more" if one > two else "others"
        for one, two in zip(*mates, strict=True)
    )
    print(f"others in the group of {len(found)} files, without Figshare against with: {kinds}")


def _mates(groups: Sequence[str]) -> list[frozenset[int]]:
    members: dict[str, set[int]] = defaultdict(set)
    for index, group in enumerate(groups):
        members[group].add(index)
    whole = {group: frozenset(own) for group, own in members.items()}
    return [whole[group] for group in groups]


def tell_cost(index: PublicIndex) -> None:
    """What an unknown set costs: fingerprints with the hash of pixels or without, looking up."""
    draws = np.random.default_rng(SEED)
    for side in SIDES:
        pixels = draws.integers(0, 256, (FEW, side, side)).astype(np.float32)
        slices = [Slice(one, "made") for one in pixels]
        start = time.process_time()
        fingerprints(one.pixels for one in slices)
        print(f"{FEW} fingerprints, {side} px, without the index: {seconds(start)}")
        start = time.process_time()
        hashed_fingerprints((one.pixels, pixels_sha256(one)) for one in slices)
        print(f"{FEW} fingerprints, {side} px, with hashes for the index: {seconds(start)}")
    hashes = [[draws.bytes(32).hex() for _ in range(UNKNOWN)] for _ in range(2)]
    start = time.process_time()
    found = index.find(*hashes)
    print(f"{UNKNOWN} looked up: {seconds(start)}, {UNKNOWN - found.count(None)} found")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="folder of the public sets")
    data = parser.parse_args().data
    digest = hashlib.sha256(INDEX_PATH.read_bytes()).hexdigest()
    print(f"index {public_index().described}; {INDEX_PATH.stat().st_size} bytes; {digest}")
    tell_cost(public_index())
    sets = {name: read(data, name) for name in NAMES}
    known = {name: recognised(items) for name, (items, _) in sets.items()}
    for name, items in known.items():
        tell_set(name, items)
    items, prints = sets["nickparvar"]
    start = time.process_time()
    find_pairs(prints)
    print(f"nickparvar, search without the index: {seconds(start)}")
    start = time.process_time()
    alone = clustered(known["nickparvar"], copies_of(recognised(items), prints))
    print(f"nickparvar, index and search of what it does not know: {seconds(start)}")
    tell_neighbours(alone)
    with (data / "figshare" / "folds.csv").open(newline="") as file:
        own = {row["number"]: row["group"] for row in csv.DictReader(file)}
    of_figshare = [
        replace(item, known=Known(group=own[item.file.stem])) for item in sets["figshare"][0]
    ]
    both = [*items, *of_figshare]
    prints_of = [sets[name][1] for name in NAMES[:2]]
    tell_agreement(alone, clustered(both, find_pairs(concatenate(prints_of))))


if __name__ == "__main__":
    main()
