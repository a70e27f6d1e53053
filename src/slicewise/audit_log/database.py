"""The database behind the audit log: SQLite in WAL mode, or PostgreSQL.

Whatever it raises is an AuditError that names the database without its password and holds no value
of a row.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, exc, func, make_url, select

from slicewise.errors import AuditError, ConfigError, MissingExtraError

BUSY_S = 10  # how long a writer waits for another one, seconds
_PAUSE_S = 0.02

_SETTING_UP = 7_312_907_101  # the lock in PostgreSQL while one process makes or migrates tables

_POSTGRES_OPTIONS = (
    f"-c synchronous_commit=on -c lock_timeout={BUSY_S}s -c statement_timeout=60s "
    "-c idle_in_transaction_session_timeout=300s -c timezone=UTC"
)


class Database:
    """Connections to one database; safe to use from several threads.

    Every transaction raises AuditError where the database fails.

    Args:
        url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql://...`.
        create: Make the file of SQLite if there is none.

    Raises:
        ConfigError: If the URL is of another kind, or of SQLite without a file.
        AuditError: If the file of SQLite is missing or cannot be written.
        MissingExtraError: If the driver of PostgreSQL is not installed.
    """

    def __init__(self, url: str, *, create: bool) -> None:
        self.url = _known(url)
        sqlite = self.url.get_backend_name() == "sqlite"
        self.file = Path(self.url.database or "") if sqlite else None
        self._engine = create_engine(
            self.url,
            hide_parameters=True,
            pool_pre_ping=self.file is None,
            connect_args=_connect_args(self.url, self.file),
        )
        self._writing = threading.Lock()
        if self.file is not None:
            _require_file(self.file, create)
            self._identity = _identity(self.file)
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(
        self, *, snapshot: bool = False, as_it_stands: bool = False
    ) -> Iterator[Connection]:
        """A transaction that only reads.

        Args:
            snapshot: See one state of the database throughout; SQLite always does.
            as_it_stands: Read text that is no UTF-8, which only SQLite can hold, with lone
                surrogates in it instead of failing.
        """
        with self._audit_errors(), self._engine.connect() as connection:
            if snapshot and self.file is None:
                connection.execution_options(isolation_level="REPEATABLE READ")
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            if as_it_stands and self.file is not None:
                with _any_text(connection.connection.driver_connection):
                    yield connection
            else:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; durable once left. One at a time within a process.

        Where it fails nothing was written, or, if the connection broke during the commit, perhaps
        all.
        """
        # Nobody would find what is written into a file that was moved or deleted.
        if self.file is not None and _identity(self.file) != self._identity:
            raise AuditError(
                f"{self.file}: expected the file that was opened; it was moved, deleted or replaced"
            )
        with self._audit_errors(), self._writing, self._engine.connect() as connection:
            connection.execution_options(slicewise_writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def setting_up(self) -> Iterator[Connection]:
        """A transaction that writes, alone among all processes that set up this database."""
        with self.writing() as connection:
            if self.file is None:  # in SQLite the write lock is enough
                connection.execute(select(func.pg_advisory_xact_lock(_SETTING_UP)))
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextmanager
    def _audit_errors(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise AuditError(f"{self.name}: {_reason(error)}") from error


def is_conflict(error: AuditError) -> bool:
    """Whether a row was refused because one of its kind is there."""
    return isinstance(error.__cause__, exc.IntegrityError)


def may_pass(error: AuditError) -> bool:
    """Whether trying again may help: a lost connection, a server that restarts, a lock."""
    cause = error.__cause__
    return isinstance(cause, exc.OperationalError) or (
        isinstance(cause, exc.DBAPIError) and cause.connection_invalidated
    )


def _known(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ConfigError("database_url: expected an SQLAlchemy URL; got something else") from None
    kind = parsed.get_backend_name()
    if kind in {"postgresql", "postgres"}:
        if find_spec("psycopg") is None:
            raise MissingExtraError("PostgreSQL", "postgres")
        return parsed.set(drivername="postgresql+psycopg")
    if kind != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigError(
            "database_url: expected sqlite:///FILE or postgresql://USER@HOST/NAME; got "
            f"{parsed.render_as_string(hide_password=True)}"
        )
    return parsed


def _connect_args(url: URL, file: Path | None) -> dict[str, Any]:
    if file is not None:
        return {"timeout": BUSY_S, "isolation_level": None}
    given = url.query.get("options", ())
    return {
        "connect_timeout": 5,
        "tcp_user_timeout": 15_000,  # milliseconds: a server that is cut off does not hang us
        # What an operator set comes first: ours counts where both are set.
        "options": " ".join([*([given] if isinstance(given, str) else given), _POSTGRES_OPTIONS]),
        "application_name": "slicewise",
    }


def _require_file(file: Path, create: bool) -> None:
    """Check that the file can be written; where it is made, only its owner reads it.

    A file that is there is never opened here: closing it would drop the locks that SQLite holds on
    it in this process (POSIX), and then another process that closes the database deletes the WAL
    with all that was acknowledged since (sqlite.org/howtocorrupt.html, section 2.2).
    """
    if not create and not file.exists():
        raise AuditError(f"{file}: expected an audit database; there is none")
    try:
        if create and not file.exists():
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:  # another process was quicker
        pass
    except OSError as error:
        raise AuditError(f"{file}: expected a file that can be written; {error.strerror}") from None
    if not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
        raise AuditError(f"{file}: expected a file that can be written; got another one")


def _identity(file: Path) -> tuple[int, int] | None:
    """Device and number of a file; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_up_sqlite(connection: Any, _: object) -> None:
    """WAL: readers do not wait for the writer. FULL: a commit is on disk, not just handed over."""
    cursor = connection.cursor()
    mode = _wal(cursor)
    if mode != "wal":
        raise AuditError(f"expected a file system on which SQLite can use WAL; got mode {mode}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _wal(cursor: sqlite3.Cursor) -> str:
    """The mode after asking for WAL, waiting while another process turns a new file to it.

    SQLite's own wait does not cover this: of two that ask at the same time it refuses one at once.
    """
    given_up = time.monotonic() + BUSY_S
    while True:
        try:
            return str(cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > given_up:
                raise
        time.sleep(_PAUSE_S)


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once, so that no transaction fails half way."""
    writes = connection.get_execution_options().get("slicewise_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _any_text(connection: Any) -> Iterator[None]:
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = str


def _reason(error: exc.SQLAlchemyError) -> str:
    """First line of what the driver says; never the statement or its values."""
    original = getattr(error, "orig", None)
    lines = str(original if original is not None else type(error).__name__).splitlines()
    return lines[0] if lines else type(error).__name__
