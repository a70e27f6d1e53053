"""Files of a folder that may be images, and those that nobody means as one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from slicewise.errors import InputError
from slicewise.imaging.entry import Entry, file_entry
from slicewise.imaging.formats.content import looks_like_text
from slicewise.imaging.formats.neuroimaging import known_volume
from slicewise.imaging.slice import Failure


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


_IMAGE_SUFFIXES = _suffixes("png jpg jpeg jpe tif tiff bmp webp dcm dicom ima nii gz zip")
_FOREIGN_SUFFIXES = _suffixes("""
    avi bat bval bvec cfg ckpt csv css dll doc docx exe h5 html htm ini ipynb jar js json jsonl log
    mat md mp4 npy npz onnx parquet pdf pkl pptx pt pth py pyc rst safetensors sh sql svg toml tsv
    txt whl xls xlsx xml yaml yml
""")
_FOREIGN_NAMES = frozenset(("DICOMDIR", "LICENSE", "LICENCE", "README", "Thumbs.db", "desktop.ini"))


def walk(folder: Path, leave_out: Path | None = None) -> Iterator[Entry | Failure]:
    """Every visible file below a folder, in the order of sorted names, folder by folder.

    Links to folders are not followed; `leave_out`, a resolved folder below, is not searched.
    """
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = _searched(parent, folders, leave_out)
        for name in _visible(files):
            if not is_foreign(name):
                yield entry_or_failure(Path(parent) / name)
        yield from (_folder_failure(error) for error in unreadable)
        unreadable.clear()
    yield from (_folder_failure(error) for error in unreadable)


def count_files(folder: Path, leave_out: Path | None = None) -> int:
    """How many files `walk` finds below a folder; none of them is looked at."""
    count = 0
    for parent, folders, files in os.walk(folder):
        folders[:] = _searched(parent, folders, leave_out)
        count += sum(not is_foreign(name) for name in _visible(files))
    return count


def _searched(parent: str, names: Iterable[str], leave_out: Path | None) -> list[str]:
    """Folders to go into."""
    return [
        name
        for name in _visible(names)
        if leave_out is None or Path(os.path.realpath(Path(parent, name))) != leave_out
    ]


def _visible(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def is_foreign(name: str) -> bool:
    """Whether a file's name says that it was never meant as an image."""
    path = PurePosixPath(name)
    return path.name in _FOREIGN_NAMES or path.suffix.lower() in _FOREIGN_SUFFIXES


def is_bystander(entry: Entry) -> bool:
    """Whether a file, whose name promises no image, is text that merely lies beside images.

    Raises:
        InputError: It cannot be opened.
    """
    suffix = PurePosixPath(entry.source).suffix.lower()
    if suffix in _IMAGE_SUFFIXES or not looks_like_text(head := entry.head()):
        return False
    return known_volume(head) is None  # some volumes have a header in words


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; one that cannot be looked at is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def entry_or_failure(path: Path) -> Entry | Failure:
    """The entry of a file, or why it has none."""
    try:
        return file_entry(path)
    except InputError as error:
        return Failure(str(path), str(error))


def _folder_failure(error: OSError) -> Failure:
    return Failure(str(error.filename), f"expected a readable folder, got '{error.strerror}'")
