from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders import bundle_info
from builders_training import write_heads
from slicewise.inference.bundle import load_bundle
from slicewise.inference.decision import DecisionRule
from slicewise.training.card import model_card


@pytest.fixture
def card(finished: Path) -> str:
    return (finished / "bundle/MODEL_CARD.md").read_text()


def shown(estimate: dict[str, Any]) -> str:
    if estimate["ci_low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['ci_low']:.3f}-{estimate['ci_high']:.3f})"


def test_the_figures_are_the_measured_ones(finished, card):
    metrics = json.loads((finished / "evaluation/metrics.json").read_text())
    for key, title in (
        ("accuracy", "Accuracy"),
        ("macro_auroc", "Macro AUROC"),
        ("brier", "Brier score"),
        ("memorisation_1nn", "Pixel 1-NN accuracy on the same split (no learning)"),
    ):
        assert f"| {title} | {shown(metrics[key])} |" in card
    assert shown(metrics["tumor"]["sensitivity"]) in card
    assert shown(metrics["per_class"]["glioma"]["auroc"]) in card
    assert "(8 slices, 4 groups)" in card


def test_it_says_what_it_was_made_from_and_how(finished, card):
    info = load_bundle(finished / "bundle").info
    assert card.startswith("# quick 2.1.0\n")
    assert "16 slices in 8 leak-free groups" in card
    assert info.origin.manifest_sha256 in card
    assert "| even | glioma | 4 | 2 |" in card
    assert "slicewise train quick.yaml" in card
    assert "* weights: MIT" in card
    assert "Measured once on the test split" in card
    assert f"Tumor threshold {info.decision.operating_point.threshold:.3f}" in card
    assert "stored as float16" in card


def test_it_says_that_it_is_no_medical_device(card):
    assert "Not a medical device" in card
    assert "every answer asks for review" in card


def test_nothing_of_the_machine_is_told(finished, card):
    assert str(finished) not in card
    assert "{{" not in card
    assert "None" not in card


def test_what_is_missing_is_said_to_be(tmp_path, finished):
    evaluation = load_bundle(finished / "bundle").info.evaluation
    evaluation = {
        **evaluation,
        "ece": {"value": None, "reason": "too few slices"},
        "brier": {"value": 0.25, "ci_low": None, "ci_high": None},
    }
    info = bundle_info(evaluation=evaluation, decision=DecisionRule())
    card = model_card(info, write_heads(tmp_path, groups=1), {})
    assert "| Expected calibration error | not available: too few slices |" in card
    assert "| Brier score | 0.250 |" in card
    assert "No tumor threshold was fitted" in card
    assert "Temperature" not in card
