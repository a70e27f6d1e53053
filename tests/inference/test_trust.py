from __future__ import annotations

import numpy as np
import pytest

from slicewise.inference.trust import trust_scores


def test_nearest_other_class_over_the_answered_one() -> None:
    distances = np.array([[0.5, 1.0, 2.0], [0.5, 1.0, 2.0], [0.5, 1.0, 2.0]])
    np.testing.assert_allclose(trust_scores(distances, [0, 1, 2]), [2.0, 0.5, 0.25])


def test_one_answer_is_a_number() -> None:
    assert float(trust_scores([1.0, 1.0], 0)) == 1.0


def test_a_slice_of_the_training_set_itself_is_trusted_without_end() -> None:
    assert trust_scores([0.0, 1.0], 0) == pytest.approx(1e6)
