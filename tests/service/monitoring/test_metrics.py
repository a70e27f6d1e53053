"""Numbers for Prometheus, of one process and of several."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from slicewise.inference.decision import BundleReference
from slicewise.service.monitoring.metrics import (
    SHARED_FOLDER,
    STAGES,
    Metrics,
    forget_dead,
    private_folder,
    remove_left_over,
)


def values(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, read by Prometheus' own parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_answers_are_counted_by_arm_label_decision_and_reason() -> None:
    metrics = Metrics()
    metrics.decision("glioma", "review", ["low_confidence", "possibly_out_of_distribution"], "main")
    metrics.decision("glioma", "review", ["low_confidence"], "main")
    metrics.decision("glioma", "reject", ["not_mr"], "shadow")
    found = values(metrics.render())
    by_decision = {k[1]: v for k, v in found.items() if k[0] == "slicewise_decisions_total"}
    assert by_decision == {
        (("arm", "main"), ("decision", "review"), ("label", "glioma")): 2,
        (("arm", "shadow"), ("decision", "reject"), ("label", "glioma")): 1,
    }
    by_reason = {k[1]: v for k, v in found.items() if k[0] == "slicewise_reasons_total"}
    assert by_reason[(("arm", "main"), ("reason", "low_confidence"))] == 2
    assert by_reason[(("arm", "shadow"), ("reason", "not_mr"))] == 1


def test_stages_batches_queue_and_responses() -> None:
    metrics = Metrics()
    with metrics.stage("decode"):
        pass
    metrics.observe_stage("queue", 0.004)
    metrics.batch_size(3)
    metrics.batch_size(8)
    metrics.queue_depth(5, "main")
    metrics.queue_depth(2, "challenger")
    metrics.response("/v1/predict", 200, 0.02)
    metrics.bundle("main", BundleReference("four_class", "0.2.0", "ab" * 32))
    found = values(metrics.render())
    for stage in STAGES:
        expected = {"decode": 1, "queue": 1}.get(stage, 0)
        assert found[("slicewise_stage_seconds_count", (("stage", stage),))] == expected
    assert found[("slicewise_stage_seconds_sum", (("stage", "queue"),))] == pytest.approx(0.004)
    assert found[("slicewise_batch_slices_count", ())] == 2
    assert found[("slicewise_batch_slices_sum", ())] == 11
    waiting = {k[1]: v for k, v in found.items() if k[0] == "slicewise_queue_slices"}
    assert waiting == {(("arm", "main"),): 5, (("arm", "challenger"),): 2}
    labels = (("route", "/v1/predict"), ("status", "200"))
    assert found[("slicewise_responses_total", labels)] == 1
    assert found[("slicewise_request_seconds_sum", (("route", "/v1/predict"),))] == 0.02
    assert [v for k, v in found.items() if k[0] == "slicewise_bundle"] == [1]
    assert found[("process_resident_memory_bytes", ())] > 1e6


def test_a_failing_stage_is_timed_too() -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="broken"), metrics.stage("forward"):
        raise ValueError("broken")
    count = values(metrics.render())[("slicewise_stage_seconds_count", (("stage", "forward"),))]
    assert count == 1


def test_two_services_in_one_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.batch_size(1)
    assert values(other.render())[("slicewise_batch_slices_count", ())] == 0


WORKER = """
from slicewise.service.monitoring.metrics import Metrics
metrics = Metrics()
metrics.decision("glioma", "accept", [], "main")
metrics.queue_depth(3, "main")
metrics.batch_size({size})
print(metrics.render().decode())
"""


def worker(folder: Path, size: int) -> bytes:
    environment = {**os.environ, SHARED_FOLDER: str(folder)}
    code = WORKER.format(size=size)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True
    )
    return done.stdout


def test_any_worker_tells_the_numbers_of_all_and_the_present_of_the_living(tmp_path: Path) -> None:
    first, second = values(worker(tmp_path, 2)), values(worker(tmp_path, 8))
    accepted = (
        "slicewise_decisions_total",
        (("arm", "main"), ("decision", "accept"), ("label", "glioma")),
    )
    assert first[accepted] == 1
    assert second[accepted] == 2
    assert second[("slicewise_batch_slices_sum", ())] == 10
    # The first worker has ended: what waited in it waits no more.
    assert second[("slicewise_queue_slices", (("arm", "main"),))] == 3


def test_what_the_dead_counted_stays(tmp_path: Path) -> None:
    for _ in range(3):
        told = values(worker(tmp_path, 2))
    assert len(list(tmp_path.glob("gauge_live*"))) == 1  # each worker dropped those before it
    forget_dead(tmp_path)
    assert not list(tmp_path.glob("gauge_live*"))
    assert {path.suffix for path in tmp_path.iterdir()} == {".db"}
    after = values(worker(tmp_path, 8))
    name = "slicewise_batch_slices"
    assert told[(f"{name}_sum", ())] == 6
    assert after[(f"{name}_sum", ())] == 14
    assert after[(f"{name}_bucket", (("le", "2.0"),))] == 3
    assert after[(f"{name}_bucket", (("le", "8.0"),))] == after[(f"{name}_count", ())] == 4
    decided = (("arm", "main"), ("decision", "accept"), ("label", "glioma"))
    assert after[("slicewise_decisions_total", decided)] == 4


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with private_folder() as folder:
        monkeypatch.setenv(SHARED_FOLDER, str(folder))
        yield folder
    assert not folder.exists()


def test_the_shared_folder_is_private(shared: Path) -> None:
    assert shared.stat().st_mode & 0o077 == 0


def test_what_a_killed_service_left_is_removed_and_what_others_use_stays(shared: Path) -> None:
    code = (
        "import os\nfrom slicewise.service.monitoring.metrics import private_folder as held\n"
        "with held() as folder:\n    print(folder, flush=True)\n    os._exit(0)\n"
    )
    ended = [sys.executable, "-c", code]
    left = Path(subprocess.run(ended, capture_output=True, text=True, check=True).stdout.strip())
    (left / "counter_1.db").write_bytes(b"x")
    assert left.parent == shared.parent
    remove_left_over()
    assert not left.exists()
    assert shared.is_dir()
