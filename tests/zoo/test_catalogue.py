"""The catalogue: one row a network, the same in the docs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from slicewise.zoo.catalogue import CATALOGUE, unknown

DOCS = Path(__file__).parents[2] / "docs"
NAMED = (
    *("resnet18", "resnet34", "resnet50", "resnetv2_50_stages3", "efficientnet_b0"),
    *("efficientnetv2_s", "convnext_tiny", "densenet121", "mobilenet_v2", "vgg19_bn", "xception"),
    *("swin_t", "swin_s", "vit_b_16", "custom_cnn", "simple_cnn", "resnet50_gap", "medical_cnn"),
    "xception_medical",
)


def test_every_network_of_the_older_systems_is_there() -> None:
    assert tuple(CATALOGUE) == NAMED


@pytest.mark.parametrize("name", NAMED)
def test_the_docs_have_its_row(name: str) -> None:
    row = CATALOGUE[name]
    cells = (
        f"`{name}`",
        f"{row.note}{f' (formerly `{row.formerly}`)' if row.formerly else ''}",
        *(f"{row.parameters:,}", str(row.size), f"{row.features:,}", str(row.stride)),
        *(str(row.stages), row.heat_map.value, row.weights_licence),
    )
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    assert f"| {' | '.join(cells)} |" in text.splitlines()


def test_a_catalogue_loads_no_torch() -> None:
    code = "import sys, slicewise.zoo.catalogue; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "timm", "numpy"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("resnet_18", "resnet18"),
        ("swins", "swin_s"),
        ("VIT_B_16", "vit_b_16"),
        ("xcep", "xception"),
    ],
)
def test_the_nearest_name_is_told(wrong: str, right: str) -> None:
    assert str(unknown(wrong)).endswith(f"nearest: {right}")
