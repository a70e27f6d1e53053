from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slicewise.data.tasks import FOUR_CLASS, THREE_CLASS
from slicewise.errors import ConfigError
from slicewise.training.network.config import ModelConfig
from slicewise.training.network.model import SliceNet, create_network, parameter_counts


def build(name: str = "resnet18", weights: Path | None = None, frozen: int = 0):
    config = ModelConfig(name=name, frozen_stages=frozen)
    return create_network(config, THREE_CLASS, weights=weights).eval()


def evidence() -> SliceNet:
    torch.manual_seed(3)
    config = ModelConfig(name="resnet18", pool="evidence")
    return create_network(config, FOUR_CLASS, weights=None).eval()


def test_evidence_is_the_log_mean_of_odds_against_no_tumor() -> None:
    network = evidence()
    features = torch.rand(2, 512, 3, 4) * 5
    with torch.no_grad():
        scores = network.scores(features).double().numpy()
        found = network.logits(features).numpy()
    for slice_ in range(2):
        place = scores[slice_].reshape(4, -1)
        for index in (0, 1, 3):
            odds = np.exp(place[index] - place[2])
            assert found[slice_, index] == pytest.approx(np.log(odds.mean()), abs=1e-4)
        against = place[2] - place[[0, 1, 3]].mean(axis=0)
        assert found[slice_, 2] == pytest.approx(against.mean(), abs=1e-4)


def test_a_tumor_in_one_place_is_enough_for_evidence_and_not_for_the_mean() -> None:
    """One place of a hundred speaks for a glioma, all others against it."""
    network = evidence()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.weight[0, 0] = 1.0
        features = torch.full((1, 512, 10, 10), -1.0)
        features[:, 0, 4, 7] = 12.0
        found = network.logits(features)[0]
        mean = network.scores(features).mean(dim=(2, 3))[0]
    assert found.argmax() == 0
    assert found[0] > 5
    assert mean[0] < 0


def test_the_surroundings_tell_tumors_apart_and_nothing_else() -> None:
    network = evidence()
    features = torch.rand(3, 512, 3, 4) * 5
    with torch.no_grad():
        before = network.logits(features)
        assert network.surroundings is not None
        network.surroundings.bias.copy_(torch.tensor([0.0, 3.0, 0.0]))
        after = network.logits(features)
    tumors = [0, 1, 3]
    torch.testing.assert_close(after[:, tumors].logsumexp(1), before[:, tumors].logsumexp(1))
    torch.testing.assert_close(after[:, 2], before[:, 2])
    moved = (after - before)[:, tumors]
    torch.testing.assert_close(moved[:, 1] - moved[:, 0], torch.full((3,), 3.0))
    torch.testing.assert_close(moved[:, 2], moved[:, 0])


def test_evidence_needs_a_class_without_a_tumor() -> None:
    with pytest.raises(ConfigError, match="three_class has none"):
        create_network(ModelConfig(name="resnet18", pool="evidence"), THREE_CLASS, weights=None)


def test_frozen_stages_do_not_train() -> None:
    everything, trained = parameter_counts(build(frozen=2))
    assert everything == parameter_counts(build())[0]
    assert 0 < trained < everything


def test_frozen_stages_keep_their_batch_norm_statistics() -> None:
    network = build(frozen=2).train()
    before = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
    network(torch.rand(4, 1, 64, 64))
    after = network.state_dict()
    drifted = {k for k, v in before.items() if not torch.equal(v, after[k])}
    assert drifted
    assert not {k for k in drifted if k.startswith(("backbone.bn1", "backbone.layer1"))}


def test_unknown_name_and_too_many_stages() -> None:
    with pytest.raises(ConfigError, match=r"'resnet99'.*resnet18"):
        build("resnet99")
    with pytest.raises(ConfigError, match="resnet18 has 5 stages"):
        build(frozen=6)
