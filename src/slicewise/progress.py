"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much is done and how much there is."""


class Tally:
    """Adds up what is done and tells it, where anyone listens."""

    def __init__(self, progress: Progress | None, what: str, total: int) -> None:
        """Start at nothing.

        Args:
            progress: Who is told; None for nobody.
            what: What is being done.
            total: How much there is to do.
        """
        self._progress = progress
        self._what = what
        self._total = total
        self._done = 0

    def __call__(self, count: int = 1) -> None:
        """So much more is done.

        Args:
            count: How much.
        """
        self._done += count
        if self._progress is not None:
            self._progress(self._what, self._done, self._total)
