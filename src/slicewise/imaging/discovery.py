"""Files of a folder that may be images, and those that nobody means as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from slicewise.errors import InputError
from slicewise.imaging.entry import Entry, file_entry
from slicewise.imaging.formats.content import content_of, looks_like_text
from slicewise.imaging.formats.known import is_program
from slicewise.imaging.formats.neuroimaging import known_volume
from slicewise.imaging.slice import Failure

Skip = Callable[[str], object]
"""Told the source of every file that is left out, because nobody means it as an image."""


def ignore_skip(source: str) -> None:
    """A `Skip` for those who do not ask."""


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


_IMAGE_SUFFIXES = _suffixes("png jpg jpeg jpe tif tiff bmp webp dcm dicom ima nii gz zip")
_FOREIGN_SUFFIXES = _suffixes("""
    avi bak bat bval bvec cab cat cer cfg chm chw ckpt class cmd com config css csv cur dll
    dmg doc docx drv dtd dylib eot exe h5 hlp htm html icns ico inf ini ipynb iso jar jnlp js
    json jsonl lib lic lnk log manifest mat md md5 mdb mo mov mp3 mp4 mpg msi msp mst mui nib
    npy npz ocx onnx otf p7b parquet pdb pdf pkg pkl plist pptx pt pth py pyc qm rst rtf
    safetensors sh so sql strings swf sys tlb toml tsv ttc ttf txt url vbs wav whl wmv woff
    woff2 xls xlsx xml xsl yaml yml
""")
_DATA_SUFFIXES = _suffixes(
    "bin dat db idx pak res"
)  # of programs, unless it is an image by content
_FOREIGN_NAMES = frozenset((
    "dicomdir", "ehthumbs.db", "icon\r", "licence", "license", "lockfile", "readme", "thumbs.db",
    "version",
))  # fmt: skip


_MACOS = "__MACOSX"  # where macOS puts what it knows beside the files of a zip


def walk(
    folder: Path, leave_out: Path | None = None, skip: Skip = ignore_skip, *, links: bool = True
) -> Iterator[Entry | Failure]:
    """Every visible file below a folder, in the order of sorted names, folder by folder.

    Folders that links lead to come last, and each real folder is searched once: by its own path
    where it has one below, never again through a link.

    Args:
        leave_out: A resolved folder below that is not searched.
        skip: Is told of every file that is left out.
        links: Whether links to folders are followed; if not, each is a failure.
    """
    for found in _search(folder, leave_out, skip, links=links):
        yield found if isinstance(found, Failure) else entry_or_failure(found)


def count_files(folder: Path, leave_out: Path | None = None) -> int:
    """How many files `walk` finds below a folder; none of them is looked at."""
    found = _search(folder, leave_out, ignore_skip, links=True)
    return sum(not isinstance(one, Failure) for one in found)


def _search(
    folder: Path, leave_out: Path | None, skip: Skip, *, links: bool
) -> Iterator[Path | Failure]:
    searched = {os.path.realpath(leave_out)} if leave_out else set[str]()
    tops, unreadable = [str(folder)], list[OSError]()
    for top in tops:  # which grows as links are met
        for parent, folders, files in os.walk(top, onerror=unreadable.append):
            real = os.path.realpath(parent)
            if real in searched or (parent == top and _leads_up(top, folder)):
                if parent == top != str(folder):  # the link itself, whose files are read elsewhere
                    skip(top)
                folders.clear()
                continue
            searched.add(real)
            for beside in (Path(parent, name) for name in folders if name == _MACOS):
                for inner, _, names in os.walk(beside):
                    for name in names:
                        skip(str(Path(inner, name)))
            folders[:] = _visible(folders)
            for path in (Path(parent, name) for name in folders):
                if not path.is_symlink():
                    continue
                if links:
                    tops.append(str(path))
                else:
                    yield Failure(str(path), "expected a folder, got a link to one (not followed)")
            for name in sorted(files):
                path = Path(parent, name)
                if name.startswith(".") or is_foreign(name):
                    skip(str(path))
                else:
                    yield path
            yield from (_folder_failure(error) for error in unreadable)
            unreadable.clear()
    yield from (_folder_failure(error) for error in unreadable)


def _leads_up(top: str, folder: Path) -> bool:
    """Whether a link leads to what it lies in, or to what the folder that is searched lies in."""
    target = Path(top).resolve()
    homes = (Path(top).parent.resolve(), folder.resolve())
    return top != str(folder) and any(home.is_relative_to(target) for home in homes)


def _visible(folders: list[str]) -> list[str]:
    return sorted(name for name in folders if name[0] != "." and name != _MACOS)


def is_foreign(name: str) -> bool:
    """Whether a file's name says that it was never meant as an image."""
    return _last(name) in _FOREIGN_NAMES or _suffix(name) in _FOREIGN_SUFFIXES


def _last(name: str) -> str:
    """The last part of a path, in lower case; either kind of slash, as the names in zips have."""
    return name.replace("\\", "/").rpartition("/")[2].lower()


def _suffix(name: str) -> str:
    stem, _, suffix = _last(name).rpartition(".")
    return f".{suffix}" if stem else ""


def is_bystander(entry: Entry) -> bool:
    """Whether a file, whose name promises no image, is text or of a program, beside images.

    Raises:
        InputError: It cannot be opened.
    """
    suffix = _suffix(entry.source)
    if suffix in _IMAGE_SUFFIXES:
        return False
    head = entry.head()
    if looks_like_text(head):
        return known_volume(head) is None  # some volumes have a header in words
    return content_of(head) is None and (suffix in _DATA_SUFFIXES or is_program(head))


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
