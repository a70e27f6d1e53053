"""Write an older bundle in today's form: same graph, arrays and answers, a new version.

    python tools/convert_bundle.py OLD NEW --manifest runs/four_class/final/manifest.csv
    python tools/convert_bundle.py OLD NEW --seen four_class.csv

With the manifest that the model was trained on, the card is written anew; without it, the old card
is kept and says what changed. With a manifest of the slices in `seen.npz`, in whichever splits,
that file gets the hashed names of their groups. Other files are copied byte for byte, and nothing
depends on the time: the same bundle gives the same bytes again.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

from slicewise.data.duplicates.fingerprint import Fingerprints, fingerprints
from slicewise.data.manifest import Manifest
from slicewise.data.public.index import pixels_sha256
from slicewise.errors import BundleError, SliceWiseError
from slicewise.evaluation.seen import seen_bytes, units_of
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import (
    CARD_NAME,
    SEEN_NAME,
    Bundle,
    BundleInfo,
    load_bundle,
    write_bundle,
)
from slicewise.training.export.bundling import model_card


def convert(
    old: Path,
    new: Path,
    manifest: Path | None = None,
    frozen_stages: int = 0,
    seen: Path | None = None,
) -> str:
    """Write a bundle in schema 2 and return its identity.

    Args:
        old: Folder or zip.
        new: Folder; new or empty.
        manifest: The slices that the model was made from; None keeps the old card.
        frozen_stages: How many leading stages of the network were not trained, for a new card.
        seen: A manifest of exactly the slices in `seen.npz`; None keeps that file.

    Raises:
        BundleError: The bundle is not valid, or a manifest is another.
    """
    bundle = load_bundle(old)
    info = _next(bundle)
    added = {} if seen is None else {SEEN_NAME: with_groups(bundle, Manifest.read(seen))}
    if manifest is None:
        card = _amended(bundle, info, grouped=seen is not None)
    else:
        rows = Manifest.read(manifest)
        if rows.sha256 != info.origin.manifest_sha256:
            raise BundleError(f"{manifest}: expected the manifest that the bundle was made from")
        commands = {"Training": info.evaluation.command or "not recorded"}
        card = model_card(info, rows, commands, frozen_stages)
    return write_bundle(new, info, {**bundle.files, **added, CARD_NAME: card.encode()})


def with_groups(bundle: Bundle, manifest: Manifest) -> bytes:
    """`seen.npz` with the groups of its slices, which are those of a manifest."""
    known = Fingerprints.load(BytesIO(bundle.files[SEEN_NAME]), SEEN_NAME)
    slices = [read_slice(manifest.resolve(row)) for row in manifest.rows]
    found = fingerprints(slice_.pixels for slice_ in slices)
    one, two = (sorted(digest.tobytes() for digest in each.digests) for each in (known, found))
    if one != two:
        raise BundleError(f"expected a manifest of the {len(known)} slices of {SEEN_NAME}")
    return seen_bytes(known, units_of(manifest.rows, [pixels_sha256(one) for one in slices]))


def _next(bundle: Bundle) -> BundleInfo:
    """The description with the next patch version, which says what it was converted from."""
    major, minor, patch = bundle.info.version.split(".")
    version = f"{major}.{minor}.{int(patch) + 1}"
    origin = bundle.info.origin.model_copy(update={"converted_from": bundle.reference})
    return bundle.info.model_copy(update={"version": version, "origin": origin})


def _amended(bundle: Bundle, info: BundleInfo, *, grouped: bool) -> str:
    """The old card under the new version, with a note."""
    title, rest = bundle.files[CARD_NAME].decode().split("\n", 1)
    what = f"in bundle schema {info.schema_version}. Only the format changed"
    if grouped:
        what = f"with the hashed groups of its slices in {SEEN_NAME}. Nothing else changed"
    note = (
        f"{info.version} is {bundle.info.version} (`{bundle.identity}`) {what}: weights, limits "
        "and answers are the same."
    )
    return f"{title.replace(bundle.info.version, info.version)}\n\n{note}\n{rest}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("old", type=Path, help="bundle folder or zip")
    parser.add_argument("new", type=Path, help="folder to write, new or empty")
    parser.add_argument("--manifest", type=Path, help="what the model was trained on")
    parser.add_argument("--frozen-stages", type=int, default=0, help="stages that kept the start")
    parser.add_argument("--seen", type=Path, help="a manifest of the slices of seen.npz")
    given = parser.parse_args()
    try:
        print(convert(given.old, given.new, given.manifest, given.frozen_stages, given.seen))
    except SliceWiseError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
