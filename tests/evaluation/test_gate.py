"""Limits are held against the unfavourable end, and nothing is promised beyond research."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from builders_evaluation import decided_table, rule_of, table_of
from builders_reports import prose_of
from slicewise.errors import ConfigError
from slicewise.evaluation.gate import Gate, judge, load_gate, write_gate
from slicewise.evaluation.summary import summarise
from slicewise.stats.bootstrap import NO_SPREAD, Bootstrap


@pytest.fixture(scope="module")
def report():
    return summarise(decided_table(), Bootstrap(resamples=50), "not measured")


def gate_file(folder: Path, text: str) -> Path:
    path = folder / "gate.yaml"
    path.write_text(text)
    return path


def test_the_lower_end_decides_not_the_figure(report):
    figure = report["accuracy"]
    assert figure["ci_low"] < figure["value"]
    between = (figure["ci_low"] + figure["value"]) / 2
    assert not judge(Gate(accuracy=between), report).passed
    assert judge(Gate(accuracy=figure["ci_low"]), report).passed


def test_the_upper_end_decides_where_less_is_better(report):
    figure = report["ece"]
    between = (figure["ci_high"] + figure["value"]) / 2
    assert not judge(Gate(ece=between), report).passed
    assert judge(Gate(ece=figure["ci_high"], brier=2), report).passed


def test_every_part_of_a_report_can_be_asked(report, tmp_path):
    text = """
    balanced_accuracy: 0.1
    per_class: {glioma: {sensitivity: 0.1, auprc: 0.1}}
    tumor: {sensitivity: 0.1}
    sources: {figshare: {accuracy: 0.1, tumor: {sensitivity: 0.1}}}
    decisions: {accept: {share: 0.1, accuracy: 0.1}}
    conformal: {coverage: 0.1}
    minimum: {n: 200, groups: 40, groups_per_class: 10}
    """
    judgement = judge(load_gate(gate_file(tmp_path, text)), report)
    assert judgement.passed
    assert judgement.outcome == "research gate passed"
    assert len(judgement.checks) == 12
    assert "sources.figshare.tumor.sensitivity" in {check.metric for check in judgement.checks}


def test_too_few_groups_fail(report):
    judgement = judge(Gate.model_validate({"minimum": {"groups_per_class": 11}}), report)
    assert judgement.outcome == "research gate failed"
    assert judgement.checks[0].explanation == "10 where at least 11 are asked"


def test_a_figure_without_interval_fails_with_its_reason(report):
    asked = {"sources": {"web": {"tumor": {"sensitivity": 0.1}}}}
    check = judge(Gate.model_validate(asked), report).checks[0]
    assert not check.passed
    assert "needs a positive" in check.explanation


def test_two_right_answers_do_not_pass_for_99_percent():
    """Two of forty groups are accepted, all right: no resample finds an error among them."""
    table = decided_table()
    right = np.flatnonzero(table.predicted == table.targets)
    first = [right[0], right[table.groups[right] != table.groups[right[0]]][0]]
    verdicts = np.full(table.n, "review")
    verdicts[first] = "accept"
    found = summarise(replace(table, verdicts=verdicts), Bootstrap(resamples=50), "not measured")
    accepted = found["decisions"]["accept"]["accuracy"]
    assert accepted["value"] == 1.0
    assert accepted["ci_low"] == pytest.approx(binomtest(2, 2).proportion_ci(method="wilson").low)
    asked = {"decisions": {"accept": {"accuracy": 0.99}}}
    [check] = judge(Gate.model_validate(asked), found).checks
    assert not check.passed
    assert check.measured == accepted["ci_low"]


def test_figures_without_width_that_are_no_shares_fail():
    perfect = table_of(skill=99).decided(rule_of())
    found = summarise(perfect, Bootstrap(resamples=50), "not measured")
    assert (found["macro_auroc"]["value"], found["macro_auroc"]["ci_low"]) == (1.0, None)
    checks = judge(Gate(macro_auroc=0.5, accuracy=0.9), found).checks
    assert [check.passed for check in checks] == [True, False]
    assert checks[1].explanation == f"no interval: {NO_SPREAD}"


def test_the_file_says_what_was_held_to_what(report, tmp_path):
    gate = Gate(accuracy=0.99, ece=0.5)
    section = write_gate(judge(gate, report), gate, tmp_path)
    written = json.loads((tmp_path / "gate.json").read_text())
    assert written["passed"] is False
    assert [check["passed"] for check in written["checks"]] == [False, True]
    assert all(check["figure"] == check["metric"] for check in written["checks"])
    assert all(check["said"] == check["explanation"] for check in written["checks"])
    assert prose_of(section).startswith("Research gate failed: 1 of 2 limits kept.")
    assert "nothing about use on patients" in prose_of(section)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acuracy: 0.9", "unknown key acuracy; nearest known key: accuracy"),
        (
            "per_class: {glioma: {sensitvity: 0.9}}",
            r"unknown key per_class\.glioma\.sensitvity; nearest known key: "
            r"per_class\.glioma\.sensitivity",
        ),
        ("accuracy: 85", "accuracy: expected at most 1; got 85"),
        ("accuracy: high", "accuracy: expected a number; got 'high'"),
        ("{}", "at least one limit"),
        ("per_class: {}", "at least one limit"),
        ("- accuracy", "expected metrics and limits; got list"),
        ("a: [", "expected a gate as YAML"),
        (
            "ece: 0.1\na: [}",
            r"gate\.yaml: expected a gate as YAML; got [^\n<]*'}' in line 2, column 5$",
        ),
    ],
)
def test_a_wrong_gate_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_gate(gate_file(tmp_path, text))


def test_unknown_classes_and_sources_name_the_nearest(report):
    for asked, near in (
        ({"per_class": {"gliom": {"f1": 0.5}}}, "glioma"),
        ({"sources": {"figshar": {"accuracy": 0.5}}}, "figshare"),
    ):
        with pytest.raises(ConfigError, match=f"nearest: {near}"):
            judge(Gate.model_validate(asked), report)


def test_the_example_is_a_gate():
    example = Path(__file__).parents[2] / "docs/configs/gate.yaml"
    assert load_gate(example).minimum is not None
