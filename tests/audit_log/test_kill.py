"""A process killed while it writes takes nothing with it that it had acknowledged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from builders_records import kept_in, record
from postgres import on_both
from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.log import AuditLog
from slicewise.audit_log.store import AuditStore
from slicewise.audit_log.verify import verify

PROGRAM = Path(__file__).with_name("writing_process.py")
TESTS = PROGRAM.parents[1]


def started(url: str) -> subprocess.Popen[bytes]:
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen(
        [sys.executable, PROGRAM, url], stdout=subprocess.PIPE, env=environment, bufsize=0
    )


def acknowledged_until_killed(process: subprocess.Popen[bytes], enough: int) -> set[str]:
    """Kill it in the middle of its work; all that it had said until then."""
    said = b""
    while said.count(b"\n") < enough:
        part = os.read(process.stdout.fileno(), 1 << 16)
        assert part, f"the process ended by itself: {process.wait()}"
        said += part
    process.send_signal(signal.SIGKILL)
    said += process.stdout.read()
    assert process.wait() == -signal.SIGKILL
    return set(said.decode().splitlines())


@on_both
def test_kill_9_loses_nothing_acknowledged(settings: AuditSettings, url: str):
    survivor, victim = started(url), started(url)
    try:
        promised = acknowledged_until_killed(victim, 90)
        promised |= acknowledged_until_killed(survivor, 90)  # it went on, without the dead one
    finally:
        for process in (survivor, victim):
            process.kill()
            process.stdout.close()
    store = AuditStore.open(settings)
    kept = [one.id for one in kept_in(store)]
    assert len(promised) >= 180
    assert promised <= set(kept)
    assert len(kept) == len(set(kept))
    assert len(kept) % 3 == 0  # what was handed in together is there together
    store.submit([record()]).result(30)
    log = AuditLog.open(settings, create=False)
    found = verify(log)
    assert found.intact
    assert {state.chain: state.rows for state in found.chains}["predictions"] == len(kept) + 1
    log.close()
    store.close()
