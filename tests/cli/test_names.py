"""Names that UTF-8, stdout or one line cannot hold: nothing is lost, cut or broken by them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from builders import write_tiny_bundle
from builders_data import head, save
from slicewise.data.manifest import Manifest

NAMES = (
    b"plain.png",
    "caf\u00e9.png".encode(),
    b"not_utf8_\xe9.png",
    b"line\nend\r.png",
    b"\x1b[31mred.png",
    "nel\x85\u2028.png".encode(),
    b'comma,"quote".png',
)
WORLDS = {
    "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0"},
    "latin-1 stdout": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "latin-1"},
    "utf-8": {"LC_ALL": "C.UTF-8"},
}
PREDICT = "predict data --bundle bundle"
COMMANDS = {
    "text": f"{PREDICT} --csv out/table.csv --report out/page.html --explain maps",
    "json": f"{PREDICT} --json",
    "jsonl": f"{PREDICT} --jsonl",
    "build": "data build data --out m.csv",
    "parquet": "data build data --out m.parquet",
    "audit": "data audit data --out audit",
    "audit json": "data audit m.csv --out again --json",
    "known": "data known data --csv out/known.csv",
    "known json": "data known data --json",
    "stats": "data stats m.csv",
}
SCRIPT = """
import json, os, sys
from slicewise.cli.main import main
for name, words in json.loads(sys.argv[1]).items():
    os.dup2(os.open(f"{name}.out", os.O_WRONLY | os.O_CREAT), 1)
    sys.argv = ["slicewise", *words.split()]
    try:
        main()
    except SystemExit as ended:
        print(name, ended.code, file=sys.stderr)
"""


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Path]:
    """A folder in which all commands ran, in one process of a locale."""
    folder = tmp_path_factory.mktemp("names")
    write_tiny_bundle(folder / "bundle")
    for kind, label in enumerate(("glioma", "no_tumor")):
        for number, name in enumerate(NAMES):
            stem, dot, suffix = name.rpartition(b".")
            unlike = b"%s_%d%s%s" % (stem, kind, dot, suffix)
            path = Path(os.fsdecode(os.fsencode(folder / "data" / label) + b"/" + unlike))
            save(head(10 * kind + number, side=64), path)
    environment = {**os.environ, **WORLDS[request.param], "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", SCRIPT, json.dumps(COMMANDS)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False)
    ended = done.stderr.decode("ascii", "replace").splitlines()
    assert "Traceback" not in done.stderr.decode("ascii", "replace")
    assert [f"{name} 0" for name in COMMANDS] == [line for line in ended if line[:-2] in COMMANDS]
    return folder


def printed(world: Path, name: str) -> bytes:
    return (world / f"{name}.out").read_bytes()


def test_text_shows_every_answer_and_no_control_character(world):
    text = printed(world, "text").decode("latin-1")
    assert text.count("answer: ") == 2 * len(NAMES)
    assert not any(c < " " and c != "\n" for c in text)
    assert "\\x1b[31mred" in text
    assert "line\\nend\\r" in text


def test_json_names_every_file_that_there_is(world):
    content = json.loads(printed(world, "json").decode("utf-8"))
    lines = [json.loads(line) for line in printed(world, "jsonl").decode("utf-8").splitlines()]
    for found in (content["predictions"], lines):
        assert len(found) == 2 * len(NAMES)
        for answer in found:
            assert (world / answer["source"]).is_file()


def test_tables_keep_their_rows(world):
    for path, rows in (("out/table.csv", 14), ("m.csv", 12), ("m.excluded.csv", 2)):
        with (world / path).open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file, strict=True))
        assert len(found) == rows
        assert all(None not in row and None not in row.values() for row in found)


def test_a_manifest_names_the_files_whatever_wrote_it(world):
    for path in ("m.csv", "m.parquet"):
        manifest = Manifest.read(world / path)
        assert len(manifest.rows) == 12
        for row in manifest.rows:
            with Image.open(manifest.resolve(row)) as picture:
                assert picture.size == (row.width, row.height)
    assert b"training split" in printed(world, "stats")


def test_what_a_manifest_cannot_name_is_left_out_with_the_reason(world):
    with (world / "m.excluded.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["reason"] for row in rows} == {
        "a manifest holds names in UTF-8 only: rename the file"
    }
    assert all("not_utf8_\\xe9" in row["path"] for row in rows)
    assert b"rename the file" in printed(world, "build")


def test_pages_and_pictures_are_whole(world):
    for path in ("out/page.html", "audit/audit.html", "again/audit.html"):
        assert "</html>" in (world / path).read_text(encoding="utf-8")
    assert len(list((world / "maps").iterdir())) == 2 * len(NAMES)
    for path in ("audit/audit.json", "again/audit.json"):
        json.loads((world / path).read_text(encoding="utf-8"))
    assert json.loads(printed(world, "audit json").decode("utf-8"))["audited"] == ["m.csv"]
    assert not list(world.rglob(".*")), "drafts are left behind"
