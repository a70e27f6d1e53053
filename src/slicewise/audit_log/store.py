"""The audit database as the service uses it: append, look up, stay durable."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import func, select, update

from slicewise.audit_log.clock import now
from slicewise.audit_log.database import is_conflict, may_pass
from slicewise.audit_log.feedback import Feedback, check_feedback
from slicewise.audit_log.ledger import Ledger
from slicewise.audit_log.reading import Span, rows_of
from slicewise.audit_log.record import PredictionRecord
from slicewise.audit_log.retention import prune_some
from slicewise.audit_log.rows import (
    feedback_of_row,
    feedback_row,
    prediction_of,
    prediction_row,
)
from slicewise.audit_log.settings import AuditSettings
from slicewise.audit_log.tables import FEEDBACK, HEADS, PREDICTIONS
from slicewise.audit_log.writer import GroupWriter, Rows
from slicewise.errors import AuditError, FeedbackError

RETRY_S = 8.0
"""How long a failed commit is tried again, seconds: a restart of the database is shorter."""

_PAUSE_S = 0.25
_PROOF_S = 5.0
_FAULT_S = 10.0
"""How long a commit that was given up counts against the database."""

_log = logging.getLogger(__name__)


class AuditStore:
    """One a process, safe to use from several threads; made by `open`."""

    def __init__(self, ledger: Ledger, retention_days: int | None) -> None:
        self._ledger = ledger
        self._retention_days = retention_days
        self._written_at = -_PROOF_S
        self._failed_at, self._fault, self._fault_told = -math.inf, "", False
        self._writer = GroupWriter(self._write, self._prune)

    @classmethod
    def open(cls, settings: AuditSettings) -> AuditStore:
        """Open the database, create or migrate its tables, load or make its key.

        Raises:
            AuditError: If the database fails, its key is missing or another one, or a head was
                changed.
            ConfigError: If URL or key are not as expected.
            MissingExtraError: If the driver of PostgreSQL is not installed.
        """
        ledger = Ledger.open(settings, create=True)
        try:
            ledger.check_heads()
        except AuditError:
            ledger.close()
            raise
        return cls(ledger, settings.retention_days)

    def submit(self, records: Sequence[PredictionRecord]) -> Future[None]:
        """Have records written, all or none.

        Returns:
            Done once all of them are on disk; fails with AuditError. It cannot be cancelled.

        Raises:
            AuditError: If a value cannot be kept, too much waits, or the store is closed.
        """
        return self._writer.submit([prediction_row(record) for record in records])

    def get(self, prediction_id: str) -> PredictionRecord | None:
        """One prediction; None where there is none or it was pruned.

        Raises:
            AuditError: If the database fails.
        """
        query = select(PREDICTIONS).where(PREDICTIONS.c.id == prediction_id)
        with _told(), self._ledger.database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else prediction_of(dict(row))

    def add_feedback(
        self, prediction_id: str, caller: str, *, agree: bool, label: str | None, note: str | None
    ) -> str:
        """Append what somebody said about a prediction; on disk when this returns.

        Args:
            prediction_id: Which prediction.
            caller: Name of the API key, or `open`.
            agree: Whether its label is right.
            label: What is right instead; None where nobody says.
            note: Free text; None without.

        Returns:
            The id of the feedback.

        Raises:
            FeedbackError: If there is no such prediction, or what was said does not fit it.
            AuditError: If the database fails.
        """
        record = self.get(prediction_id)
        if record is None:
            raise FeedbackError("expected the id of a prediction that is kept; got another one")
        said = Feedback(uuid4().hex, prediction_id, now(), caller, agree, label, note)
        check_feedback(record, said)
        with _told(), self._ledger.database.writing() as connection:
            self._ledger.append(connection, FEEDBACK, [feedback_row(said)])
        return said.id

    def feedback_of(self, prediction_id: str) -> list[Feedback]:
        """All that was said about a prediction, oldest first.

        Raises:
            AuditError: If the database fails.
        """
        query = select(FEEDBACK).where(FEEDBACK.c.prediction_id == prediction_id)
        with _told(), self._ledger.database.reading() as connection:
            found = connection.execute(query.order_by(FEEDBACK.c.seq)).mappings()
            return [feedback_of_row(dict(row)) for row in found]

    def records(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        arm: str | None = None,
    ) -> Iterator[PredictionRecord]:
        """Predictions in the order in which they were written, a page at a time.

        Args:
            since: Aware time; from then on.
            until: Aware time; before then.
            arm: Only this one.

        Raises:
            AuditError: If the database fails, or a row is not as it was written.
        """
        wanted = Span(since, until, arm)
        return map(prediction_of, rows_of(self._ledger.database, PREDICTIONS, wanted))

    def ping(self) -> None:
        """Show that the database can be written; writes only if nothing was in the last seconds.

        Raises:
            AuditError: If it cannot.
        """
        if not self._writer.alive:
            raise AuditError("the thread that writes the audit database has ended")
        if time.monotonic() - self._failed_at < _FAULT_S:  # a full disk may still take this row
            error = AuditError(f"the last answers could not be written: {self._fault}")
            if not self._fault_told:  # once for each fault: anybody may ask
                _log.error("audit database: %s", error)
            self._fault_told = True
            raise error
        if time.monotonic() - self._written_at < _PROOF_S:
            return
        with _told(), self._ledger.database.writing() as connection:
            end = self._ledger.end(connection, PREDICTIONS.name, lock=True)
            rewritten = update(HEADS).where(HEADS.c.chain == PREDICTIONS.name)
            connection.execute(rewritten.values(seq=end.seq))
        self._written_at = time.monotonic()

    def close(self) -> None:
        """Write what waits, then close."""
        self._writer.close()
        self._ledger.close()

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
                    self._fault_told = False
                    raise
                repeated, looked_again = True, looked_again or late
                time.sleep(_PAUSE_S)
            else:
                self._written_at, self._failed_at = time.monotonic(), -math.inf
                return

    def _append(self, rows: Rows) -> None:
        with self._ledger.database.writing() as connection:
            self._ledger.append(connection, PREDICTIONS, rows)

    def _are_there(self, rows: Rows) -> bool:
        """Whether a commit that seemed to fail did succeed."""
        ids = {row["id"] for row in rows}
        query = select(func.count()).select_from(PREDICTIONS).where(PREDICTIONS.c.id.in_(ids))
        with self._ledger.database.reading() as connection:
            return connection.execute(query).scalar_one() == len(rows)

    def _prune(self) -> bool:
        if self._retention_days is None:
            return False
        return prune_some(self._ledger, now() - timedelta(days=self._retention_days))


@contextmanager
def _told() -> Iterator[None]:
    """Log why the database failed: callers are told only that it did."""
    try:
        yield
    except AuditError as error:
        _log.error("audit database: %s", error)
        raise
