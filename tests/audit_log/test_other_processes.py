"""Other commands on the same file must not cost a running service what it acknowledged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builders_records import KEY

SERVICE = """
import sys
sys.path.insert(0, sys.argv[2])
from builders_records import KEY, record
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.keys import KeyStore
from slicewise.audit_log.chain import AuditSettings

settings = AuditSettings(database_url=sys.argv[1], key=KEY)
store = AuditStore.open(settings)
keys = KeyStore.open(settings)  # a second opening in one process
for number, _ in enumerate(sys.stdin):
    store.submit([record(number)]).result(10)
    print("acknowledged", flush=True)
"""

COUNT = """
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM predictions").fetchone()[0])
"""


@pytest.mark.parametrize(
    "command", [["audit", "verify"], ["audit", "head"], ["audit", "report"], ["keys", "list"]]
)
def test_a_command_beside_a_running_service_costs_it_nothing(tmp_path: Path, command: list[str]):
    file = tmp_path / "audit.db"
    tests = str(Path(__file__).parents[1])
    running = subprocess.Popen(
        [sys.executable, "-c", SERVICE, f"sqlite:///{file}", tests],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    given = {"SLICEWISE_DATABASE_URL": f"sqlite:///{file}", "SLICEWISE_AUDIT_KEY": KEY}
    beside = [sys.executable, "-c", "from slicewise.cli.main import main; main()", *command]
    try:
        _predict(running, 3)
        done = subprocess.run(beside, env={**os.environ, **given}, check=False, timeout=60)
        assert done.returncode == 0
        _predict(running, 4)
        running.send_signal(signal.SIGKILL)
    finally:
        running.kill()
        running.wait()
    found = subprocess.run(
        [sys.executable, "-c", COUNT, str(file)], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) == 7


def _predict(running: subprocess.Popen[str], count: int) -> None:
    assert running.stdin is not None
    assert running.stdout is not None
    for _ in range(count):
        running.stdin.write("\n")
        running.stdin.flush()
        assert running.stdout.readline() == "acknowledged\n"
