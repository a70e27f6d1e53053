from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import table_of, with_distances
from slicewise.errors import EvaluationError
from slicewise.fitting.acceptance import fit_acceptance


def test_the_least_confidence_that_still_reaches_the_target() -> None:
    table = table_of(groups=400, skill=2.0)
    found = fit_acceptance(table, 0.97)
    confidence = table.probabilities().max(axis=1)
    kept = confidence >= found.confidence
    right = table.predicted == table.targets
    assert right[kept].mean() == pytest.approx(found.accuracy)
    assert found.accuracy >= 0.97
    assert kept.mean() == pytest.approx(found.coverage)
    looser = confidence >= np.sort(confidence[~kept])[-20:].min()
    assert right[looser].mean() < 0.97 or found.coverage == 1


def test_an_unreachable_target_is_refused() -> None:
    table = table_of(groups=40, skill=0.0, seed=5)
    with pytest.raises(EvaluationError, match="no confidence reaches"):
        fit_acceptance(table, 0.9999)


def test_with_distances_acceptance_goes_by_trust() -> None:
    table = with_distances(table_of(groups=400, skill=2.0))
    found = fit_acceptance(table, 0.97, 0.5)
    assert found.confidence is None
    other = np.sort(table.class_distances, axis=1)
    right = table.predicted == table.targets
    mine = table.class_distances[np.arange(table.n), table.predicted]
    nearest = np.where(mine == other[:, 0], other[:, 1], other[:, 0])
    kept = nearest / mine >= found.trust
    assert right[kept].mean() == pytest.approx(found.accuracy)
    assert found.accuracy >= 0.97
    assert kept.mean() == pytest.approx(found.coverage)


def test_an_unreachable_target_of_trust_is_refused() -> None:
    table = with_distances(table_of(groups=40, skill=0.0, seed=5))
    swapped = replace(table, class_distances=2 - table.class_distances)
    with pytest.raises(EvaluationError, match="no trust reaches"):
        fit_acceptance(swapped, 0.9999)


def test_slices_of_unknown_classes_raise_the_limit() -> None:
    """With its own class taken away, each slice is given to the most probable other one."""
    table = with_distances(table_of(groups=400, skill=4.0))
    loose, strict = fit_acceptance(table, 0.9, 0.5), fit_acceptance(table, 0.9, 0.02)
    assert strict.trust > loose.trust
    probabilities = table.probabilities()
    taken = 0
    for shares, distances, own in zip(
        probabilities, table.class_distances, table.targets, strict=True
    ):
        others = [k for k in range(4) if k != own]
        answer = max(others, key=lambda k: shares[k])
        rival = min(distances[k] for k in others if k != answer)
        taken += rival / distances[answer] >= strict.trust
    assert taken / table.n == pytest.approx(strict.unknown)
    assert strict.unknown <= 0.02 + 1 / table.n
    right = table.predicted == table.targets
    assert strict.accuracy == pytest.approx(right[table.trust >= strict.trust].mean())


def test_nothing_is_known_of_unknown_classes_where_there_are_two() -> None:
    table = with_distances(table_of(classes=("no_tumor", "tumor"), groups=100, skill=4.0))
    assert fit_acceptance(table, 0.9).unknown is None


def test_answers_no_surer_than_those_of_unknown_classes_are_not_accepted() -> None:
    table = with_distances(table_of(groups=100, skill=6.0))
    near = np.ones_like(table.class_distances)
    near[np.arange(table.n), table.targets] = 0.9
    second = np.argsort(-table.probabilities(), axis=1)[:, 1]
    near[np.arange(table.n), second] = 0.1
    with pytest.raises(EvaluationError, match="no answer has more trust than slices of unknown"):
        fit_acceptance(replace(table, class_distances=near), 0.5)
