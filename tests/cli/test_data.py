"""`slicewise data`: what it writes and says, what it refuses, and what its errors tell to do."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from builders_audit import dim_head, leaky_folder
from builders_data import head, save
from builders_public import index_of, rows_of, ship
from slicewise.cli.main import app
from slicewise.errors import ConfigError, LeakageError, ManifestError

runner = CliRunner()


def refused(*arguments):
    """The error of a call that fails."""
    done = runner.invoke(app, ["data", "build", *map(str, arguments)])
    assert done.exit_code == 1
    return done.exception


@pytest.fixture
def crossing(tmp_path):
    """A patient in three folds; the folder and a YAML of it."""
    for number in range(3):
        save(head(number, side=64), tmp_path / "a" / "glioma" / f"p0_f{number}.png")
    pattern = "(?P<patient>p[0-9])_f(?P<fold>[0-9])"
    (tmp_path / "a.yaml").write_text(f"sources:\n  - {{root: a, pattern: '{pattern}'}}\n")
    return tmp_path, pattern


def test_a_conflict_is_answered_by_an_option_for_folders(crossing):
    folder, pattern = crossing
    error = refused(folder / "a", "--pattern", pattern, "--out", folder / "m.csv")
    assert isinstance(error, LeakageError)
    assert "--on-conflict move moves" in str(error)


def test_a_conflict_is_answered_by_a_key_in_a_yaml(crossing):
    folder, _ = crossing
    error = refused(folder / "a.yaml", "--out", folder / "m.csv")
    assert isinstance(error, LeakageError)
    assert "on_conflict: move moves" in str(error)
    assert "--on-conflict" not in str(error)
    with (folder / "a.yaml").open("a") as file:
        file.write("on_conflict: move\n")
    done = runner.invoke(
        app, ["data", "build", str(folder / "a.yaml"), "--out", str(folder / "m.csv")]
    )
    assert "expected a fold for every slice" in str(done.exception)  # all three are in one now


def test_options_beside_a_yaml_are_named_as_its_keys(crossing):
    folder, _ = crossing
    options = ["--on-conflict", "move", "--seed", "7", "--skip", "x", "--table", "t.csv"]
    error = refused(folder / "a.yaml", *options, "--out", folder / "m.csv")
    assert isinstance(error, ConfigError)
    keys = 'on_conflict: "move", seed: 7, skip, table (of a source)'
    assert str(error).endswith(f"put these into the file as keys: {keys}")


def test_a_yaml_beside_a_folder_is_refused(crossing):
    folder, _ = crossing
    error = refused(folder / "a", folder / "a.yaml", "--out", folder / "m.csv")
    assert isinstance(error, ConfigError)
    assert "a.yaml: expected one YAML of sources by itself, or folders" in str(error)


def test_folders_of_yes_and_no_get_a_hint(tmp_path):
    save(head(1, side=64), tmp_path / "yes" / "1.png")
    save(head(2, side=64), tmp_path / "no" / "2.png")
    error = refused(tmp_path, "--out", tmp_path / "m.csv")
    assert isinstance(error, ManifestError)
    assert "--task binary" in str(error)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("taken/m.csv", "expected a folder, got a file at"),
        ("taken/deeper/m.csv", "expected a folder, got a file at"),
        ("folder.csv", "expected a file to write to, got a folder"),
        ("m.xlsx", "expected a file named .csv or .parquet"),
    ],
)
def test_an_unusable_out_is_refused_before_the_work(tmp_path, monkeypatch, out, message):
    def worked(*_):
        raise AssertionError("work began before --out was looked at")

    monkeypatch.setattr("slicewise.data.build.build.build", worked)
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "folder.csv").mkdir()
    error = refused(tmp_path, "--out", tmp_path / out)
    assert isinstance(error, ConfigError)
    assert message in str(error)


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

    monkeypatch.setattr("slicewise.data.quality.audit.audit_folders", worked)
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


def test_known_slices_are_told_of_and_can_be_switched_off(tmp_path, monkeypatch):
    for number in range(3):
        save(head(number, side=64), tmp_path / "a" / "glioma" / f"{number}.png")
    rows = list(rows_of(tmp_path / "a", {"0": (1, "figshare:gli_1"), "1": (2, "figshare:gli_1")}))
    ship(monkeypatch, index_of(tmp_path / "index.npz", rows))
    command = ["data", "build", str(tmp_path / "a"), "--out", str(tmp_path / "m.csv")]
    done = runner.invoke(app, command)
    line = "known public slices: 3 files, 2 known: 2 distinct slices in 1 group"
    assert line in done.stdout
    assert "known public" not in runner.invoke(app, [*command, "--no-known"]).stdout
    wrong = runner.invoke(app, [*command, "--no-known", "--known-conflicts", "keep"])
    assert "known_conflicts: expected known: true beside it; got false" in str(wrong.exception)


def test_what_is_known_is_a_key_of_a_yaml(crossing):
    folder, _ = crossing
    options = ["--no-known", "--known-conflicts", "keep"]
    error = refused(folder / "a.yaml", *options, "--out", folder / "m.csv")
    assert 'as keys: known: false, known_conflicts: "keep"' in str(error)
    with (folder / "a.yaml").open("a") as file:
        file.write("known: false\non_conflict: drop\n")
    error = refused(folder / "a.yaml", "--out", folder / "m.csv")
    assert "expected a fold for every slice" in str(error)
