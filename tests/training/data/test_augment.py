from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from builders_training import run_config
from slicewise.errors import ConfigError
from slicewise.training.data.augment import (
    AugmentConfig,
    AugmentDraw,
    MixDraw,
    apply,
    draw,
    draw_mix,
    mix,
    warp,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nothing(count: int = 1) -> AugmentDraw:
    return draw(AugmentConfig(preset="none"), count, generator())


def dot(row: int, column: int, side: int = 33) -> Tensor:
    image = torch.zeros(1, 1, side, side)
    image[0, 0, row, column] = 1
    return image


def peak(image: Tensor) -> tuple[int, int]:
    row, column = divmod(int(image[0, 0].argmax()), image.shape[-1])
    return row, column


def test_no_augmentation_changes_nothing() -> None:
    images = torch.rand(3, 1, 20, 20, generator=generator())
    torch.testing.assert_close(apply(images, nothing(3)), images, atol=1e-6, rtol=0)


def test_flip_mirrors_left_to_right() -> None:
    numbers = replace(nothing(), flip=torch.tensor([True]))
    assert peak(apply(dot(5, 8), numbers)) == (5, 24)


def test_quarter_turn() -> None:
    numbers = replace(nothing(), angle=torch.tensor([math.pi / 2]))
    found = peak(apply(dot(16, 26), numbers))
    assert found in {(6, 16), (26, 16)}


def test_shift_is_a_share_of_the_side() -> None:
    numbers = replace(nothing(), shift=torch.tensor([[2 * 4 / 33, 0.0]]))
    assert peak(apply(dot(16, 16), numbers)) == (16, 12)


def test_zoom_moves_away_from_the_centre() -> None:
    numbers = replace(nothing(), scale=torch.tensor([2.0]))
    assert peak(apply(dot(16, 20), numbers)) == (16, 24)


def test_intensity_follows_the_numbers() -> None:
    numbers = replace(
        nothing(),
        gamma=torch.tensor([2.0]),
        contrast=torch.tensor([1.5]),
        brightness=torch.tensor([0.1]),
    )
    found = apply(torch.full((1, 1, 8, 8), 0.5), numbers)
    torch.testing.assert_close(found, torch.full((1, 1, 8, 8), 0.25 * 1.5 + 0.1))


def test_border_strip_is_blanked() -> None:
    numbers = replace(nothing(), erase=torch.tensor([[0.25, 0.0, 0.0, 0.0]]))
    found = apply(torch.ones(1, 1, 8, 8), numbers)
    assert found[0, 0, :2].max() == 0
    assert found[0, 0, 2:].min() == 1


def test_same_generator_same_picture() -> None:
    config = AugmentConfig(preset="strong")
    images = torch.rand(4, 1, 16, 16, generator=generator())
    one, two = (apply(images, draw(config, 4, generator(7))) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, apply(images, draw(config, 4, generator(8))))


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
def test_presets_stay_within_their_strength(preset: str) -> None:
    config = AugmentConfig(preset=preset)  # type: ignore[arg-type]
    numbers = draw(config, 500, generator())
    assert numbers.angle.abs().max() <= math.radians(config.rotate)
    assert (numbers.scale - 1).abs().max() <= config.zoom
    assert abs(float(numbers.flip.float().mean()) - config.flip) < 0.1
    images = apply(torch.rand(8, 1, 16, 16, generator=generator()), draw(config, 8, generator()))
    assert images.min() >= 0
    assert images.max() <= 1


def test_a_strength_overrides_its_preset() -> None:
    config = AugmentConfig(preset="standard", rotate=1)
    assert (config.rotate, config.shift) == (1, 0.08)


def test_unknown_strength_is_refused() -> None:
    with pytest.raises(ValidationError):
        AugmentConfig(rotation=3)  # type: ignore[call-arg]


def test_mixup_blends_images() -> None:
    images = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    pixels = mix(images, MixDraw(torch.tensor([1, 0]), 0.75))
    torch.testing.assert_close(pixels[0], torch.full((1, 4, 4), 0.25))
    torch.testing.assert_close(pixels[1], torch.full((1, 4, 4), 0.75))


def test_what_lies_over_an_image_moves_with_it() -> None:
    config = AugmentConfig(preset="none", flip=1.0, rotate=10, shift=0.1, zoom=0.1, shear=4)
    images = torch.rand(4, 1, 32, 32, generator=generator(5))
    numbers = draw(config, 4, generator(6))
    torch.testing.assert_close(warp(images, numbers), apply(images, numbers), atol=1e-6, rtol=0)


def test_cutmix_share_is_the_area_kept() -> None:
    config = AugmentConfig(preset="none", cutmix=1.0)
    for seed in range(20):
        numbers = draw_mix(config, 2, 32, generator(seed))
        assert numbers is not None
        images = torch.stack([torch.zeros(1, 32, 32), torch.ones(1, 32, 32)])
        pixels = mix(images, MixDraw(torch.tensor([1, 0]), numbers.share, numbers.box))
        assert float(pixels[0].mean()) == pytest.approx(1 - numbers.share, abs=1e-6)


def test_mixing_off_draws_nothing() -> None:
    assert draw_mix(AugmentConfig(preset="none"), 4, 32, generator()) is None


def test_numbers_follow_the_images_to_their_device() -> None:
    images = torch.rand(4, 1, 16, 16).to("meta")
    found = apply(images, draw(AugmentConfig(preset="strong"), 4, generator()))
    assert (found.device.type, found.shape) == ("meta", images.shape)


@pytest.mark.parametrize("preset", [["standard"], {"name": "light"}, None, "wild"])
def test_a_preset_that_is_none_is_a_configuration_error(tmp_path, preset):
    with pytest.raises(ConfigError, match=r"augment\.preset"):
        run_config(tmp_path, augment={"preset": preset})
