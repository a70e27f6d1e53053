"""Write slices of three registered channels as slices of one channel, without loss.

    python tools/split_channels.py DATA/tcga_lgg OUT

`DATA/tcga_lgg` holds colour pictures whose red is T1 before contrast, green FLAIR and blue T1 after
contrast, masks of the tumor, and `slices.csv`. `OUT` gets `SEQUENCE/PATIENT/INDEX.png`, the mask of
each beside it as `INDEX_mask.png`, and `slices.csv` with a row a slice. Slices without a head are
left out. Whoever names `OUT` keeps it out of any repository: it holds pixels of patients.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SEQUENCES = ("T1", "FLAIR", "T1c")
"""What red, green and blue are."""
COLUMNS = ("path", "patient", "mr_sequence", "slice_index", "tumor_pixels", "mask", "whole_series")
DARK = 20
"""Of 255. Each channel is scaled over its series: what is darker than this all over is noise."""
LEAST_SHARE = 0.002
"""Of the pixels that must be brighter for a slice to show a head."""

Channel = NDArray[np.uint8]


def split(source: Path, out: Path) -> list[dict[str, str]]:
    """Write every channel that shows a head, and the table of them.

    Args:
        source: Folder of the colour pictures and their `slices.csv`.
        out: Folder to write to.

    Returns:
        The rows of the table, sorted by path.
    """
    rows = []
    for row in read_rows(source / "slices.csv"):
        for sequence, pixels in channels(source / row["path"]):
            if not shows_head(pixels):
                continue
            path = Path(channel_path(row["path"], sequence))
            mask = path.with_name(f"{path.stem}_mask.png")
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(out / path, optimize=True)
            shutil.copyfile(source / row["mask"], out / mask)
            rows.append(
                {
                    "path": path.as_posix(),
                    "patient": row["patient_id"],
                    "mr_sequence": sequence,
                    "mask": mask.as_posix(),
                    **{name: row[name] for name in ("slice_index", "tumor_pixels", "whole_series")},
                }
            )
    rows.sort(key=lambda row: row["path"])
    with (out / "slices.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def read_rows(path: Path) -> list[dict[str, str]]:
    """All rows of a CSV table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def channels(picture: Path) -> Iterator[tuple[str, Channel]]:
    """The three channels of a colour picture, (H, W) each, with the name of their sequence."""
    with Image.open(picture) as image:
        if image.mode != "RGB":
            raise ValueError(f"{picture}: expected a picture in RGB; got {image.mode}")
        pixels = np.asarray(image)
    for index, sequence in enumerate(SEQUENCES):
        yield sequence, np.ascontiguousarray(pixels[..., index])


def shows_head(pixels: Channel) -> bool:
    """Whether enough pixels are brighter than noise."""
    return float(np.mean(pixels > DARK)) >= LEAST_SHARE


def channel_path(picture: str, sequence: str) -> str:
    """Where a channel of a picture is written, below the folder of all channels."""
    return f"{sequence}/{Path(picture).with_suffix('.png').as_posix()}"


def main(source: Path, out: Path) -> None:
    """Split, and say how many slices came of it."""
    rows = split(source, out)
    patients = {row["patient"] for row in rows}
    tumor = sum(int(row["tumor_pixels"]) > 0 for row in rows)
    print(f"{len(rows)} slices of {len(patients)} patients, {tumor} with tumor: {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder of the colour pictures")
    parser.add_argument("out", type=Path, help="folder to write to, outside of the repository")
    main(**vars(parser.parse_args()))
