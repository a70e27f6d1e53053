"""One image file below the allowed folders, picked at random."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slicewise.data.tasks import Task
from slicewise.errors import ManifestError
from slicewise.imaging.discovery import walk
from slicewise.imaging.formats.content import HEAD_BYTES, Content, content_of
from slicewise.imaging.slice import Failure
from slicewise.service.http.evaluation_jobs import DataRoots, Deadline

MOST_ENTRIES = 50_000
"""Files and unreadable folders that are looked at, over all allowed folders."""


class StoredSample(NamedTuple):
    """The bytes of a file, their format, and the class that its folder means; "" if none."""

    content: bytes
    kind: Content
    label: str


def stored_sample(
    roots: DataRoots, deadline: Deadline, *, seed: int, most_bytes: int, task: Task
) -> StoredSample | None:
    """The file that a seed picks while nothing changes in the folders; None where there is none.

    Raises:
        LimitError: The time is up.
    """
    found = list(_files(roots, deadline))
    for tried, index in enumerate(np.random.default_rng(seed).permutation(len(found))):
        deadline("looking for an image", tried, len(found))
        if (image := _image(found[index], most_bytes)) is not None:
            return StoredSample(*image, _label(task, found[index].parent.name))
    return None


def _files(roots: DataRoots, deadline: Deadline) -> Iterator[Path]:
    """Files that may be images, by no link to a folder; the first `MOST_ENTRIES` in order."""
    done = 0

    def on(_: object = None) -> None:
        deadline("looking for files", done, MOST_ENTRIES)

    for root in roots:
        for entry in walk(root, skip=on, links=False):
            on()
            if done == MOST_ENTRIES:
                return
            done += 1
            if not isinstance(entry, Failure):
                yield Path(entry.source)


def _image(path: Path, most_bytes: int) -> tuple[bytes, Content] | None:
    """Bytes and format; None of a link, a zip, what is too large, no image, or not readable."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size > most_bytes:
                return None
            head = file.read(HEAD_BYTES)
            kind = content_of(head)
            return None if kind in (None, "ZIP") else (head + file.read(most_bytes), kind)
    except OSError:
        return None


def _label(task: Task, folder: str) -> str:
    try:
        return task.label_of(folder)
    except ManifestError:
        return ""
