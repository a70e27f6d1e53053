from __future__ import annotations

from builders import make_slice, tiny_bundle
from slicewise.evaluation.timing import machine, timings
from slicewise.inference.classifier import Classifier


def test_times_rise_with_the_percentile_and_cover_the_parts(tmp_path):
    found = timings(Classifier(tiny_bundle(tmp_path / "bundle")), [make_slice() for _ in range(5)])
    for entry in found["stages_ms"].values():
        assert entry["n"] == 5
        assert 0 < entry["p50"] <= entry["p90"] <= entry["p99"]
    assert machine(2)["threads"] == 2
