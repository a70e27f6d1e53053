"""How long answers take, stage by stage, on the machine at hand."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from slicewise.arrays import Floats
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.explain.heatmap import heat_map_of
from slicewise.files import write_json
from slicewise.imaging.preprocess import preprocess, to_batch
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Classifier
from slicewise.reports.blocks import Section

if TYPE_CHECKING:
    from slicewise.evaluation.evaluate import Evaluated

PERCENTILES = (50, 90, 99)
BATCH = 16
WARM_UP = 3
SAMPLE = 48
"""Slices that times are taken on, at most."""
STAGES = {
    "preprocess": "preprocessing, one slice",
    "forward": "forward pass, one slice",
    "answer": "whole answer, one slice (preprocessing, forward pass, decision)",
    "heat_map": "heat map of an answer, without drawing it",
    "forward_batched": "forward pass, share of a slice in a batch",
}
Item = TypeVar("Item")
_CPU_INFO = Path("/proc/cpuinfo")


def timing_report(evaluated: Evaluated) -> list[Section]:
    """Take times on some of the slices and write `timing.json`; its section of the report.

    The times stand in a file of their own, because `metrics.json` is the same for equal answers.
    """
    slices = sample_slices(evaluated.manifest, evaluated.rows)
    classifier = evaluated.classifier
    found = {"machine": machine(classifier.threads), **timings(classifier, slices)}
    write_json(evaluated.out_dir / "timing.json", found)
    at = found["machine"]
    load = "" if at["load_average"] is None else f", load average {at['load_average']:.1f}"
    threads = "1 thread" if at["threads"] == 1 else f"{at['threads']} threads"
    section = Section.of(
        "Speed on this machine",
        f"Milliseconds on {at['device']} ({at['cpu']}, {at['cpus']} logical processors, {threads} "
        f"for the forward pass{load}, ONNX Runtime {at['onnxruntime']}). Batches hold "
        f"{found['batch']} slices. Reading files is not counted. Other work on the machine makes "
        "these times longer; they judge nothing.",
        ("stage", "median", "90th percentile", "99th percentile", "slices"),
        [
            (STAGES[name], *(f"{times[key]:.1f}" for key in ("p50", "p90", "p99")), str(times["n"]))
            for name, times in found["stages_ms"].items()
        ],
    )
    return [section]


def timings(classifier: Classifier, slices: Sequence[Slice]) -> dict[str, Any]:
    """Milliseconds a slice of all `STAGES`, as mean and percentiles over at least one slice."""
    spec = classifier.bundle.info.preprocessing
    images = [preprocess(slice_.pixels, spec).image for slice_ in slices]
    single = [to_batch(image[None]) for image in images]
    for batch in single[:WARM_UP]:
        classifier.run(batch)
    answers = [classifier.answers([slice_])[0] for slice_ in slices]
    parts = [np.stack(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
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
        "batch": BATCH,
        "stages_ms": {name: _percentiles(seconds) for name, seconds in stages.items()},
    }


def machine(threads: int) -> dict[str, Any]:
    """What the times were taken on; `threads` are those of one forward pass."""
    from slicewise.inference.runtime import ort

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "device": "CPU",
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "load_average": load,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
    }


def sample_slices(manifest: Manifest, rows: Sequence[ManifestRow]) -> list[Slice]:
    """Some slices to take times on, evenly spread over rows that can be read."""
    chosen = np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int)
    return [read_slice(manifest.resolve(rows[i])) for i in np.unique(chosen)]


def _seconds(work: Callable[[Item], object], items: Sequence[Item]) -> Floats:
    taken = []
    for item in items:
        started = time.perf_counter()
        work(item)
        taken.append(time.perf_counter() - started)
    return np.array(taken)


def _percentiles(seconds: Floats) -> dict[str, float]:
    milliseconds = 1000 * seconds
    found = np.percentile(milliseconds, PERCENTILES)
    named = {f"p{p}": round(float(v), 3) for p, v in zip(PERCENTILES, found, strict=True)}
    return {"n": seconds.size, "mean": round(float(milliseconds.mean()), 3), **named}


def _cpu_model() -> str:
    """The name of the processor, as far as the system gives it."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
