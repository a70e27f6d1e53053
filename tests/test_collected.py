"""Ids of tests stay the same: shown on a file of tests that other processes collect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FRESH = """
import gzip, os
import pytest

MOMENT = int.from_bytes(os.urandom(4))

@pytest.mark.parametrize("data", [os.urandom(9) + b"\\0", gzip.compress(b"x", mtime=MOMENT)])
def test_packed(data): ...

@pytest.mark.parametrize("text", [b"GIF89a", b""])
def test_text(text): ...
"""


def collected(folder: Path, text: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """What pytest says that finds the tests of a file."""
    (folder / "test_made.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder)]
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "collected", "test_made.py"]
    given = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(
        [*command, *options], cwd=folder, env=given, capture_output=True, text=True, check=False
    )


def test_fresh_bytes_have_one_name(tmp_path: Path) -> None:
    found = [collected(tmp_path, FRESH, seed).stdout.splitlines()[:4] for seed in "12"]
    names = ("packed[data0]", "packed[data1]", "text[GIF89a]", "text[]")
    assert found == [[f"test_made.py::test_{name}" for name in names]] * 2


@pytest.mark.parametrize(
    ("values", "ids", "told"),
    [
        ("{'b', 'a'}", "None", "a set has none"),
        ("[object()]", "repr", "the address of an object"),
        ("[pathlib.Path(__file__)]", "str", "a place of this machine"),
    ],
)
def test_what_may_differ_is_refused(tmp_path: Path, values: str, ids: str, told: str) -> None:
    mark = (
        f"import pathlib\nimport pytest\n@pytest.mark.parametrize('value', {values}, ids={ids})\n"
    )
    done = collected(tmp_path, mark + "def test_one(value): ...\n")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in done.stdout + done.stderr
