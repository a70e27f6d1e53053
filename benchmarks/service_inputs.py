"""What the clients send: phantom slices as pictures, and a mix of every kind of upload."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterable
from functools import cache
from itertools import product
from pathlib import Path

import httpx
import nibabel
import numpy as np
from PIL import Image

from benchmarks.service_load import Asked
from slicewise.synthetic.phantom_files import write_phantoms

OPTIONS = ("", "explain=true", "threshold=0.3", "tta=true", "explain=true&threshold=0.6")
_OF_EACH_LABEL = 4
_VOLUME_SLICES = 6


def pictures(path: str) -> tuple[Asked, ...]:
    """Different 512 x 512 PNG slices, each with a heat map asked for."""
    return tuple(
        post(f"png-{i}", path, [(f"{i}.png", content)]) for i, content in enumerate(_phantoms()[0])
    )


def mixed() -> tuple[Asked, ...]:
    """PNG, JPEG, TIFF, DICOM, NIfTI, zip, several at once, and what is refused; with all options.

    Single slices are asked for with every option, the rest with two of them.
    """
    png, dicom = _phantoms()
    singles = {
        **{f"slice-{i}.png": content for i, content in enumerate(png[:8])},
        "slice.jpg": _as(png[8], "JPEG"),
        "slice.tif": _as(png[9], "TIFF"),
        "slice.dcm": dicom[0],
    }
    several: dict[str, list[tuple[str, bytes]]] = {
        "volume": [("volume.nii.gz", _volume(png[:_VOLUME_SLICES]))],
        "zip": [("series.zip", _zip({f"{i}.dcm": one for i, one in enumerate(dicom)}))],
        "two": [("a.png", png[10]), ("b.png", png[11])],
        "one-bad": [("a.png", png[10]), ("b.png", b"no picture")],
        "all-bad": [("b.png", b"no picture")],
        "empty": [("b.png", b"")],
    }
    asked = [
        post(f"{name}?{option}", f"/v1/predict?{option}", [(name, content)])
        for (name, content), option in product(singles.items(), OPTIONS)
    ]
    asked += [
        post(f"{name}?{option}", f"/v1/predict/batch?{option}", files)
        for (name, files), option in product(several.items(), OPTIONS[:2])
    ]
    return tuple(asked)


def post(name: str, path: str, files: Iterable[tuple[str, bytes]]) -> Asked:
    """A multipart request that carries files."""
    parts = [("file", (file, content, "application/octet-stream")) for file, content in files]
    request = httpx.Request("POST", "http://127.0.0.1" + path, files=parts)
    return Asked(name, path, request.read(), request.headers["content-type"])


@cache
def _phantoms() -> tuple[list[bytes], list[bytes]]:
    """PNG slices of every label, and the files of a DICOM series."""
    with tempfile.TemporaryDirectory() as folder:
        written = write_phantoms(Path(folder), _OF_EACH_LABEL, 1)
        contents = [(path.suffix, path.read_bytes()) for path in written]
    return [c for kind, c in contents if kind == ".png"], [c for k, c in contents if k == ".dcm"]


def _as(png: bytes, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("L").save(buffer, form)
    return buffer.getvalue()


def _volume(slices: list[bytes]) -> bytes:
    """A small NIfTI volume from pictures."""
    layers = [
        np.asarray(Image.open(io.BytesIO(png)).convert("L").resize((128, 128))) for png in slices
    ]
    volume = np.stack(layers, axis=2).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii.gz"
        image = nibabel.Nifti1Image(volume, np.diag([1.8, 1.8, 5.0, 1.0]))
        nibabel.save(image, path)
        return path.read_bytes()


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return buffer.getvalue()
