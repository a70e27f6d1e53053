"""Shares are written honestly, and the page escapes what files are called."""

from __future__ import annotations

import pytest

from builders_audit import dim_head
from builders_data import save
from slicewise.data.audit.audit import audit_folders
from slicewise.data.audit.page import render_page
from slicewise.data.audit.verdict import percent
from slicewise.data.build_config import config_of
from slicewise.figures.share import Share


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.5, "50.0 %"),
        (1.0, "100.0 %"),
        (0.9996, ">99.9 %"),
        (0.0001, "<0.1 %"),
        (Share(0.25, 0.1, 0.4), "25.0 % (10.0-40.0)"),
        (Share(0.25, None, None), "25.0 %"),
        (Share(0.9993, 0.9984, 0.9998), "99.9 % (99.8->99.9)"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_none(share, text):
    assert percent(share) == text


def test_names_of_files_and_folders_are_escaped(tmp_path):
    for number in range(4):
        root = tmp_path / "<b>set"
        save(dim_head(number // 2, 96), root / "glioma" / f"<i>{number}.png")
    audit = audit_folders(config_of([tmp_path / "<b>set"]))
    page = render_page(audit.findings, audit.sentences, audit.pairs, audit.audited)
    assert "<i>" not in page
    assert "<b>set" not in page
    assert "&lt;i&gt;0.png" in page
    assert "not probed" in page
