from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import head_with_spot, tiny_bundle
from builders_imaging import nifti_bytes, picture_bytes
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import Reason, Verdict
from slicewise.inference.predict import answer_inputs
from slicewise.inference.results import DISCLAIMER, Predictions


@pytest.fixture
def found(tmp_path) -> Predictions:
    head = (head_with_spot(0) / 6).clip(0, 255).astype(np.uint8)
    (tmp_path / "ä.png").write_bytes(picture_bytes(head))
    (tmp_path / "v.nii").write_bytes(nifti_bytes(np.stack([head] * 3, 2).astype(np.float32)))
    paths = [tmp_path / "ä.png", tmp_path / "gone.png", tmp_path / "v.nii"]
    made = Predictions()
    for item in answer_inputs(paths, Classifier(tiny_bundle(tmp_path / "bundle"))):
        made.add(item)
    return made


def test_the_disclaimer_says_what_it_must():
    assert "Not a medical device" in DISCLAIMER


class TestShown:
    def test_one_line_each_aligned_with_counts(self, found):
        head, *rows, last = repr(found).splitlines()
        assert head == "4 predictions (0 accept, 4 review, 0 reject), 1 for series, 1 error"
        assert last == DISCLAIMER
        assert len(rows) == 1 + 1 + 4
        assert {row.index("review") for row in rows[1:]} == {rows[1].index("review")}
        assert rows[0].split()[:2] == [str(found.errors[0].source)[-48:], "error"]
        assert "(series of 3)" in rows[1]
        assert rows[2].endswith("  review  not_calibrated")

    def test_a_long_result_is_cut_and_says_so(self, found):
        many = Predictions()
        many += [found[0]] * 1000
        assert "... 960 more" in repr(many)
        assert len(repr(many).splitlines()) == 1 + 41 + 1

    def test_an_empty_result(self):
        assert repr(Predictions()).splitlines() == [
            "0 predictions (0 accept, 0 review, 0 reject)",
            DISCLAIMER,
        ]

    def test_a_rejected_answer_is_withheld(self, found):
        rejected = replace(found[0], decision=Verdict.REJECT, reasons=[Reason.NOT_MR])
        assert found[0].label in repr(found[0])
        assert "withheld" in repr(rejected)
        assert found[0].label not in repr(rejected)
        study = replace(found.studies[0], decision=Verdict.REJECT)
        assert "withheld" in repr(study)
        assert "tumor" in repr(found.studies[0])

    def test_a_slice_and_a_bundle_show_no_arrays_and_no_bytes(self, tmp_path):
        slice_ = Slice(np.zeros((4, 4), np.float32), "a.png")
        assert repr(slice_).startswith("Slice(source='a.png', ")
        assert "array" not in repr(slice_)
        assert len(repr(tiny_bundle(tmp_path / "one"))) < 10_000

    def test_names_are_escaped(self, found):
        odd = replace(found[0], source="<script>\x1b[31m.png")
        assert "<td>&lt;script&gt;\\x1b[31m.png</td>" in odd._repr_html_()
        assert "\x1b" not in repr(odd)
        whole = Predictions()
        whole += [odd]
        whole.add(Failure("<b>", "<i>"))
        html = whole._repr_html_()
        assert "<script>" not in html
        assert "<td>&lt;i&gt;</td>" in html
        assert html.count("<tr>") == 3
        names = ("source", "answer", "probability", "decision", "reasons")
        head = "<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"
        assert f"<table>{head}" in html
        assert f"<table>{head}" in odd._repr_html_()
        assert DISCLAIMER in html
