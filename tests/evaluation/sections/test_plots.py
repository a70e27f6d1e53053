"""The pictures show the numbers they claim to show."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_score, roc_curve

from builders_evaluation import rule_of, table_of
from slicewise.evaluation.sections import plots
from slicewise.evaluation.summary import summarise
from slicewise.stats import metrics
from slicewise.stats.bootstrap import Bootstrap

figure = pytest.importorskip("matplotlib.figure")


@pytest.fixture
def axes():
    return figure.Figure().add_subplot()


def test_the_matrix_shows_counts_and_row_percentages(axes):
    table = table_of().decided(rule_of())
    plots.draw_confusion(axes, table)
    counts = metrics.confusion_matrix(table.predicted, table.targets, 4)
    shown = [text.get_text() for text in axes.texts]
    assert shown == [f"{c}\n{100 * c / 50:.1f} %" for c in counts.ravel()]
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "glioma",
        "meningioma",
        "no tumor",
        "pituitary",
    ]


def test_an_empty_row_is_called_none(axes):
    table = table_of()
    plots.draw_confusion(axes, table.take(table.targets != 3))
    assert [text.get_text() for text in axes.texts][-4:] == ["0\nnone"] * 4


def test_the_binary_matrix_is_that_of_the_threshold(axes):
    table = table_of().decided(rule_of(threshold=0.8))
    plots.draw_binary_confusion(axes, table)
    hit = int(np.sum(table.tumor_flag() & table.is_tumor()))
    assert axes.texts[-1].get_text().startswith(f"{hit}\n")
    assert "0.800" in axes.get_title()


@pytest.mark.parametrize(("draw", "metric"), [("draw_roc", "auroc"), ("draw_pr", "auprc")])
def test_curves_name_their_area(axes, draw, metric):
    table = table_of().decided(rule_of())
    getattr(plots, draw)(axes, table)
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    area = getattr(metrics, metric)(table.tumor_probability(), table.is_tumor())
    assert len(legend) == 5
    assert f"{area:.3f}" in legend[-1]
    assert legend[-1].startswith("any tumor")


def test_classes_without_slices_have_no_curve(axes):
    table = table_of().decided(rule_of())
    plots.draw_roc(axes, table.take(table.targets != 3))
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert not any("pituitary" in entry for entry in legend)


def test_reliability_names_the_ece(axes):
    table = table_of().decided(rule_of())
    plots.draw_reliability(axes, table)
    assert f"{metrics.ece(table.probabilities(), table.targets):.3f}" in axes.get_title()


def test_files_are_the_same_twice(tmp_path):
    table = table_of().decided(rule_of())
    report = summarise(table, Bootstrap(resamples=5), "not measured")
    report["tumor"]["threshold"] = {"rule": "youden_j"}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        plots.write_plots(table, report, tmp_path / name)
    assert (tmp_path / "a/roc.png").read_bytes() == (tmp_path / "b/roc.png").read_bytes()


def test_the_sweep_is_the_roc_curve_with_its_thresholds(axes):
    table = table_of().decided(rule_of(threshold=0.7))
    plots.draw_threshold_sweep(axes, table, "youden_j")
    false, true, thresholds = roc_curve(
        table.is_tumor(), table.tumor_probability(), drop_intermediate=False
    )
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(lines["sensitivity"].get_xdata(), thresholds[1:])
    np.testing.assert_allclose(lines["sensitivity"].get_ydata(), true[1:])
    np.testing.assert_allclose(lines["specificity"].get_ydata(), 1 - false[1:])
    flags = table.tumor_probability() >= thresholds[71]
    assert lines["PPV"].get_ydata()[70] == pytest.approx(precision_score(table.is_tumor(), flags))
    flags, truth = table.tumor_flag(), table.is_tumor()
    place = axes.get_lines()[-1]
    assert place.get_xdata() == pytest.approx([0.7, 0.7])
    assert place.get_ydata() == pytest.approx([flags[truth].mean(), 1 - flags[~truth].mean()])
