"""Files of a folder that may be images, and those that nobody means as one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from slicewise.errors import InputError
from slicewise.imaging.content import looks_like_text
from slicewise.imaging.entry import Entry, file_entry
from slicewise.imaging.slice import Failure

_IMAGE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .tif .tiff .bmp .webp .dcm .dicom .ima .nii .gz .zip".split()
)
_FOREIGN_SUFFIXES = frozenset(
    ".avi .bat .bval .bvec .cfg .csv .css .dll .doc .docx .exe .h5 .html .htm .ini .ipynb .js .json "
    ".jsonl .log .mat .md .mp4 .npy .npz .onnx .parquet .pdf .pkl .pptx .pt .pth .py .pyc .rst "
    ".safetensors .sh .sql .svg .toml .tsv .txt .xls .xlsx .xml .yaml .yml".split()
)
_FOREIGN_NAMES = frozenset(("DICOMDIR", "LICENSE", "LICENCE", "README", "Thumbs.db", "desktop.ini"))


def walk(folder: Path) -> Iterator[Entry | Failure]:
    """Every visible file below a folder, in the order of sorted names, folder by folder.

    Links to folders are not followed.

    Args:
        folder: Where to start.
    """
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and not is_foreign(name):
                yield _entry(Path(parent) / name)
        yield from (_folder_failure(error) for error in unreadable)
        unreadable.clear()
    yield from (_folder_failure(error) for error in unreadable)


def is_foreign(name: str) -> bool:
    """Whether a file's name says that it was never meant as an image."""
    path = PurePosixPath(name)
    return path.name in _FOREIGN_NAMES or path.suffix.lower() in _FOREIGN_SUFFIXES


def is_bystander(name: str, head: bytes) -> bool:
    """Whether a file of unknown format is text that merely lies beside images.

    Args:
        name: Its name; one that promises an image is never a bystander.
        head: Its first bytes.
    """
    return PurePosixPath(name).suffix.lower() not in _IMAGE_SUFFIXES and looks_like_text(head)


def _entry(path: Path) -> Entry | Failure:
    try:
        return file_entry(path)
    except InputError as error:
        return Failure(str(path), str(error))


def _folder_failure(error: OSError) -> Failure:
    return Failure(str(error.filename), f"expected a readable folder, got '{error.strerror}'")
