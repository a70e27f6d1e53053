from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders_evaluation import table_of, with_distances
from slicewise.errors import EvaluationError
from slicewise.fitting.acceptance import RANK, fit_acceptance, fit_neighbours
from slicewise.inference.trust import TrustReference, trust_scores


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


def made_up(n: int, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings about one direction a class, ten slices a group."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % classes
    embeddings = np.eye(classes, 100)[targets] * 3 + rng.normal(0, 0.2, (n, 100)) + 1
    groups = np.array([f"{k}-{i // (10 * classes)}" for i, k in enumerate(targets)])
    return embeddings.astype(np.float32), targets, groups


def test_new_slices_are_nearest_to_their_class() -> None:
    fitted = fit_neighbours(*made_up(300), 3, seed=1)
    embeddings, targets, _ = made_up(60, seed=5)
    distances = fitted.class_distances(embeddings)
    assert distances.argmin(axis=1).tolist() == targets.tolist()
    assert trust_scores(distances, targets).min() > 1
    assert trust_scores(distances, (targets + 1) % 3).max() < 1


def test_between_two_classes_there_is_no_trust() -> None:
    fitted = fit_neighbours(*made_up(300), 3, seed=1)
    between = np.ones((1, 100), np.float32)
    between[0, :2] += 3
    clear = np.ones((1, 100), np.float32)
    clear[0, 0] += 3
    assert trust_scores(fitted.class_distances(between), [0])[0] < 1.1
    assert trust_scores(fitted.class_distances(clear), [0])[0] > 1.5


def test_what_is_fitted_is_what_is_stored() -> None:
    fitted = fit_neighbours(*made_up(120), 3, seed=1)
    stored = TrustReference.from_bytes(fitted.to_bytes(), 3)
    embeddings = made_up(30, seed=2)[0]
    np.testing.assert_array_equal(
        fitted.class_distances(embeddings), stored.class_distances(embeddings)
    )
    assert stored.rank.tolist() == [RANK]


def test_of_very_many_slices_every_group_keeps_some() -> None:
    """A hundred slices of one group of a class, and groups of ten of the others."""
    embeddings, targets, groups = made_up(300)
    groups[targets == 0] = "large"
    fitted = fit_neighbours(embeddings, targets, groups, 3, most=90, seed=1)
    pairs = list(zip(fitted.classes.tolist(), fitted.groups.tolist(), strict=True))
    counts = sorted(pairs.count(pair) for pair in set(pairs))
    assert counts == [3] * 20 + [30]


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_is_never_lost(seed: int) -> None:
    """More groups than slices are remembered, and one class of a single slice."""
    embeddings, targets, _ = made_up(400, classes=2)
    targets[7] = 2
    fitted = fit_neighbours(embeddings, targets, np.arange(400).astype(str), 3, most=50, seed=seed)
    assert len(fitted.places) == 50
    assert np.sum(fitted.classes == 2) == 1
    TrustReference.from_bytes(fitted.to_bytes(), 3)


def test_there_are_no_more_directions_than_slices_span() -> None:
    embeddings, targets, groups = made_up(12)
    fitted = fit_neighbours(embeddings, targets, groups, 3, seed=1)
    assert fitted.axes.shape == (11, 100)


def test_a_group_of_two_classes_counts_in_both() -> None:
    embeddings, targets, _ = made_up(60, classes=2)
    fitted = fit_neighbours(embeddings, targets, np.full(60, "one"), 2, seed=1)
    assert fitted.class_distances(embeddings).shape == (60, 2)


def test_a_class_without_slices_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"training slices of 4 classes; got none of \[3\]"):
        fit_neighbours(*made_up(60), 4, seed=1)


def test_a_network_to_which_all_slices_are_alike_is_not_trusted() -> None:
    _, targets, groups = made_up(60)
    for alike in (np.ones((60, 100), np.float32), np.zeros((60, 100), np.float32)):
        fitted = fit_neighbours(alike, targets, groups, 3, seed=1)
        stored = TrustReference.from_bytes(fitted.to_bytes(), 3)
        assert trust_scores(stored.class_distances(alike), targets).max() < 1.001
