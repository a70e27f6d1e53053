"""Every command with its streams as files, pipes and terminals: answers stay whole and plain."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from builders import head_with_spot, write_tiny_bundle
from builders_imaging import dicom_series, picture_bytes
from builders_records import records
from builders_training import run_values, write_heads
from slicewise.audit_log.store import AuditStore
from slicewise.service.settings import Settings
from terminals import Kind, Ran, run

HEAD = (head_with_spot(0) / 6).clip(0, 255).astype("uint8")
BUNDLE, DATABASE = ("--bundle", "bundle"), ("--database", "sqlite:///audit.db")
LONG = "a_name_that_is_much_longer_than_the_terminal_is_wide_so_that_any_wrapping_shows.png"

COMMANDS: dict[str, tuple[str, ...]] = {
    "predict": ("predict", "scans", *BUNDLE),
    "predict --json": ("predict", "scans", *BUNDLE, "--json"),
    "predict --jsonl": ("predict", "scans", *BUNDLE, "--jsonl"),
    "predict into files": (
        *("predict", "scans", *BUNDLE, "--explain", "maps", "--report", "page.html"),
        *("--csv", "table.csv"),
    ),
    "data build": ("data", "build", "folders", "--out", "built.csv"),
    "data audit": ("data", "audit", "folders", "--out", "audit"),
    "data known": ("data", "known", "folders"),
    "data known --json": ("data", "known", "folders", "--json"),
    "data stats": ("data", "stats", "manifest.csv"),
    "data phantom": ("data", "phantom", "drawn", "--count", "1", "--size", "64"),
    "train": ("train", "run.yaml"),
    "evaluate": (
        *("evaluate", "manifest.csv", *BUNDLE, "--out", "report", "--gallery", "0"),
        *("--resamples", "50"),
    ),
    "monitor": ("monitor", "--out", "drift", *BUNDLE, *DATABASE),
    "audit verify": ("audit", "verify", *DATABASE),
    "audit head": ("audit", "head", *DATABASE),
    "audit export": ("audit", "export", "rows.csv", *DATABASE),
    "audit report": ("audit", "report", *DATABASE),
    "audit prune": ("audit", "prune", "--before", "2026-01-01", *DATABASE),
    "keys create": ("keys", "create", "reader", *DATABASE),
    "keys list": ("keys", "list", *DATABASE),
    "keys revoke": ("keys", "revoke", "kept", *DATABASE),
    "serve": ("serve", "--port", "0", *BUNDLE, *DATABASE),
    "doctor": ("doctor",),
    "help": ("predict", "--help"),
    "wrong use": ("predict", "--no-such-option"),
    "a failure": ("predict", "x.png", "--bundle", "no-such-bundle"),
}
SILENT = ("keys revoke", "serve", "wrong use", "a failure")
ESCAPES = r"\x1b\[[0-9;?]*[A-Za-z]"
STREAMS: tuple[tuple[Kind, Kind], ...] = (
    ("file", "tty"),
    ("pipe", "tty"),
    ("tty", "file"),
    ("tty", "pipe"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans, one of them broken, folders of heads, a manifest, a bundle and a database."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "scans").mkdir()
    for name in ("one.png", LONG):
        (folder / "scans" / name).write_bytes(picture_bytes(HEAD))
    (folder / "scans" / "broken.png").write_text("no picture")
    dicom_series(folder / "scans" / "series", HEAD[None].repeat(3, 0).astype("uint16"))
    write_heads(folder)
    for label in ("glioma", "no_tumor"):
        shutil.copytree(folder / label, folder / "folders" / label)
    write_tiny_bundle(folder / "bundle")
    (folder / "run.yaml").write_text(yaml.safe_dump(run_values(Path(), trainer={"epochs": 1})))
    store = AuditStore.open(Settings(database_url=f"sqlite:///{folder / 'audit.db'}").audit_log)
    store.submit(records(3)).result(10)
    store.close()
    assert run(("keys", "create", "kept", *DATABASE), folder).code == 0
    return folder


@pytest.fixture(scope="module")
def trained(made: Path) -> Ran:
    return run(COMMANDS["train"], made, "file", "tty")


@pytest.fixture(scope="module")
def project(made: Path, trained: Ran) -> Path:
    return made


@pytest.fixture(scope="module")
def plainly(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """How a command ends without a terminal on its outputs."""
    return functools.cache(lambda name: ran(name, project, tmp_path_factory.mktemp("plain")))


def ran(name: str, project: Path, here: Path, *streams: Kind) -> Ran:
    folder = shutil.copytree(project, here / "project")
    end = "listening" if name == "serve" else ""
    found = run(COMMANDS[name], folder, *streams, end=end)
    return Ran(found.code, masked(found.stdout, folder), masked(found.stderr, folder))


def masked(text: str, folder: Path) -> str:
    """Without what differs from run to run: times, sizes, secrets, the folder."""
    text = text.replace(str(folder), "HERE")
    text = re.sub(r'(?<="timing_ms": )[\d.]+', "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+\S*", "DATE", text)
    text = re.sub(r"[\d.]+(?= of [\d.]+ GB| GB| s\b|/s)", "N", text)
    text = re.sub(r"(?<=127.0.0.1:)\d+|(?<=process \[)\d+", "N", text)
    return re.sub(r"\bsw_[\w-]+", "SECRET", text)


@pytest.mark.parametrize("streams", STREAMS, ids="-".join)
@pytest.mark.parametrize("name", COMMANDS)
def test_answers_are_whole_and_plain(project, plainly, tmp_path, name, streams):
    expected, found = plainly(name), ran(name, project, tmp_path, *streams)
    assert found.code == expected.code
    for kind, got, text in zip(streams, found[1:], expected[1:], strict=True):
        assert "\x1b" not in text
        if kind == "tty":
            assert_shown(text, got)
        else:
            assert got == text


def test_the_plain_answers_are_the_ones_asked_for(plainly):
    """What the others are compared with is not empty, and ends as it should."""
    codes = {name: plainly(name).code for name in COMMANDS}
    failed = dict.fromkeys([name for name in COMMANDS if name.startswith("predict")], 1)
    others = {"monitor": 4, "wrong use": 2, "a failure": 1}
    assert codes == dict.fromkeys(COMMANDS, 0) | failed | others
    assert all(plainly(name).stdout for name, code in codes.items() if name not in SILENT)
    assert plainly("predict").stdout.count("answer: ") == 3
    assert LONG in plainly("predict").stdout
    assert (
        len(json.loads(plainly("predict --json").stdout.replace("TIME", "0"))["predictions"]) == 5
    )
    assert len(plainly("predict --jsonl").stdout.splitlines()) == 7
    assert "no such bundle" in plainly("a failure").stderr


def test_a_training_run_shows_its_bar_on_the_terminal_alone(trained):
    assert trained.code == 0
    assert trained.stdout.startswith("bundle: runs/quick/bundle\n")
    assert "\x1b" not in trained.stdout
    shown = re.sub(ESCAPES, "", trained.stderr)
    assert "Epoch 1/1" in shown
    assert "epoch 1: " in shown


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("predict --json", "answering"),
        ("data build", "reading"),
        ("data stats", "measuring"),
        ("data audit", "reading"),
        ("evaluate", "reading slices"),
        ("audit export", "predictions"),
    ],
)
def test_progress_has_a_total_where_a_person_watches(project, tmp_path, name, told):
    shown = re.sub(ESCAPES, "", ran(name, project, tmp_path, "file", "tty").stderr)
    assert re.search(rf"{told} .* \d+/[1-9]\d*", shown)


def assert_shown(expected: str, terminal: str) -> None:
    """All lines stand on the terminal, whatever bars came and went between them."""
    seen = re.sub(ESCAPES, "", terminal).replace("\r", "\n").split("\n")
    for line in expected.split("\n"):
        assert line in seen
