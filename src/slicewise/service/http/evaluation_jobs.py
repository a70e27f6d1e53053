"""Evaluations of data below allowed folders of the server: one at a time, an end to each."""

from __future__ import annotations

import asyncio
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from slicewise.errors import AccessError, InputError, LimitError, OverloadError, SliceWiseError
from slicewise.service.settings import PREFIX

BUSY_S = 30  # when to come back while another one is running, seconds
_INDEX = re.compile(r"#\d+$")
_OUTSIDE = f"expected a path below one of the folders that the operator allows ({PREFIX}DATA_ROOTS)"
Result = TypeVar("Result")


class DataRoots:
    """Allowed folders, with links in them followed; without any, nothing is allowed."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(root.resolve() for root in roots)
        self._names = sorted({str(root) for root in (*roots, *self._roots)}, key=len, reverse=True)

    def __iter__(self) -> Iterator[Path]:
        return iter(self._roots)

    def find(self, given: str) -> Path:
        """The file or folder that a request names: absolute, or relative to one of the roots.

        Raises:
            AccessError: It lies outside, itself or by a link; what is there is not looked at.
            InputError: There is none.
        """
        candidates = [self._resolved(root / given) for root in self._roots]
        inside = [path for path in candidates if self.holds(path)]
        if not inside:
            raise AccessError(_OUTSIDE, known=True)
        found = next((path for path in inside if os.path.exists(path)), None)  # noqa: PTH110 (never raises)
        if found is None:
            raise InputError("expected a file or folder below an allowed folder; there is none")
        if not (found.is_file() or found.is_dir()):  # a pipe would be waited for for ever
            raise InputError("expected a file or folder below an allowed folder; got neither")
        return found

    def holds(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self._roots)

    def require_all(self, references: Iterable[str | Path]) -> None:
        """Check what a file below a root names: files, or `file#index` as `read_slice` takes them.

        Raises:
            AccessError: One lies outside, itself or by a link.
            InputError: One is no file.
        """
        for reference in map(str, references):
            whole, file = Path(reference), Path(_INDEX.sub("", reference))
            if not all(self.holds(self._resolved(path)) for path in (whole, file)):
                raise AccessError(_OUTSIDE, known=True)
            if file.exists() and not file.is_file():
                raise InputError("expected files; got something else")

    def hidden(self, text: str) -> str:
        """A text without the places of the roots on this machine."""
        for name in self._names:
            text = text.replace(f"{name}/", "").replace(name, ".")
        return text

    def hidden_in(self, found: Any) -> Any:
        """What JSON can say, with every text in it as `hidden` gives it."""
        if isinstance(found, str):
            return self.hidden(found)
        if isinstance(found, dict):
            return {self.hidden(name): self.hidden_in(value) for name, value in found.items()}
        if isinstance(found, list):
            return [self.hidden_in(value) for value in found]
        return found

    def _resolved(self, path: Path) -> Path:
        try:
            return path.resolve()
        except (OSError, ValueError, RuntimeError):
            raise InputError("expected a path that a file can have") from None


class Deadline:
    """Follows the progress of a job, and ends it when its time is up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def end(self) -> None:
        """End the job the next time it reports its progress."""
        self._ends_at = -math.inf

    def __call__(self, what: str, done: int, total: int) -> None:
        """Go on; LimitError where the time is up."""
        if time.monotonic() > self._ends_at:
            raise LimitError(
                f"{what}: expected to end within {self._seconds:g} s, got {done} of {total}; "
                "send less, or use `slicewise evaluate` on the server"
            )


class EvaluationJobs:
    """Runs one job on data of the server at a time, beside the requests for single files."""

    def __init__(self, roots: DataRoots, seconds: float) -> None:
        self.roots = roots
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="evaluation")

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def run(self, job: Callable[[DataRoots, Deadline], Result]) -> Result:
        """Run a job in a thread; it ends too where nobody waits for it any more.

        Raises:
            OverloadError: Another one is running.
            SliceWiseError: As the job raises, without places on the server.
        """
        if self._lock.locked():
            raise OverloadError("another job on the data of the server is running", BUSY_S)
        deadline = Deadline(self._seconds)
        async with self._lock:
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._thread, job, self.roots, deadline)
            except asyncio.CancelledError:
                deadline.end()
                raise
            except SliceWiseError as error:
                error.args = (self.roots.hidden(str(error)),)
                raise
