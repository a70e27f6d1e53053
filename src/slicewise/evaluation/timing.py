"""Times of a model on this machine, and what the machine is."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from slicewise.arrays import Floats
from slicewise.explain.heatmap import heat_map_of
from slicewise.imaging.preprocess import preprocess, to_batch
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier

STAGES = {
    "preprocess": "preprocessing, one slice",
    "forward": "forward pass, one slice",
    "answer": "whole answer, one slice (preprocessing, forward pass, decision)",
    "heat_map": "heat map of an answer, without drawing it",
    "forward_batched": "forward pass, share of a slice in a batch",
}
_BATCH, _WARM_UP = 16, 3
Item = TypeVar("Item")
_CPU_INFO = Path("/proc/cpuinfo")


def timings(classifier: Classifier, slices: Sequence[Slice]) -> dict[str, Any]:
    """Milliseconds a slice of all `STAGES`, as mean and percentiles over at least one slice."""
    spec = classifier.bundle.info.preprocessing
    images = [preprocess(slice_.pixels, spec).image for slice_ in slices]
    single = [to_batch(image[None]) for image in images]
    for batch in single[:_WARM_UP]:
        classifier.run(batch)
    answers = [classifier.answers([slice_])[0] for slice_ in slices]
    parts = [np.stack(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
    per_batch = _seconds(lambda part: classifier.run(to_batch(part)), parts)
    sizes = np.array([len(part) for part in parts])
    pairs = list(zip(slices, answers, strict=True))
    stages = {
        "preprocess": _seconds(lambda slice_: preprocess(slice_.pixels, spec), slices),
        "forward": _seconds(classifier.run, single),
        "answer": _seconds(lambda slice_: classifier.answers([slice_]), slices),
        "heat_map": _seconds(lambda pair: heat_map_of(*pair), pairs),
        "forward_batched": np.repeat(per_batch / sizes, sizes),
    }
    return {
        "n": len(slices),
        "batch": _BATCH,
        "stages_ms": {name: _percentiles(seconds) for name, seconds in stages.items()},
    }


def machine(threads: int) -> dict[str, Any]:
    """What the times were taken on; `threads` are those of one forward pass."""
    from slicewise.inference.runtime import ort

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    told = _CPU_INFO.read_text("utf-8", "replace") if _CPU_INFO.is_file() else ""
    model = re.search(r"^model name.*?:(.*)", told, re.MULTILINE)
    return {
        "device": "CPU",
        "cpu": model[1].strip() if model else platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "load_average": load,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
    }


def _seconds(work: Callable[[Item], object], items: Sequence[Item]) -> Floats:
    taken = []
    for item in items:
        started = time.perf_counter()
        work(item)
        taken.append(time.perf_counter() - started)
    return np.array(taken)


def _percentiles(seconds: Floats) -> dict[str, float]:
    ms = 1000 * seconds
    named = {f"p{p}": round(float(np.percentile(ms, p)), 3) for p in (50, 90, 99)}
    return {"n": ms.size, "mean": round(float(ms.mean()), 3), **named}
