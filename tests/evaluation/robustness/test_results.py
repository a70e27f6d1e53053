"""Shares, paired differences and verdict counts of answers that are made up."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.evaluation.robustness.corruptions import CORRUPTIONS
from slicewise.evaluation.robustness.results import (
    CLEAN,
    NO_INTERVAL,
    Outcome,
    corruption_metrics,
    ood_metrics,
)
from slicewise.inference.decision import Verdict
from slicewise.stats.bootstrap import Bootstrap
from slicewise.synthetic.ood.kinds import KINDS

A, R, X = Verdict.ACCEPT, Verdict.REVIEW, Verdict.REJECT


def answered(labels: str, verdicts: list[Verdict], confidence: float = 0.9) -> list[Outcome]:
    return [Outcome(k, v, confidence, ()) for k, v in zip(labels, verdicts, strict=True)]


LABELS, GROUPS = np.array(list("aabbbb")), np.array(["1", "2", "3", "4", "5", "6"])


def test_shares_and_paired_changes() -> None:
    answers = {
        CLEAN: answered("aabbba", [A, A, A, A, R, A], 0.9),
        ("blur", 1): answered("aabaaa", [A, R, A, A, X, R], 0.6),
    }
    report = corruption_metrics(LABELS, GROUPS, answers, Bootstrap(resamples=200, stratified=True))
    clean, blurred = report["clean"], report["perturbations"]["blur"]["levels"][0]
    assert clean["accuracy"]["value"] == pytest.approx(5 / 6)
    assert clean["accuracy_of_accepted"]["value"] == pytest.approx(4 / 5)
    assert clean["accepted_wrong"]["value"] == pytest.approx(1 / 6)
    assert "accuracy_change" not in clean
    assert blurred["level"] == 1
    assert blurred["strength"] == CORRUPTIONS["blur"].strengths[0]
    assert blurred["accuracy"]["value"] == pytest.approx(3 / 6)
    assert blurred["accepted"]["value"] == pytest.approx(3 / 6)
    assert blurred["reviewed"]["value"] == pytest.approx(2 / 6)
    assert blurred["rejected"]["value"] == pytest.approx(1 / 6)
    assert blurred["accepted_wrong"]["value"] == pytest.approx(1 / 6)
    assert blurred["accuracy_change"]["value"] == pytest.approx(-2 / 6)
    assert blurred["accepted_change"]["value"] == pytest.approx(-2 / 6)
    assert blurred["accepted_wrong_change"]["value"] == 0
    assert blurred["confidence_change"]["value"] == pytest.approx(-0.3)


def test_difference_is_paired_and_so_narrower_than_its_parts() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(60) < 0.5  # answers are right by slice, not by setting
    truth, groups = np.array(["a"] * 60), np.array([f"g{k}" for k in range(60)])
    labels = "".join("a" if r else "b" for r in right)
    answers = {
        CLEAN: answered(labels, [A] * 60),
        ("blur", 1): answered(labels[:-1] + "b", [A] * 60),
    }
    report = corruption_metrics(truth, groups, answers, Bootstrap(resamples=300))
    level = report["perturbations"]["blur"]["levels"][0]
    widths = {
        key: level[key]["ci_high"] - level[key]["ci_low"] for key in ("accuracy", "accuracy_change")
    }
    assert widths["accuracy"] > 0.2
    assert widths["accuracy_change"] < widths["accuracy"] / 2


def test_nothing_accepted_leaves_their_accuracy_open() -> None:
    report = corruption_metrics(
        LABELS, GROUPS, {CLEAN: answered("aabbbb", [R] * 6)}, Bootstrap(resamples=20)
    )
    assert report["clean"]["accuracy_of_accepted"]["value"] is None
    assert "accepted slice" in report["clean"]["accuracy_of_accepted"]["reason"]
    assert report["clean"]["accepted"]["value"] == 0


def test_kinds_are_counted_apart_by_what_the_gates_saw() -> None:
    pictures = {
        "knee": [Outcome("a", v, 0.5, ("possibly_out_of_distribution",)) for v in (X, X, X, R)],
        "text_page": [Outcome("a", v, 0.7, ()) for v in (A, X)],
    }
    report = ood_metrics(pictures, frozenset({"knee"}), 0.95)
    knee, page = report["kinds"]["knee"], report["kinds"]["text_page"]
    assert (knee["rejected"]["value"], knee["reviewed"]["value"]) == (0.75, 0.25)
    assert knee["reasons"] == {"possibly_out_of_distribution": 4}
    assert (knee["family"], knee["half"]) == (KINDS["knee"].family, KINDS["knee"].half)
    assert (knee["fitted_on"], page["fitted_on"]) == (True, False)
    assert report["seen_kinds"]["n"] == 4
    assert report["unseen_kinds"]["accepted"] == {
        "value": 0.5, "ci_low": None, "ci_high": None, "reason": NO_INTERVAL
    }  # fmt: skip
    assert (report["seen_kinds"]["kinds"], report["unseen_kinds"]["kinds"]) == (1, 1)
    assert page["accepted"]["ci_low"] < 0.5 < page["accepted"]["ci_high"]
    neither = ood_metrics(pictures, frozenset(), 0.95)["unseen_kinds"]
    assert (neither["kinds"], neither["n"], neither["accepted"]["value"]) == (2, 6, 1 / 6)
    assert ood_metrics(pictures, frozenset(), 0.95)["seen_kinds"] is None
