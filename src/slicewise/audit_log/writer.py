"""Group commit: what many threads hand in while one commit runs is written by the next one."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from slicewise.audit_log.database import is_conflict
from slicewise.errors import AuditError

Rows = Sequence[dict[str, Any]]

GROUP = 1000
"""Rows after which no further submission joins a commit."""

WAITING = 20_000
"""Rows that may wait; a database that stands still must not fill the memory."""

FIRST_CHORE_S = 5.0
"""Time from the start to the first chore, seconds: who only opens and closes does none."""

CHORE_S = 3600.0
"""Time between two chores, seconds."""

_log = logging.getLogger(__name__)


class GroupWriter:
    """One thread that writes what others hand in, in order, as few commits as it can.

    Args:
        write: Makes rows durable, all or none; raises AuditError.
        chore: Called from the same thread soon after the start and every hour, whether or not
            others hand in; does a little and says whether more is left, for which it is called
            again after the next commit.
    """

    def __init__(self, write: Callable[[Rows], None], chore: Callable[[], bool]) -> None:
        self._write, self._chore = write, chore
        self._next_chore = time.monotonic() + FIRST_CHORE_S
        self._queue: deque[tuple[Rows, Future[None]]] = deque()
        self._waiting = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, rows: Rows) -> Future[None]:
        """Hand in rows that belong together.

        Returns:
            Done once they are durable; fails with AuditError. It cannot be cancelled: what was
            handed in is written, whether or not somebody still waits.

        Raises:
            AuditError: If too much waits, or the writer is closed.
        """
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()
        if not rows:
            done.set_result(None)
            return done
        with self._changed:
            if self._closed:
                raise AuditError("the audit database is closed")
            if self._waiting + len(rows) > WAITING:
                raise AuditError(f"the audit database is behind: {self._waiting} records wait")
            self._queue.append((rows, done))
            self._waiting += len(rows)
            self._changed.notify()
        return done

    def close(self) -> None:
        """Write what waits, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            left = self._next_chore - time.monotonic()
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed, max(left, 0.0))
                group, closed = self._take(), self._closed
            if group:
                self._commit(group)
            elif closed:
                return
            if not closed and time.monotonic() >= self._next_chore:
                self._do_chore()

    def _take(self) -> list[tuple[Rows, Future[None]]]:
        group: list[tuple[Rows, Future[None]]] = []
        size = 0
        while self._queue and (not group or size + len(self._queue[0][0]) <= GROUP):
            group.append(self._queue.popleft())
            size += len(group[-1][0])
        self._waiting -= size
        return group

    def _commit(self, group: list[tuple[Rows, Future[None]]]) -> None:
        try:
            self._write([row for rows, _ in group for row in rows])
        except AuditError as error:
            if is_conflict(error) and len(group) > 1:  # one is at fault: the others must not pay
                for one in group:
                    self._commit([one])
                return
            _log.error("audit database: %s", error)
            _finish(group, error)
        except Exception as error:
            _log.exception("audit writer")
            _finish(group, AuditError(f"the audit database failed: {type(error).__name__}"))
        else:
            _finish(group, None)

    def _do_chore(self) -> None:
        more = False
        try:
            more = self._chore()
        except AuditError as error:
            _log.error("audit retention: %s", error)
        except Exception:
            _log.exception("audit retention")
        self._next_chore = time.monotonic() + (0.0 if more else CHORE_S)


def _finish(group: list[tuple[Rows, Future[None]]], error: AuditError | None) -> None:
    for _, done in group:
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
