"""A real PostgreSQL for tests: Debian's, on a free port of the loopback, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

OWNER = "postgres"
INSTALL = "apt-get install postgresql"
PORTS_TRIED = 5

on_both = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
"""For tests of what may differ between databases; the others run on SQLite alone."""


def _programs() -> Path:
    """The folder of initdb and pg_ctl, the newest installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip(f"PostgreSQL is not installed: {INSTALL}")
    return found[-1].parent if found else Path(on_path or "").parent


def _as_owner(*command: str | Path) -> None:
    """Run what PostgreSQL refuses to run as root."""
    prefix = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """One cluster in a folder of its own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._data = programs, folder / "data"
        self._folder = folder
        self._port: int | None = None
        if os.geteuid() == 0:
            shutil.chown(folder, OWNER, OWNER)
        _as_owner(
            programs / "initdb", "-D", self._data, "-U", OWNER, "-A", "trust", "-E", "UTF8", "-N"
        )

    def start(self) -> None:
        """Listen on the loopback; again on the same port after a stop."""
        if self._port is not None:
            self._listen(self._port)
            return
        for left in reversed(range(PORTS_TRIED)):
            try:
                self._listen(port := _free_port())
            except AssertionError:  # another process was faster
                if not left:
                    raise
            else:
                self._port = port
                return

    def _listen(self, port: int) -> None:
        """The disk is not waited for: a test can kill a process, but not cut the power."""
        options = f"-h 127.0.0.1 -p {port} -k {self._folder} -c shared_buffers=16MB -c fsync=off"
        log = self._folder / "log"
        _as_owner(
            self._programs / "pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start"
        )

    def stop(self) -> None:
        """End at once, connections and all."""
        _as_owner(self._programs / "pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def emptied(self) -> str:
        """The URL of the database, with all that earlier tests left in it gone."""
        url = f"postgresql://{OWNER}@127.0.0.1:{self._port}/postgres"
        with psycopg.connect(url, autocommit=True, options="-c lock_timeout=10s") as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return url


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running server; a skip where PostgreSQL is not installed."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="slicewise-postgres-"))
    try:
        server = Server(programs, folder)
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """The URL of a database that is empty when the test starts."""
    return postgres.emptied()
