"""`slicewise monitor` end to end on a real database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from builders import fitted_rule, write_tiny_bundle
from builders_monitor import START, answers
from slicewise.audit_log.records import PredictionRecord
from slicewise.audit_log.store import AuditStore
from slicewise.cli.main import app
from slicewise.errors import ConfigError
from slicewise.service.settings import Settings

UNTIL = (START + timedelta(days=4)).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("monitor") / "bundle"
    rule = fitted_rule(confidence=0.6).model_copy(update={"out_of_distribution": None})
    return folder, write_tiny_bundle(folder, decision=rule)


def fill(folder: Path, records: Sequence[PredictionRecord]) -> str:
    url = f"sqlite:///{folder / 'audit.db'}"
    store = AuditStore.open(Settings(database_url=url).audit_log)
    store.submit(records).result(timeout=60)
    store.close()
    return url


def monitor(url: str, bundle: Path, out: Path, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        app,
        ["monitor", "--out", str(out), "--bundle", str(bundle), "--database", url,
         "--until", UNTIL, "--days", "2", *more],
    )  # fmt: skip
    return done.exit_code, done.stdout


def test_no_drift_ends_with_0_and_writes_both_files(
    tmp_path: Path, bundle: tuple[Path, str]
) -> None:
    folder, sha256 = bundle
    url = fill(tmp_path, answers(500, bundle=("tiny", "0.1.0", sha256)))
    code, text = monitor(url, folder, tmp_path / "out")
    assert code == 0, text
    assert text.startswith("Steady: no alert: tiny 0.1.0")
    assert (tmp_path / "out" / "monitor.html").stat().st_size > 50_000
    stored = json.loads((tmp_path / "out" / "monitor.json").read_text())
    assert stored["standing"] == "steady"
    assert stored["recent"]["uploads"] == 212


def test_an_alert_ends_with_3_and_json_is_printed(tmp_path: Path, bundle: tuple[Path, str]) -> None:
    folder, sha256 = bundle
    reference = ("tiny", "0.1.0", sha256)
    shadow = answers(100, 1000, bundle=reference, arm="shadow")
    drifted = answers(212, 288, bundle=reference, label="glioma")
    url = fill(tmp_path, [*answers(288, bundle=reference), *drifted, *shadow])
    code, text = monitor(url, folder, tmp_path / "out", "--json")
    assert code == 3
    found = json.loads(text)
    assert found["standing"] == "alert"
    assert [one["name"] for one in found["changes"] if one["state"] == "alert"] == ["label"]
    assert found["reference"]["uploads"] + found["recent"]["uploads"] == 500


def test_too_little_ends_with_4(tmp_path: Path, bundle: tuple[Path, str]) -> None:
    folder, sha256 = bundle
    url = fill(tmp_path, answers(30, bundle=("tiny", "0.1.0", sha256)))
    code, text = monitor(url, folder, tmp_path / "out")
    assert code == 4
    assert "Too little to say" in text


def test_answers_of_another_bundle_are_left_out_and_told(
    tmp_path: Path, bundle: tuple[Path, str]
) -> None:
    url = fill(tmp_path, answers(30))
    code, text = monitor(url, bundle[0], tmp_path / "out")
    assert code == 4
    assert "left out: 30 answers of other bundles" in text


@pytest.mark.parametrize("arm", ["challenger", "shadow"])
def test_an_arm_without_its_bundle_says_what_is_missing(
    tmp_path: Path, arm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLICEWISE_CHALLENGER", raising=False)
    url = fill(tmp_path, answers(30))
    words = ["monitor", "--out", str(tmp_path / "out"), "--database", url, "--arm", arm]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ConfigError)
    assert "its bundle in SLICEWISE_CHALLENGER or --bundle" in str(done.exception)


def test_a_missing_database_is_an_error_and_is_not_made(
    tmp_path: Path, bundle: tuple[Path, str]
) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    code, _ = monitor(url, bundle[0], tmp_path / "out")
    assert code == 1
    assert not (tmp_path / "none.db").exists()
