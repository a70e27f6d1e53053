"""Nothing is told to anybody, and nothing is left where nobody asked for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ANSWER = """
import numpy as np
from slicewise.inference.classifier import Classifier
classifier = Classifier.load()
size = classifier.bundle.info.preprocessing.size
classifier.run(np.zeros((1, 1, size, size), dtype=np.float32))
"""


def test_an_answer_leaves_no_id_of_the_machine(tmp_path: Path) -> None:
    """The inference library would write one at home, and send it."""
    places = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", ANSWER], env={**kept, **places}, check=False)
    assert done.returncode == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
