"""How far long work is: told by those who do it, shown on stderr.

A person at a terminal sees a bar with rate and remaining time. A log gets a plain line now and
then, and only of long work. Nothing here touches stdout, where the answers go.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much is done and how much there is, 0 where that is not known."""

EVERY_S = 30.0  # between two lines in a log
Item = TypeVar("Item")


class ProgressCount:
    """Adds up what is done and tells it, where anyone listens."""

    def __init__(self, progress: Progress | None, what: str, total: int) -> None:
        self._progress, self._what, self._total = progress, what, total
        self.done = 0

    def __call__(self, count: int = 1) -> None:
        """So much more is done."""
        self.done += count
        if self._progress is not None:
            self._progress(self._what, self.done, self._total)


class Steps:
    """Progress as plain lines, of work that takes longer than half a minute."""

    def __init__(self) -> None:
        self._what = ""
        self._began = self._next = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """So much of this is done."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._next = what, now, now + EVERY_S
            self._begin(what, total)
        rate = done / max(now - self._began, 1e-3)
        self._show(done, total, f"{rate:.1f}/s" if rate else "")

    def say(self, text: str) -> None:
        """A line of its own on stderr."""
        print(text, file=sys.stderr, flush=True)

    def _begin(self, what: str, total: int) -> None:
        """Another kind of work begins."""

    def _show(self, done: int, total: int, rate: str) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY_S
        left = f" of {total}, about {(now - self._began) / done * (total - done):.0f} s left"
        self.say(f"{self._what}: {done}{left if total and done else ''}, {rate}")


class Bar(Steps):
    """Progress as a bar of Rich, which lines on stderr pass by."""

    def __init__(self, drawn: RichProgress) -> None:
        super().__init__()
        self._drawn = drawn
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        """A line of its own above the bar."""
        self._drawn.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _begin(self, what: str, total: int) -> None:
        if self._task is not None:
            self._drawn.remove_task(self._task)
        self._task = self._drawn.add_task(what, total=total or None, rate="")

    def _show(self, done: int, total: int, rate: str) -> None:
        if self._task is not None:
            self._drawn.update(self._task, completed=done, total=total or None, rate=rate)


@contextmanager
def steps(*, bar: bool = True) -> Iterator[Steps]:
    """Show progress; without a bar while answers scroll through the same terminal."""
    if not bar or sys.stderr is None or not sys.stderr.isatty():
        yield Steps()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with RichProgress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as drawn:
        yield Bar(drawn)


def track(items: Sequence[Item], what: str) -> Iterator[Item]:
    """The items one by one, with progress shown."""
    with steps() as progress:
        for done, item in enumerate(items, start=1):
            yield item
            progress(what, done, len(items))
