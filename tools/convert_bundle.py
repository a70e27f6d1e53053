"""Write a bundle of an older schema in schema 2: same graph, arrays and answers, a new version.

    python tools/convert_bundle.py OLD NEW --manifest runs/four_class/final/manifest.csv

With the manifest that the model was trained on, the card is written anew; without it, the old card
is kept and says what changed. Files are copied byte for byte, and nothing depends on the time: the
same bundle gives the same bytes again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from slicewise.data.manifest import Manifest
from slicewise.errors import BundleError, SliceWiseError
from slicewise.inference.bundle import CARD_NAME, Bundle, BundleInfo, load_bundle, write_bundle
from slicewise.training.export.bundling import model_card


def convert(old: Path, new: Path, manifest: Path | None = None, frozen_stages: int = 0) -> str:
    """Write a bundle in schema 2 and return its identity.

    Args:
        old: Folder or zip.
        new: Folder; new or empty.
        manifest: The slices that the model was made from; None keeps the old card.
        frozen_stages: How many leading stages of the network were not trained, for a new card.

    Raises:
        BundleError: The bundle is not valid, or the manifest is another.
    """
    bundle = load_bundle(old)
    info = _next(bundle)
    if manifest is None:
        card = _amended(bundle, info)
    else:
        rows = Manifest.read(manifest)
        if rows.sha256 != info.origin.manifest_sha256:
            raise BundleError(f"{manifest}: expected the manifest that the bundle was made from")
        commands = {"Training": info.evaluation.command or "not recorded"}
        card = model_card(info, rows, commands, frozen_stages)
    return write_bundle(new, info, {**bundle.files, CARD_NAME: card.encode()})


def _next(bundle: Bundle) -> BundleInfo:
    """The description with the next patch version, which says what it was converted from."""
    major, minor, patch = bundle.info.version.split(".")
    version = f"{major}.{minor}.{int(patch) + 1}"
    origin = bundle.info.origin.model_copy(update={"converted_from": bundle.reference})
    return bundle.info.model_copy(update={"version": version, "origin": origin})


def _amended(bundle: Bundle, info: BundleInfo) -> str:
    """The old card under the new version, with a note."""
    title, rest = bundle.files[CARD_NAME].decode().split("\n", 1)
    note = (
        f"{info.version} is {bundle.info.version} (`{bundle.identity}`) in bundle schema "
        f"{info.schema_version}. Only the format changed: weights, limits and answers are the same."
    )
    return f"{title.replace(bundle.info.version, info.version)}\n\n{note}\n{rest}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("old", type=Path, help="bundle folder or zip")
    parser.add_argument("new", type=Path, help="folder to write, new or empty")
    parser.add_argument("--manifest", type=Path, help="what the model was trained on")
    parser.add_argument("--frozen-stages", type=int, default=0, help="stages that kept the start")
    given = parser.parse_args()
    try:
        print(convert(given.old, given.new, given.manifest, given.frozen_stages))
    except SliceWiseError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
