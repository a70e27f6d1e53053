from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from slicewise.errors import EvaluationError
from slicewise.fitting.ood_fit import Seen, cross_scores, fit_ood_detector, limits_of
from slicewise.imaging.appearance import APPEARANCE_NAMES

DIMENSIONS = 64


def made_up(n: int, shift: float, seed: int, kinds: int = 8) -> Seen:
    """Embeddings and looks of unit spread about a shifted centre."""
    rng = np.random.default_rng(seed)
    return Seen(
        rng.normal(shift, 1, (n, DIMENSIONS)).astype(np.float32),
        rng.normal(shift, 1, (n, len(APPEARANCE_NAMES))),
        np.array([f"kind-{i % kinds}" for i in range(n)]),
    )


def test_strange_pictures_score_above_real_ones_never_seen() -> None:
    fitted = fit_ood_detector(made_up(200, 0, 1), made_up(200, 1.5, 2))
    real, strange = made_up(100, 0, 3), made_up(100, 1.5, 4)
    inside = fitted.scores(real.embeddings, real.looks)
    outside = fitted.scores(strange.embeddings, strange.looks)
    assert inside.max() < outside.min()


def test_what_is_merely_far_away_scores_high_in_any_direction() -> None:
    """Fitted on pictures on one side and on the other, it also finds far ones elsewhere."""
    rng = np.random.default_rng(0)
    strange = made_up(400, 0, 5)
    strange = Seen(strange.embeddings * 6, strange.looks * 6, strange.kinds)
    fitted = fit_ood_detector(made_up(200, 0, 1), strange)
    far = made_up(50, 0, 6)
    sign = np.where(rng.random(DIMENSIONS) < 0.5, -8, 8)
    near = fitted.scores(*_pair(made_up(50, 0, 7)))
    assert fitted.scores(far.embeddings + sign.astype(np.float32), far.looks).min() > near.max()


def test_every_kind_weighs_the_same() -> None:
    """Ten pictures of a rare kind count as much as a thousand of a common one."""
    real, common, rare = made_up(200, 0, 1), made_up(1000, 1.5, 2, 1), made_up(10, -1.5, 3, 1)
    strange = Seen(
        np.concatenate([common.embeddings, rare.embeddings]),
        np.concatenate([common.looks, rare.looks]),
        np.array(["common"] * 1000 + ["rare"] * 10),
    )
    fitted = fit_ood_detector(real, strange)
    like_rare = made_up(50, -1.5, 4)
    assert np.mean(fitted.scores(*_pair(like_rare)) > 0) > 0.9


def test_cross_scores_leave_out_the_group() -> None:
    """What else a group holds moves the scores of other groups and never its own."""
    real, strange = made_up(200, 0, 1, kinds=10), made_up(200, 1.5, 2)
    scores = cross_scores(real, strange)
    own, other = real.kinds == "kind-0", real.kinds == "kind-1"
    rest = np.flatnonzero(own)[1:]
    changed = real.embeddings.copy()
    changed[rest] += 3
    again = cross_scores(replace(real, embeddings=changed), strange)
    first = np.flatnonzero(own)[0]
    assert again[first] == pytest.approx(scores[first], abs=1e-6)
    assert not np.allclose(again[other], scores[other], atol=1e-3)


def test_cross_scores_are_higher_than_those_of_a_fit_that_has_seen_them() -> None:
    """Otherwise the limits would refuse more new slices than they were fitted to."""
    real, strange = made_up(200, 0, 1, kinds=10), made_up(200, 1.5, 2)
    seen = fit_ood_detector(real, strange).scores(real.embeddings, real.looks)
    assert cross_scores(real, strange).mean() > seen.mean() + seen.std() / 4


def test_limits_are_exceeded_by_the_shares_asked_for() -> None:
    scores = np.arange(1000.0)
    found = limits_of(scores, np.repeat(["a", "b"], 500), ["noise", "noise"], 0.03, 0.01)
    assert (found.reviewed, found.rejected) == (0.03, 0.01)
    assert (found.n, found.groups, found.fitted_on_kinds) == (1000, 2, ("noise",))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(EvaluationError, match="50 real rows"):
        fit_ood_detector(made_up(20, 0, 1), made_up(200, 1, 2))


def _pair(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    return seen.embeddings, seen.looks
