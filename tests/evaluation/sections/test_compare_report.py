"""Models side by side as a part of the report."""

from __future__ import annotations

import json

import pytest

from builders import make_slice, write_tiny_bundle
from builders_evaluation import rule_of, table_of, with_distances
from builders_reports import prose_of
from slicewise.evaluation.sections.compare_report import comparison
from slicewise.inference.classifier import Classifier
from slicewise.stats.bootstrap import Bootstrap


@pytest.fixture
def models(tmp_path):
    for name in ("one", "two"):
        write_tiny_bundle(tmp_path / name, name=name)
    return [Classifier.load(tmp_path / name) for name in ("one", "two")]


def compared(models, tables, folder):
    quick = Bootstrap(resamples=20)
    return comparison(models, tables, [make_slice()], folder, quick, notice=None, plots=False)


def test_models_that_accept_by_different_scores_are_told_apart(models, tmp_path):
    plain = table_of().decided(rule_of())
    section = compared(models, [with_distances(plain), plain], tmp_path)
    ending = "by the same score: one 0.1.0 by trust, two 0.1.0 by confidence."
    assert prose_of(section).endswith(ending)
    written = json.loads((tmp_path / "compare.json").read_text())["models"]
    assert [model["scored_by"] for model in written.values()] == ["trust", "confidence"]


def test_models_that_accept_by_one_score_need_no_word_of_it(models, tmp_path):
    plain = table_of().decided(rule_of())
    assert "score" not in prose_of(compared(models, [plain, plain], tmp_path))
