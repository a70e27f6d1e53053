"""Damaged files of every format are read or refused; the fuzzer notices whatever else happens."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from builders_fuzz import ACTS, misbehave, read_precisions
from slicewise.errors import UnsupportedImageError
from slicewise.imaging.read import read_slices

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("fuzz")


def test_damaged_files_are_read_or_refused(fuzz):
    found = list(fuzz.verdicts(fuzz.all_cases(300)))
    wrong = [(case, verdict) for case, verdict in found if verdict.finding]
    assert not wrong, fuzz.listed(wrong)
    outcomes = {verdict.outcome for _, verdict in found}
    assert {"read", "InputError", "UnsupportedImageError"} <= outcomes
    assert len({case.name for case, _ in found}) == len(fuzz.seeds())


def test_no_precision_of_lossless_jpeg_ends_the_process(fuzz):
    (verdict,) = (v for _, v in fuzz.verdicts([fuzz.Case("jpeg-lossless", 0)], read_precisions))
    assert (verdict.outcome, verdict.finding) == ("read", None), verdict


def test_undamaged_files_are_read(fuzz):
    refused = set()
    for name, seed in fuzz.seeds().items():
        try:
            assert min(read_slices(seed.data)[0].shape) >= 16
        except UnsupportedImageError:
            refused.add(name)
    assert refused <= {"png-animated", "webp-animated", "dicom-jpeg-12"}


def test_whatever_else_happens_is_a_finding(fuzz):
    cases = [fuzz.Case(name, 0) for name in ACTS if name != "hangs"]
    found = {case.name: verdict for case, verdict in fuzz.verdicts(cases, misbehave)}
    assert {name: verdict.finding for name, verdict in found.items()} == {
        **dict.fromkeys(("reads", "refuses", "deprecated")),
        **dict.fromkeys(("raises", "faulty", "misplaced", "panics", "exits"), "error"),
        **dict.fromkeys(("prints", "prints-below", "prints-in-c", "warns"), "output"),
        **dict.fromkeys(("allocates", "exhausts"), "memory"),
        **dict.fromkeys(("aborts", "crashes"), "crash"),
    }
    assert found["refuses"].outcome == "UnsupportedImageError"
    assert found["prints-in-c"].message == "from C\n"
    assert found["allocates"].megabytes > 1000
    assert "builders_fuzz.py" in found["raises"].trace
    assert "Segmentation fault" in found["crashes"].trace


def test_a_slow_case_is_tried_twice_and_others_go_on(fuzz):
    cases = [fuzz.Case(name, number) for number in range(2) for name in ("hangs", "reads")]
    found = list(fuzz.verdicts(cases, misbehave, jobs=2, seconds=0.5))
    told = sorted((case.name, verdict.finding) for case, verdict in found)
    assert told == [("hangs", "slow")] * 2 + [("reads", None)] * 2
    assert all("builders_fuzz.py" in v.trace for c, v in found if c.name == "hangs")


@pytest.mark.parametrize("number", [0, 1], ids=["folder", "zip"])
def test_a_lost_good_file_is_a_finding(fuzz, monkeypatch, tmp_path, number):
    monkeypatch.chdir(tmp_path)
    printed = tmp_path / "printed.txt"
    printed.touch()
    case = fuzz.Case("bmp-8", number)
    assert fuzz.judged(case, fuzz.read_case, printed).finding is None
    monkeypatch.setattr(fuzz, "read_inputs", lambda _: iter(()))
    assert fuzz.judged(case, fuzz.read_case, printed).finding == "lost"


def test_pixels_that_are_no_slice_are_a_finding(fuzz, monkeypatch, tmp_path):
    (slice_,) = read_slices(fuzz.seeds()["png-8"].data)
    slice_.pixels[3, 4] = np.nan
    monkeypatch.setattr(fuzz, "read_slices", lambda *_: [slice_])
    printed = tmp_path / "printed.txt"
    printed.touch()
    assert fuzz.judged(fuzz.Case("png-8", 2), fuzz.read_case, printed).finding == "lost"


def test_a_case_is_the_same_bytes_in_every_process(fuzz, tmp_path):
    case = fuzz.Case("dicom-enhanced", 7)
    command = [sys.executable, TOOLS / "fuzz.py", "--only", str(case), "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert (tmp_path / "dicom-enhanced-7").read_bytes() == case.data()
    assert case.data() != fuzz.seeds()[case.name].data


def test_findings_are_kept_counted_and_told(fuzz, monkeypatch, tmp_path, capsys):
    wrong = [
        (fuzz.Case("png-8", n), fuzz.Verdict("InternalError", 0.1, 2.0, "error", f"line {n}"))
        for n in (5, 3)
    ]
    right = (fuzz.Case("zip-stored", 0), fuzz.Verdict("read", 0.1))
    monkeypatch.setattr(fuzz, "verdicts", lambda *_, **__: iter([*wrong, right]))
    assert fuzz.main(["--count", "3", "--out", str(tmp_path / "out")]) == 1
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["png"] == ["2", "0", "0", "0", "0", "2"]
    assert rows["all"] == ["3", "1", "0", "0", "0", "2"]
    assert rows["2"] == ["error:", "line", "N", "(png-8:3)"]
    kept = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert [row["case"] for row in kept] == ["png-8:3", "png-8:5"]
    assert (tmp_path / "out" / "png-8-5").read_bytes() == wrong[0][0].data()
    monkeypatch.setattr(fuzz, "verdicts", lambda *_, **__: iter([right]))
    assert fuzz.main(["--count", "1"]) == 0


def test_an_unknown_seed_is_wrong_use(fuzz, capsys):
    with pytest.raises(SystemExit) as ended:
        fuzz.main(["--only", "gif:1"])
    assert ended.value.code == 2
    assert "expected one of png-8" in capsys.readouterr().err
