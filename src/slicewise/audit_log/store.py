"""The audit log as the service uses it: append, look up, stay durable.

Group commit: what many threads submit while one commit runs is written by the next one.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select, update

from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.database import is_conflict, may_pass
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.records import (
    Feedback,
    PredictionRecord,
    check_feedback,
    feedback_of,
    feedback_row,
    prediction_of,
    prediction_row,
)
from slicewise.audit_log.retention import prune_some
from slicewise.audit_log.tables import CHAINED, FEEDBACK, HEADS, PREDICTIONS, now
from slicewise.errors import AuditError, FeedbackError

Rows = Sequence[dict[str, Any]]

RETRY_S = 8.0  # how long a failed commit is tried again: longer than the database restarts
GROUP = 1000  # rows after which no further submission joins a commit
WAITING = 20_000  # rows that may wait; a database that stands still must not fill the memory
FIRST_CHORE_S = 5.0  # from the start to the first chore: who only opens and closes does none
CHORE_S = 3600.0  # time between two chores, seconds
_PAUSE_S = 0.25
_PROOF_S = 5.0
_FAULT_S = 10.0  # how long a commit that was given up counts against the database

_log = logging.getLogger(__name__)


class AuditStore:
    """One a process, safe to use from several threads; made by `open`.

    Every method raises AuditError where the database fails.
    """

    def __init__(self, log: AuditLog, retention_days: int | None) -> None:
        self._audit = log
        self._retention_days = retention_days
        self._written_at = -_PROOF_S
        self._failed_at, self._fault, self._fault_logged = -math.inf, "", False
        self._writer = GroupWriter(self._write, self._prune)

    @classmethod
    def open(cls, settings: AuditSettings) -> AuditStore:
        """Open the audit log as `AuditLog.open` does, make what is missing, check every head."""
        opened = AuditLog.open(settings, create=True)
        try:
            with opened.database.reading() as connection:
                for chain in CHAINED:
                    opened.end(connection, chain)
        except AuditError:
            opened.close()
            raise
        return cls(opened, settings.retention_days)

    def submit(self, records: Sequence[PredictionRecord]) -> Future[None]:
        """Have records written, all or none; done once they are on disk. It cannot be cancelled.

        Raises:
            AuditError: If a value cannot be kept, too much waits, or the store is closed.
        """
        return self._writer.submit([prediction_row(record) for record in records])

    def get(self, prediction_id: str) -> PredictionRecord | None:
        """One prediction; None where there is none or it was pruned."""
        query = select(PREDICTIONS).where(PREDICTIONS.c.id == prediction_id)
        with _errors_logged(), self._audit.database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else prediction_of(dict(row))

    def add_feedback(
        self, prediction_id: str, caller: str, *, agree: bool, label: str | None, note: str | None
    ) -> str:
        """Append `Feedback` on a prediction and give its id; on disk when this returns.

        Raises:
            FeedbackError: If there is no such prediction, or the feedback does not fit it.
        """
        record = self.get(prediction_id)
        if record is None:
            raise FeedbackError("expected the id of a prediction that is kept; got another one")
        feedback = Feedback(uuid4().hex, prediction_id, now(), caller, agree, label, note)
        check_feedback(record, feedback)
        with _errors_logged(), self._audit.database.writing() as connection:
            self._audit.append(connection, FEEDBACK, [feedback_row(feedback)])
        return feedback.id

    def feedback_of(self, prediction_id: str) -> list[Feedback]:
        """All feedback on a prediction, oldest first."""
        query = select(FEEDBACK).where(FEEDBACK.c.prediction_id == prediction_id)
        with _errors_logged(), self._audit.database.reading() as connection:
            found = connection.execute(query.order_by(FEEDBACK.c.seq)).mappings()
            return [feedback_of(dict(row)) for row in found]

    def ping(self) -> None:
        """Show that the database can be written; writes only if nothing was in the last seconds."""
        if not self._writer.alive:
            raise AuditError("the thread that writes the audit database has ended")
        if time.monotonic() - self._failed_at < _FAULT_S:  # a full disk may still take this row
            error = AuditError(f"the last answers could not be written: {self._fault}")
            if not self._fault_logged:  # once for each fault: anybody may ask
                _log.error("audit database: %s", error)
            self._fault_logged = True
            raise error
        if time.monotonic() - self._written_at < _PROOF_S:
            return
        with _errors_logged(), self._audit.database.writing() as connection:
            end = self._audit.end(connection, PREDICTIONS.name, lock=True)
            rewritten = update(HEADS).where(HEADS.c.chain == PREDICTIONS.name)
            connection.execute(rewritten.values(seq=end.seq))
        self._written_at = time.monotonic()

    def close(self) -> None:
        """Write what waits, then close."""
        self._writer.close()
        self._audit.close()

    def _write(self, rows: Rows) -> None:
        """Make rows durable; after a broken connection, look first whether they already are.

        The server may finish the broken commit only after that look: then the repeated one is a
        conflict, which is a reason to look once more.
        """
        begun = time.monotonic()  # while it fails, nobody has to wait to hear so: one more try
        given_up = begun + (_PAUSE_S if begun - self._failed_at < _FAULT_S else RETRY_S)
        repeated = looked_again = False
        while True:
            try:
                if not (repeated and self._are_there(rows)):
                    self._append(rows)
            except AuditError as error:
                self._written_at = -_PROOF_S
                late = repeated and not looked_again and is_conflict(error)
                if not (late or may_pass(error)) or time.monotonic() > given_up:
                    self._failed_at, self._fault = time.monotonic(), str(error)
                    self._fault_logged = False
                    raise
                repeated, looked_again = True, looked_again or late
                time.sleep(_PAUSE_S)
            else:
                self._written_at, self._failed_at = time.monotonic(), -math.inf
                return

    def _append(self, rows: Rows) -> None:
        with self._audit.database.writing() as connection:
            self._audit.append(connection, PREDICTIONS, rows)

    def _are_there(self, rows: Rows) -> bool:
        """Whether a commit that seemed to fail did succeed."""
        ids = {row["id"] for row in rows}
        query = select(func.count()).select_from(PREDICTIONS).where(PREDICTIONS.c.id.in_(ids))
        with self._audit.database.reading() as connection:
            return connection.execute(query).scalar_one() == len(rows)

    def _prune(self) -> bool:
        if self._retention_days is None:
            return False
        return prune_some(self._audit, now() - timedelta(days=self._retention_days))


class GroupWriter:
    """One thread that writes what others submit, in order, in as few commits as it can.

    Args:
        write: Makes rows durable, all or none; raises AuditError.
        chore: Called from the same thread soon after the start and every hour, whether or not
            others submit; does a little and says whether more is left, for which it is called
            again after the next commit.
    """

    def __init__(self, write: Callable[[Rows], None], chore: Callable[[], bool]) -> None:
        self._write, self._chore = write, chore
        self._next_chore = time.monotonic() + FIRST_CHORE_S
        self._queue: deque[tuple[Rows, Future[None]]] = deque()
        self._waiting, self._closed = 0, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, rows: Rows) -> Future[None]:
        """Have rows that belong together written, whether or not somebody still waits for it.

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
        failure: AuditError | None = None
        try:
            self._write([row for rows, _ in group for row in rows])
        except AuditError as error:
            if is_conflict(error) and len(group) > 1:  # one is at fault: the others must not pay
                for one in group:
                    self._commit([one])
                return
            _log.error("audit database: %s", error)
            failure = error
        except Exception as error:
            _log.exception("audit writer")
            failure = AuditError(f"the audit database failed: {type(error).__name__}")
        for _, done in group:
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

    def _do_chore(self) -> None:
        more = False
        try:
            more = self._chore()
        except AuditError as error:
            _log.error("audit retention: %s", error)
        except Exception:
            _log.exception("audit retention")
        self._next_chore = time.monotonic() + (0.0 if more else CHORE_S)


@contextmanager
def _errors_logged() -> Iterator[None]:
    """Log why the database failed: callers hear only that it did."""
    try:
        yield
    except AuditError as error:
        _log.error("audit database: %s", error)
        raise
