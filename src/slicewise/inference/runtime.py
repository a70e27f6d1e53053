"""ONNX Runtime: the one place that imports it and starts its sessions.

It reports to its maker, and leaves an id of the machine in the home folder, unless this variable is
set while it is first imported (`docs/Privacy.md` of ONNX Runtime).
"""

from __future__ import annotations

import os

from slicewise.errors import BundleError

_SWITCH = "ORT_DISABLE_TELEMETRY"
_given = _SWITCH in os.environ
os.environ.setdefault(_SWITCH, "1")
try:
    import onnxruntime as ort
finally:  # the environment belongs to the program that imports this
    if not _given:
        del os.environ[_SWITCH]

__all__ = ["ort", "session_of"]


def session_of(name: str, graph: bytes, threads: int) -> ort.InferenceSession:
    """A session on the processor that keeps no more memory than it needs.

    Raises:
        BundleError: It is no graph that ONNX Runtime runs.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # it would keep a block for each size of a batch
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors share no parent
        raise BundleError(f"{name}: not a graph that ONNX Runtime runs: {error}") from error
