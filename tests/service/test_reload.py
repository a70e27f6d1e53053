"""`serve --reload` on a copy of the package, as a real process."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import httpx
import pytest

import slicewise
from builders_service import until
from processes import serving, wait_until_ready

pytestmark = pytest.mark.trials


def test_a_changed_file_starts_it_again_with_the_new_code(tmp_path):
    source, copy = Path(slicewise.__file__).parent, tmp_path / "code" / "slicewise"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "models"))
    health = copy / "service" / "http" / "routes" / "health.py"
    found = os.pathsep.join([str(copy.parent), os.environ.get("PYTHONPATH", "")])
    with serving(tmp_path, "--reload", PYTHONPATH=found) as (process, address):
        assert "version" in httpx.get(f"{address}/healthz").json()
        text = health.read_text()
        health.write_text(text.replace('Literal["ok"] = "ok"', 'Literal["new"] = "new"'))

        def status() -> str | None:
            try:
                return httpx.get(f"{address}/healthz", timeout=5).json()["status"]
            except httpx.HTTPError:
                return None

        until(lambda: status() == "new", 60)
        assert process.poll() is None
        health.write_text("this is no code")  # it waits for the next change
        until(lambda: status() is None, 60)
        health.write_text(text)
        wait_until_ready(process, address, tmp_path, None)
        assert status() == "ok"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
