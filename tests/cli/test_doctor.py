"""`slicewise doctor`: what is found, what it means, how to mend it, and no secret."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from pydicom.pixels.decoders.base import Decoder
from typer.testing import CliRunner

from builders_records import records
from slicewise.audit_log.store import AuditStore
from slicewise.cli import doctor
from slicewise.cli.main import app
from slicewise.data.public.index import INDEX_PATH
from slicewise.inference.bundle import bundled_model, load_bundle
from slicewise.service.settings import Settings

CHECKS = dict(doctor.CHECKS)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SLICEWISE_")]:
        monkeypatch.delenv(name)
    return tmp_path


def look(*names: str) -> tuple[int, dict[str, dict[str, str | None]]]:
    """The exit code, and what is found about some things alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "CHECKS", {name: CHECKS[name] for name in names})
        result = CliRunner().invoke(app, ["doctor", "--json"])
    checks = json.loads(result.stdout)
    assert all(list(check) == ["name", "status", "message", "mend"] for check in checks)
    return result.exit_code, {check["name"]: check for check in checks}


def test_this_installation_works():
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert all(re.match(r"(ok      |warning ) [a-z]+[a-z ]*: \S", line) for line in lines)
    assert {line[9:].partition(":")[0] for line in lines} >= {
        *("python", "slicewise", "extra train", "model", "licences", "decoders", "cores"),
        *("memory", "device", "database", "working folder", "temporary", "terminal"),
    }


def test_the_model_is_named_with_its_licences():
    code, checks = look("model")
    bundle = load_bundle(bundled_model())
    assert code == 0
    assert f"{bundle.info.version} ({bundle.identity[:12]})" in checks["model"]["message"]
    for licence in bundle.info.licences.values():
        assert licence in checks["licences"]["message"]


def test_a_model_that_cannot_be_loaded_is_an_error(monkeypatch, here):
    monkeypatch.setattr("slicewise.inference.classifier.bundled_model", lambda: here / "gone")
    code, checks = look("model")
    assert (code, checks["model"]["status"]) == (1, "error")
    assert "no such bundle" in checks["model"]["message"]
    assert checks["model"]["mend"] == "pip install --force-reinstall slicewise"


def test_an_extra_that_is_missing_says_how_to_get_it(monkeypatch):
    there = metadata.distributions

    def without_torch(*, name: str) -> Iterable[metadata.Distribution]:
        return [] if name in ("torch", "scikit-learn") else there(name=name)

    monkeypatch.setattr(metadata, "distributions", without_torch)
    code, checks = look("extras")
    assert code == 0
    train, evaluate = checks["extra train"], checks["extra evaluate"]
    assert "torch" in train["message"]
    assert "scikit-learn" in train["message"], "what the extra takes from another one"
    assert "(missing: scikit-learn)" in evaluate["message"]
    assert train["mend"] == "pip install 'slicewise[train]'"
    assert (checks["extra postgres"]["message"], checks["extra postgres"]["mend"]) == (
        *("installed", None),
    )


def test_a_decoder_that_is_missing_is_named(monkeypatch):
    present = property(lambda decoder: "JPEG-LS" not in decoder.UID.name)
    monkeypatch.setattr(Decoder, "is_available", present)
    code, checks = look("decoders")
    assert (code, checks["decoders"]["status"]) == (0, "warning")
    assert "JPEG-LS Lossless" in checks["decoders"]["message"]
    assert "RLE" not in checks["decoders"]["message"]


def test_limits_of_a_container_are_told(monkeypatch):
    limits = {
        "cpu.max": "150000 100000",
        "memory.max": "4000000000",
        "memory.current": "3500000000",
    }
    monkeypatch.setattr(doctor, "_limit", limits.get)
    code, checks = look("cores", "memory")
    assert code == 0
    assert checks["cores"]["message"].endswith("; the container allows the time of 1.5")
    assert checks["memory"]["status"] == "warning"
    assert "of the 4.0 GB of the container 0.5 are left" in checks["memory"]["message"]


def test_a_database_that_is_not_there_yet_is_named_and_not_made(here):
    code, checks = look("database")
    assert code == 0
    assert checks["database"]["message"] == f"none yet; the service makes {here / 'slicewise.db'}"
    assert list(here.iterdir()) == []


def test_a_database_is_read(monkeypatch, here):
    url = f"sqlite:///{here / 'audit.db'}"
    store = AuditStore.open(Settings(database_url=url).audit_log)
    store.submit(records(1)).result(10)
    store.close()
    monkeypatch.setenv("SLICEWISE_DATABASE_URL", url)
    code, checks = look("database")
    assert code == 0
    assert checks["database"]["message"] == f"{url} can be read"
    monkeypatch.setattr("slicewise.audit_log.tables.REVISION", "9999")
    _, checks = look("database")
    assert checks["database"]["status"] == "warning"
    assert "not 9999" in checks["database"]["message"]


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_database_that_fails_is_an_error_without_its_password(monkeypatch, kind):
    monkeypatch.setenv("SLICEWISE_DATABASE_URL", f"{kind}://reader:hush-hush@127.0.0.1:1/audit")
    code, checks = look("database")
    assert (code, checks["database"]["status"]) == (1, "error")
    assert "hush" not in json.dumps(checks)
    assert "SLICEWISE_DATABASE_URL" in checks["database"]["mend"]


def test_a_setting_that_is_wrong_is_an_error(monkeypatch):
    monkeypatch.setenv("SLICEWISE_PORT", "many")
    code, checks = look("database")
    assert code == 1
    assert "SLICEWISE_PORT" in checks["database"]["message"]


def test_a_folder_that_cannot_be_written_is_a_warning(monkeypatch, here):
    monkeypatch.setattr(Path, "cwd", lambda: here / "gone")
    code, checks = look("places")
    assert (code, checks["working folder"]["status"]) == (0, "warning")
    assert "cannot be written" in checks["working folder"]["message"]


def test_what_breaks_in_a_check_is_a_finding(monkeypatch):
    def broken():
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setitem(CHECKS, "device", broken)
    code, checks = look("device")
    assert code == 1
    assert checks["device"]["message"] == (
        "ImportError: libgomp.so.1: cannot open shared object file"
    )


def test_the_index_of_known_slices_is_named_with_its_hash():
    code, checks = look("public")
    assert code == 0
    message = checks["known slices"]["message"]
    assert message.startswith("index version 1: 17,346 files")
    assert message.endswith(hashlib.sha256(INDEX_PATH.read_bytes()).hexdigest())


def test_an_index_that_is_damaged_is_an_error(monkeypatch, here):
    (here / "index.npz").write_bytes(b"cut off")
    monkeypatch.setattr("slicewise.data.public.index.INDEX_PATH", here / "index.npz")
    code, checks = look("public")
    assert (code, checks["public"]["status"]) == (1, "error")
    assert "expected an index of public slices" in checks["public"]["message"]
    assert checks["public"]["mend"] == "pip install --force-reinstall slicewise"
