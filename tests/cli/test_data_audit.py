"""`slicewise data audit`: files, words, JSON and exit codes."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from builders_audit import dim_head, leaky_folder
from builders_data import save
from slicewise.cli.main import app
from slicewise.errors import ConfigError, ManifestError

runner = CliRunner()


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr("slicewise.data.quality.shortcuts._TREES", 5)


def test_a_folder_is_audited_in_words_and_its_clean_manifest_as_json(tmp_path):
    root = leaky_folder(tmp_path / "made")
    done = runner.invoke(app, ["data", "audit", str(root), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "5 of" not in done.stdout
    assert "50.0 %" in done.stdout
    assert "have a copy in train" in done.stdout
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"audit.html", "audit.json", "clean.csv", "clean.excluded.csv"}
    again = runner.invoke(
        app,
        [
            "data",
            "audit",
            str(tmp_path / "out" / "clean.csv"),
            "--out",
            str(tmp_path / "b"),
            "--json",
        ],
    )
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["near_duplicates"] == []


def test_a_yaml_of_sources_with_patients_is_audited(tmp_path):
    for number in range(6):
        label = "glioma" if number % 2 else "no_tumor"
        save(dim_head(number, 128), tmp_path / "a" / label / f"p{number // 2}_{number}.png")
    (tmp_path / "a.yaml").write_text("sources:\n  - {root: a, pattern: '(?P<patient>p[0-9])_'}\n")
    done = runner.invoke(
        app, ["data", "audit", str(tmp_path / "a.yaml"), "--out", str(tmp_path / "o"), "--json"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["groups"] == 3
    assert not any("Patients are not known" in s["text"] for s in found["verdict"])


def test_wrong_use_is_refused(tmp_path):
    out = ["--out", str(tmp_path / "o")]
    done = runner.invoke(app, ["data", "audit", "m.csv", "--task", "binary", *out])
    assert done.exit_code == 2
    done = runner.invoke(app, ["data", "audit", "m.csv", str(tmp_path), *out])
    assert isinstance(done.exception, ConfigError)
    assert "one manifest by itself" in str(done.exception)


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_an_out_that_is_a_file_is_refused_before_the_work(tmp_path, monkeypatch, below):
    def worked(*_):
        raise AssertionError("work began before --out was looked at")

    monkeypatch.setattr("slicewise.cli.data_audit.audit_folders", worked)
    (tmp_path / "taken").write_text("a file")
    out = tmp_path / "taken" / below
    done = runner.invoke(app, ["data", "audit", str(tmp_path), "--out", str(out)])
    assert isinstance(done.exception, ConfigError)
    assert "expected a folder, got a file" in str(done.exception)


def test_a_folder_without_slices_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    done = runner.invoke(
        app, ["data", "audit", str(tmp_path / "empty"), "--out", str(tmp_path / "o")]
    )
    assert isinstance(done.exception, ManifestError)
    assert f"{tmp_path / 'empty'}: expected at least one readable slice" in str(done.exception)
