"""The service as a real process, on a port of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from builders import write_tiny_bundle
from builders_service import KEY, until

COMMAND = [sys.executable, "-c", "from slicewise.cli.main import main; main()", "serve"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    bundle = folder / "bundle"
    if not bundle.exists():
        bundle.mkdir()
        write_tiny_bundle(bundle)
    return {
        **os.environ,
        "SLICEWISE_BUNDLE": str(bundle),
        "SLICEWISE_DATABASE_URL": f"sqlite:///{folder / 'audit.db'}",
        "SLICEWISE_AUDIT_KEY": KEY,
        "SLICEWISE_RATE_LIMIT": "0",
        **more,
    }


@contextmanager
def serving(
    folder: Path, *options: str, command: Sequence[str] = COMMAND, **more: str
) -> Iterator[tuple[subprocess.Popen, str]]:
    """A service on a port that it chose, and its address; killed where it has not ended."""
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--port", "0", *options], stderr=out, env=environment(folder, **more)
        )
    try:
        until(lambda: said_address(log) or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()
        wait_until_ready(process, said_address(log), folder)
        yield process, said_address(log)
    finally:
        process.kill()
        process.wait()


def said_address(log: Path) -> str | None:
    """Where a service listens, as it says in its log; None before it does."""
    said = re.search(r'"address": "([^"]+)"', log.read_text())
    return said[1] if said else None


def wait_until_ready(process, address, folder):
    ends = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < ends
        time.sleep(0.05)
