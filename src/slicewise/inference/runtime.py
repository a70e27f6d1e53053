"""ONNX Runtime, kept quiet: the one place that imports it.

Its published builds report to their maker, and leave an id of the machine in the home folder,
unless this variable is set before the first import (`docs/Privacy.md` of ONNX Runtime).
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

__all__ = ["ort"]
