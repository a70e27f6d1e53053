"""Thumbnails show what differs first, read each file once, and outlive a file that is gone."""

from __future__ import annotations

import io
from types import SimpleNamespace

from PIL import Image

from builders_audit import dim_head
from builders_data import save
from slicewise.data.quality import page
from slicewise.data.quality.page import Thumbnails
from slicewise.errors import InternalError
from slicewise.reports.blocks import Gallery, Page, Section, Strip
from slicewise.reports.html import render_html


def results_of(folder, labels, splits):
    items = [
        SimpleNamespace(
            label=label, source="set", reference=str(save(dim_head(k, 96), folder / f"{k}.png"))
        )
        for k, label in enumerate(labels)
    ]
    return SimpleNamespace(items=items, sides=SimpleNamespace(names=tuple(splits)))


def test_different_labels_and_splits_are_shown_first(tmp_path):
    labels = ["glioma", "glioma", "glioma", "no_tumor"]
    found = results_of(tmp_path, labels, ["train", "train", "test", ""])
    strip = Thumbnails(found, None).strip([0, 1, 2, 3], "4 files", most=3)
    assert (strip.title, strip.more) == ("4 files", 1)
    assert [picture.caption for picture in strip.pictures] == [
        "glioma · train\nset\n0.png",
        "glioma · test\nset\n2.png",
        "no_tumor\nset\n3.png",
    ]


def test_a_fault_of_ours_is_no_file_that_is_gone(tmp_path, monkeypatch):
    found = results_of(tmp_path, ["glioma"], [""])
    path = found.items[0].reference

    def failing(reference):
        raise InternalError(f"{reference}: SliceWise failed (TypeError in read, line 1)")

    monkeypatch.setattr(page, "read_slice", failing)
    [one] = Thumbnails(found, None).strip([0]).pictures
    assert one.content == "SliceWise failed (TypeError in read, line 1)"
    text = render_html(Page("t", "s", "d", (Section("a", (Gallery((Strip((one,)),)),)),)))
    assert f'<div class="gone">{one.content}</div>' in text
    assert path not in text


def test_a_file_is_read_once_and_may_be_gone(tmp_path, monkeypatch):
    found = results_of(tmp_path, ["glioma"] * 2, ["", ""])
    (tmp_path / "1.png").unlink()
    read: list[str] = []
    real = page.read_slice
    monkeypatch.setattr(page, "read_slice", lambda path: read.append(path) or real(path))
    steps: list[tuple[str, int, int]] = []
    shown = Thumbnails(found, lambda *step: steps.append(step))
    strips = [shown.pair(0, 1), shown.pair(1, 0)]
    assert len(read) == 2
    assert steps == [("drawing pictures", 1, 1), ("drawing pictures", 2, 2)]
    assert strips[0].pictures == strips[1].pictures[::-1]
    there, gone = strips[0].pictures
    assert gone.content == "no longer readable"
    with Image.open(io.BytesIO(there.content)) as picture:
        assert (picture.format, picture.mode, max(picture.size)) == ("JPEG", "L", 96)
