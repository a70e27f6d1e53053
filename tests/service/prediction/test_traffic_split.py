"""Who answers an input is a matter of the input alone."""

from __future__ import annotations

import hashlib

import pytest

from slicewise.audit_log.records import Arm
from slicewise.service.prediction.traffic_split import arm_of, fraction_of

INPUTS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(4000)]


def arms(share: float) -> list[Arm]:
    return [arm_of(one, share) for one in INPUTS]


def test_the_same_input_has_the_same_arm_in_every_process() -> None:
    assert arms(0.3) == arms(0.3)
    # A constant worked out by hand from the definition: it must never change between releases.
    salted = hashlib.sha256(b"slicewise rollout" + INPUTS[0].encode()).hexdigest()
    assert fraction_of(INPUTS[0]) == pytest.approx(int(salted[:16], 16) / 2**64, abs=1e-12)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_the_share_is_met(share: float) -> None:
    got = arms(share).count(Arm.CHALLENGER) / len(INPUTS)
    assert got == pytest.approx(share, abs=4 * (share * (1 - share) / len(INPUTS)) ** 0.5)


def test_a_larger_share_keeps_who_was_assigned() -> None:
    small, large = arms(0.1), arms(0.2)
    assert all(b is Arm.CHALLENGER for a, b in zip(small, large, strict=True) if a is not Arm.MAIN)


def test_neighbouring_hashes_are_spread() -> None:
    close = [f"{i:064x}" for i in range(4000)]
    places = [fraction_of(one) for one in close]
    assert 0.45 < sum(places) / len(places) < 0.55


@pytest.mark.parametrize("named", [Arm.MAIN, Arm.CHALLENGER])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_bundle_that_is_named_answers_whatever_the_share(named: Arm, share: float) -> None:
    assert {arm_of(one, share, named) for one in INPUTS[:50]} == {named}


def test_all_and_none() -> None:
    assert set(arms(1.0)) == {Arm.CHALLENGER}
    assert set(arms(0.0)) == {Arm.MAIN}
