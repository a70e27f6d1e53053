"""The times of a model as `timing.json` and as a part of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slicewise.evaluation.evaluate import Evaluated
from slicewise.evaluation.sections.timing import machine, sample_slices, timings
from slicewise.files import write_json
from slicewise.reports.blocks import Section

WORDS = {
    "preprocess": "preprocessing, one slice",
    "forward": "forward pass, one slice",
    "answer": "whole answer, one slice (preprocessing, forward pass, decision)",
    "heat_map": "heat map of an answer, without drawing it",
    "forward_batched": "forward pass, share of a slice in a batch",
}


def timing_report(evaluated: Evaluated) -> list[Section]:
    """Take times on some of the slices, write `timing.json`, and tell of it.

    The times stand in a file of their own, because `metrics.json` is the same for equal answers.

    Args:
        evaluated: What was measured.
    """
    slices = sample_slices(evaluated.manifest, evaluated.rows)
    classifier = evaluated.classifier
    found = {"machine": machine(classifier.threads), **timings(classifier, slices)}
    write_json(evaluated.out_dir / "timing.json", found)
    return [_section(found)]


def _section(found: Mapping[str, Any]) -> Section:
    at = found["machine"]
    load = "" if at["load_average"] is None else f", load average {at['load_average']:.1f}"
    rows = tuple(
        (WORDS[name], *(f"{entry[key]:.1f}" for key in ("p50", "p90", "p99")), str(entry["n"]))
        for name, entry in found["stages_ms"].items()
    )
    threads = "1 thread" if at["threads"] == 1 else f"{at['threads']} threads"
    return Section(
        "Speed on this machine",
        f"Milliseconds on {at['device']} ({at['cpu']}, {at['cpus']} logical processors, {threads} "
        f"for the forward pass{load}, ONNX Runtime {at['onnxruntime']}). Batches hold "
        f"{found['batch']} slices. Reading files is not counted. Other work on the machine makes "
        "these times longer; they judge nothing.",
        ("stage", "median", "90th percentile", "99th percentile", "slices"),
        rows,
    )
