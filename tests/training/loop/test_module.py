from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau, StepLR

from builders_training import run_config
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import TrainingError
from slicewise.training.loop.module import SliceModule
from slicewise.training.network.model import create_network


def module(
    folder,
    given: np.ndarray | None = None,
    each: torch.Tensor | None = None,
    tumor: tuple[int, torch.Tensor] | None = None,
    **sections,
) -> SliceModule:
    config = run_config(folder, **sections)
    torch.manual_seed(0)
    network = create_network(config.model, FOUR_CLASS, weights=None)
    network.normalise_by(0.3, 0.2)
    weights = torch.ones(8) if each is None else each
    return SliceModule(network, config, torch.ones(4), weights, given, tumor)


def batch(count: int = 8, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=generator)
    possible = torch.eye(4, dtype=torch.bool)[torch.arange(count) % 4]
    return images, possible, torch.arange(count)


def logged(module: SliceModule) -> dict[str, float]:
    found: dict[str, float] = {}
    module.log = lambda name, value, **_: found.update(
        {name: float(torch.as_tensor(value).detach())}
    )
    return found


def test_a_step_is_the_same_again_dropout_and_mixing_included(tmp_path):
    made = module(tmp_path, model={"dropout": 0.5}, augment={"preset": "strong", "cutmix": 1.0})
    logged(made)
    first = made.training_step(batch(), 3)
    torch.rand(17)
    made.network.backbone.first[1].reset_running_stats()
    assert made.training_step(batch(), 3) == first
    assert made.training_step(batch(), 4) != first


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    made = module(tmp_path)
    logged(made)
    with torch.no_grad():
        made.network.head.bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"loss became nan in epoch 0, batch 5.*optimizer\.lr"):
        made.training_step(batch(), 5)


def test_validation_figures_are_those_of_the_logits(tmp_path):
    made = module(tmp_path).eval()
    found = logged(made)
    parts = [batch(8, 1), batch(5, 2)]
    with torch.no_grad():
        for number, part in enumerate(parts):
            made.validation_step(part, number)
        made.on_validation_epoch_end()
        logits = torch.cat([made.network(images / 255) for images, _, _ in parts])
    targets = torch.cat([part[1] for part in parts]).int().argmax(1).numpy()
    p = torch.softmax(logits.double(), 1).numpy()
    expected = {
        "val_loss": log_loss(targets, p),
        "val_accuracy": np.mean(p.argmax(1) == targets),
        "val_balanced_accuracy": balanced_accuracy_score(targets, p.argmax(1)),
        "val_macro_auroc": roc_auc_score(targets, p, multi_class="ovr"),
    }
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_validation_split_of_one_class_has_no_auroc(tmp_path):
    made = module(tmp_path).eval()
    found = logged(made)
    images, _, positions = batch()
    one = torch.eye(4, dtype=torch.bool)[torch.zeros(8, dtype=torch.int64)]
    made.validation_step((images, one, positions), 0)
    made.on_validation_epoch_end()
    assert "val_macro_auroc" not in found
    assert "val_loss" in found


def configured(made: SliceModule, steps: int = 20):
    made._trainer = SimpleNamespace(estimated_stepping_batches=steps)
    return made.configure_optimizers()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", "Adam"), ("adamw", "AdamW"), ("adamax", "Adamax"), ("sgd", "SGD")],
)
def test_groups_have_their_own_rate_and_decay(tmp_path, name, kind):
    made = module(
        tmp_path,
        optimizer={"name": name, "lr": 0.1, "backbone_lr_scale": 0.1, "weight_decay": 0.3},
        scheduler={"name": "none"},
    )
    optimizer = configured(made)
    assert type(optimizer).__name__ == kind
    found = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert found == [
        (pytest.approx(0.01), 0.3),
        (pytest.approx(0.01), 0.0),
        (0.1, 0.3),
        (0.1, 0.0),
    ]
    assert {p.ndim for p in optimizer.param_groups[1]["params"]} == {1}
    given = [len(group["params"]) for group in optimizer.param_groups]
    assert sum(given) == len(list(made.parameters()))


def test_frozen_stages_are_not_optimised(tmp_path):
    made = module(tmp_path, model={"frozen_stages": 1}, scheduler={"name": "none"})
    given = [p for group in configured(made).param_groups for p in group["params"]]
    frozen = list(made.network.backbone.first.parameters())
    assert not any(one is other for one in given for other in frozen)
    assert any(one is made.network.backbone.second[0].weight for one in given)


@pytest.mark.parametrize(
    ("name", "kind", "interval"),
    [
        ("cosine", LambdaLR, "step"),
        ("onecycle", OneCycleLR, "step"),
        ("step", StepLR, "step"),
        ("plateau", ReduceLROnPlateau, "epoch"),
    ],
)
def test_schedules(tmp_path, name, kind, interval):
    plan = configured(module(tmp_path, scheduler={"name": name}))["lr_scheduler"]
    assert isinstance(plan["scheduler"], kind)
    assert plan["interval"] == interval


