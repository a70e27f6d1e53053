"""Times as the audit database writes them: ISO 8601 text in UTC, to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime

from slicewise.errors import AuditError


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A time as 27 characters, such as `2026-03-01T09:30:00.000000Z`; it sorts as time does.

    Raises:
        AuditError: If the time does not say its zone.
    """
    if moment.tzinfo is None:
        raise AuditError(f"expected a time with its zone; got {moment.isoformat()}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


def moment(stamped: str) -> datetime:
    """The time that a text stands for, aware, in UTC.

    Raises:
        AuditError: If the text is no time.
    """
    try:
        return datetime.strptime(stamped, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise AuditError(
            f"expected a time such as 2026-03-01T09:30:00.000000Z; got {stamped!r}"
        ) from None
