"""What is said of the suggested manifest is what it holds."""

from __future__ import annotations

import re

import pytest
from PIL import Image, ImageOps

from builders_audit import dim_head
from builders_data import save
from slicewise.data.build.config import config_of
from slicewise.data.quality.audit import audit_folders
from slicewise.data.quality.suggestion import clean_sentence, fate, kept_of


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr("slicewise.data.quality.shortcuts._TREES", 2)


def red(seed: int) -> Image.Image:
    """A coloured head, which is suspect but stays."""
    return ImageOps.colorize(dim_head(seed, 128), "black", "red")


def audited(folder, **options):
    return audit_folders(config_of([folder], **options))


def said(audit, topic):
    return [one.text for one in audit.sentences if one.topic == topic]


def coloured(audit):
    (found,) = [one for one in audit.findings.suspects if one.rule.kind == "colour"]
    return found


def plain_heads(folder):
    for number in range(3):
        save(dim_head(number, 128), folder / "glioma" / f"{number}.png")


def test_a_coloured_copy_that_is_left_out_is_not_said_to_be_kept(tmp_path):
    plain_heads(tmp_path)
    save(red(0).resize((112, 112)), tmp_path / "glioma" / "small_red.png")
    audit = audited(tmp_path)
    one, clean = coloured(audit), audit.findings.clean
    assert "small_red.png" not in " ".join(row.path for row in clean.report.rows)
    assert kept_of(one, clean) == 0
    (text,) = said(audit, "suspects")
    assert text == "1 slice: coloured (left out of the suggested manifest for another reason)."
    (suspect,) = audit.as_json()["suspects"]
    assert (suspect["count"], suspect["kept"]) == (1, 0)


def test_those_kept_and_those_left_out_are_counted_apart(tmp_path):
    plain_heads(tmp_path)
    save(red(0).resize((112, 112)), tmp_path / "glioma" / "small_red.png")
    save(red(9), tmp_path / "glioma" / "red.png")
    audit = audited(tmp_path)
    assert said(audit, "suspects") == [
        "2 slices: coloured (1 kept, but marked, in the suggested manifest; 1 left out of it for "
        "another reason)."
    ]
    audit.write(tmp_path / "out")
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "1 kept, but marked, in the suggested manifest; 1 left out of it" in page


def test_a_coloured_slice_that_stays_is_kept_and_marked(tmp_path):
    plain_heads(tmp_path)
    save(red(9), tmp_path / "glioma" / "red.png")
    audit = audited(tmp_path)
    assert fate(coloured(audit), audit.findings.clean).startswith("kept, but marked")


def test_a_suggestion_without_test_slices_says_so(tmp_path):
    for number in range(8):
        save(dim_head(number, 96), tmp_path / "glioma" / f"p{number % 2}_{number}.png")
    audit = audited(tmp_path, pattern="(?P<patient>p[0-9])_")
    (text,) = said(audit, "clean")
    assert {row.split for row in audit.findings.clean.report.rows}.isdisjoint({"test"})
    assert "It has no test slices: nothing is held back to measure a trained model on." in text
    assert "2 groups cannot fill three splits." in text


def test_one_slice_in_one_group_is_in_the_singular(tmp_path):
    save(dim_head(1, 96), tmp_path / "glioma" / "1.png")
    (text,) = said(audited(tmp_path), "clean")
    assert re.match("The suggested manifest keeps 1 slice in 1 group and leaves out 0; ", text)


def test_nothing_left_is_severe():
    assert clean_sentence(None).severity == "severe"
