"""The command line in processes of its own, each stream a file, a pipe or a terminal.

The processes are forked from one that has imported everything, so that a run takes a fraction of
a second. What runs in them is the real `main`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["file", "pipe", "tty"]
COLUMNS = 44
"""Of the terminal: narrow, so that what is wrapped for it shows."""

PRELOADED = (
    "slicewise.cli.main",
    "slicewise.data.quality.audit",
    "slicewise.evaluation.parts",
    "slicewise.explain.overlay",
    "slicewise.imaging.formats.dicom.image",
    "slicewise.synthetic.phantom_files",
    "slicewise.inference.classifier",
    "slicewise.output.html",
    "slicewise.service.monitoring.page",
    "slicewise.training.crossval.folds",
    "matplotlib.figure",
    "rich.progress",
    "sklearn.ensemble",
)
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(list(PRELOADED))


class Ran(NamedTuple):
    """How a command ended, and what stands on its streams."""

    code: int | None
    stdout: str
    stderr: str


def run(
    words: Sequence[str], folder: Path, stdout: Kind = "file", stderr: Kind = "file", end: str = ""
) -> Ran:
    """Run `slicewise WORDS` in a folder, with a terminal as stdin.

    Args:
        words: Of the command.
        folder: To work in.
        stdout: What stdout is.
        stderr: What stderr is.
        end: Once this stands on stderr the process is told to end; empty to wait for it.
    """
    with contextlib.ExitStack() as opened:
        streams = [opened.enter_context(Stream(kind, folder)) for kind in ("tty", stdout, stderr)]
        names = [stream.name for stream in streams]
        process = _FORKS.Process(target=_main, args=(list(words), str(folder), names))
        process.start()
        running, told = True, not end
        while running:
            running = process.is_alive()  # asked before the last look at what was written
            time.sleep(0.02)
            for stream in streams:
                stream.read()
            if not told and end.encode() in streams[2].written:
                os.kill(process.pid, signal.SIGTERM)
                told = True
        process.join()
        shown = [stream.written.decode("utf-8").replace("\r\n", "\n") for stream in streams]
    return Ran(process.exitcode, shown[1], shown[2])


class Stream:
    """A file, pipe or terminal that a process writes to under a name, and we read."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.written = b""
        self._path = folder / f".stream-{os.urandom(4).hex()}"
        self.name, self._held = str(self._path), []
        if kind == "tty":
            self._end, held = os.openpty()
            self._held.append(held)
            termios.tcsetwinsize(held, (24, COLUMNS))
            self.name = os.ttyname(held)
        elif kind == "pipe":
            os.mkfifo(self._path)
            self._end = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        else:
            self._path.touch()
            self._end = os.open(self._path, os.O_RDONLY)
        os.set_blocking(self._end, False)

    def read(self) -> None:
        """Take what was written since."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._end, 1 << 16):
                self.written += part

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self._end, *self._held):
            os.close(descriptor)
        self._path.unlink(missing_ok=True)


def _main(words: list[str], folder: str, streams: list[str]) -> None:
    from builders_training import small_backbone
    from slicewise.cli.main import main
    from slicewise.training.network.backbones import BACKBONES

    BACKBONES["small"] = small_backbone
    os.setsid()
    os.chdir(folder)
    for number, name in enumerate(streams):
        os.dup2(os.open(name, os.O_WRONLY if number else os.O_RDWR), number)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False)
        for number in range(3)
    )
    sys.argv = ["slicewise", *words]
    main()