def test_step_schedule_counts_in_epochs(tmp_path):
    made = module(tmp_path, scheduler={"name": "step", "step_epochs": 1, "factor": 0.5})
    plan = configured(made, steps=20)  # two epochs of ten steps
    optimizer, scheduler = plan["optimizer"], plan["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.01] * 10 + [0.005] * 10)


def shares_of(made: SliceModule, steps: int) -> list[float]:
    """The learning rate of every step, as a share of the highest."""
    (follow,) = configured(made, steps)["lr_scheduler"]["scheduler"].lr_lambdas[:1]
    return [follow(step) for step in range(steps + 1)]


def test_cosine_with_warm_up(tmp_path):
    schedule = {"warmup_epochs": 2, "final_share": 0.1}
    made = module(tmp_path, scheduler=schedule, trainer={"epochs": 12})
    shares = shares_of(made, 24)
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4] == 1.0
    assert shares[14] == pytest.approx(0.55)
    assert shares[24] == pytest.approx(0.1)
    assert shares[4:] == sorted(shares[4:], reverse=True)


def test_further_cycles_begin_lower_and_end_as_the_first(tmp_path):
    schedule = {"warmup_epochs": 0, "final_share": 0, "cycles": 2, "cycle_epochs": 2}
    made = module(tmp_path, scheduler={**schedule, "cycle_share": 0.5}, trainer={"epochs": 4})
    shares = shares_of(made, 8 * 10)  # epochs of ten steps
    alone = module(
        tmp_path, scheduler={"warmup_epochs": 0, "final_share": 0}, trainer={"epochs": 4}
    )
    assert shares[:40] == pytest.approx(shares_of(alone, 40)[:40])
    assert [shares[40], shares[50], shares[60]] == pytest.approx([0.5, 0.25, 0.5])
    assert shares[59] < 0.01
    assert shares[40:60] == shares[60:80]
    assert shares[80] == shares[79]


def test_the_loss_of_regions_draws_evidence_to_them(tmp_path):
    """The same step with the tumor said to be elsewhere costs differently, once it is asked for."""
    regions = np.zeros((8, 32, 32), dtype=np.uint8)
    regions[:, :8, :8] = 255

    def value(weight: float, given: np.ndarray | None) -> float:
        made = module(tmp_path, model={"pool": "evidence"}, loss={"region": weight}, given=given)
        logged(made)
        return float(made.training_step(batch(), 3).detach())

    plain = value(0.0, regions)
    assert value(0.5, None) == plain
    assert value(0.5, regions) > plain
    assert value(0.5, regions) != value(0.5, regions[:, ::-1, ::-1].copy())


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.4}, {"cutmix": 1.0}])
def test_the_weight_of_a_slice_goes_with_it_also_as_a_partner(tmp_path, mixing):
    """Losses are linear in the weights: those of single slices add up to the loss of all."""
    regions = np.zeros((8, 32, 32), dtype=np.uint8)
    regions[:, :8, :8] = 255
    images, possible, positions = batch()
    shuffled = images, possible, positions.flip(0)  # row 0 of the batch is slice 7

    def value(each: torch.Tensor) -> float:
        sections = {"augment": mixing, "model": {"pool": "evidence"}, "loss": {"region": 1.0}}
        made = module(tmp_path, given=regions, each=each, **sections)
        logged(made)
        return float(made.training_step(shuffled, 3).detach())

    alone = [value(torch.eye(8)[index]) for index in range(8)]
    assert all(part > 0 for part in alone)
    assert value(torch.ones(8)) == pytest.approx(sum(alone), rel=1e-5)
    weights = torch.arange(8.0)
    assert value(weights) == pytest.approx(
        sum(w * part for w, part in zip(weights.tolist(), alone, strict=True)), rel=1e-5
    )


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.4}, {"cutmix": 1.0}])
def test_tumor_against_none_adds_its_share_for_each_slice(tmp_path, mixing):
    """Twice the weight adds twice as much, of the slices that have a weight and of no others."""

    def value(factor: float, each: torch.Tensor) -> float:
        sections = {"augment": mixing, "loss": {"tumor": factor}}
        made = module(tmp_path, tumor=(2, each), **sections)
        logged(made)
        images, possible, positions = batch()
        return float(made.training_step((images, possible, positions.flip(0)), 3).detach())

    plain, ones = value(0.0, torch.ones(8)), torch.ones(8)
    added = value(1.0, ones) - plain
    assert added > 0
    assert value(2.0, ones) - plain == pytest.approx(2 * added, rel=1e-4)
    alone = [value(1.0, torch.eye(8)[index]) - plain for index in range(8)]
    assert sum(alone) == pytest.approx(added, rel=1e-4)
    assert value(1.0, torch.zeros(8)) == plain


def test_a_slice_carries_the_weight_of_its_place_in_the_split(tmp_path):
    """With a batch of other slices than the first, the weight is found by position."""
    images, possible, positions = batch(4)
    each = torch.tensor([9.0, 9, 9, 9, 2, 2, 2, 2])
    values = []
    for weights in (each, torch.ones(8)):
        made = module(tmp_path, each=weights)
        logged(made)
        values.append(float(made.training_step((images, possible, positions + 4), 3).detach()))
    assert values[0] == pytest.approx(2 * values[1])


def test_a_step_takes_labels_that_leave_classes_open(tmp_path):
    made = module(tmp_path)
    logged(made)
    images, possible, positions = batch()
    told = float(made.training_step((images, possible, positions), 3).detach())
    open_ = possible | torch.tensor([True, True, False, True])
    open_[possible[:, 2]] = possible[possible[:, 2]]
    assert float(made.training_step((images, open_, positions), 3)) < told
