"""The networks that `model.name` knows: plain data, which all that names them is made from.

Choices and defaults of a configuration, `slicewise models zoo`, the table in the docs and the tests
of the networks read these rows. `training.network` builds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slicewise.config import nearest
from slicewise.errors import ConfigError

NO_WEIGHTS = "none published"


class HeatMap(StrEnum):
    """How the gradient of the head is known, all in closed form."""

    LINEAR = "linear head"
    NORM = "Jacobian of the norm after pooling"
    MLP = "ReLU mask of the hidden layer"


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network.

    Args:
        name: What `model.name` says.
        timm_name: Its name in timm; None where it is written here.
        size: Side of its input where `preprocessing.size` is not given, pixels.
        parameters: With its own head, one channel and four classes, at that size.
        features: D, of each place of the last feature map.
        stride: Side of the input over side of that map.
        stages: Parts of the backbone that can be frozen, the stem first.
        heat_map: How its heat maps are computed.
        weights_licence: Of the published weights that `model.pretrained` takes.
        note: What it is, and its source.
        formerly: Its name in older systems, where that was another one.
        multiple: What `preprocessing.size` must be a multiple of.
        strategy: What `strategy.name` is where the configuration gives none.
        defaults: Keys of the section `model` with values of its own.
    """

    name: str
    timm_name: str | None
    size: int
    parameters: int
    features: int
    stride: int
    stages: int
    heat_map: HeatMap
    weights_licence: str
    note: str
    formerly: str = ""
    multiple: int = 1
    strategy: str = "full"
    defaults: Mapping[str, object] = field(default_factory=dict)


_APACHE, _BSD, _MIT = "Apache-2.0", "BSD-3-Clause", "MIT"
_L, _N, _M = HeatMap.LINEAR, HeatMap.NORM, HeatMap.MLP
_MEDICAL = {"dropout": 0.3, "hidden": 128, "hidden_dropout": 0.25}
_GAP = {"head_norm": True, "hidden": 256, "hidden_dropout": 0.5}

_ROWS = (
    Architecture(
        *("resnet18", "resnet18", 224, 11_172_292, 512, 32, 5, _L, _APACHE),
        "ResNet-18 (He et al., CVPR 2016)",
    ),
    Architecture(
        *("resnet34", "resnet34", 224, 21_280_452, 512, 32, 5, _L, _APACHE),
        "ResNet-34",
    ),
    Architecture(
        *("resnet50", "resnet50", 224, 23_509_956, 2048, 32, 5, _L, _APACHE),
        "ResNet-50",
    ),
    Architecture(
        *("resnetv2_50_stages3", None, 224, 8_537_668, 1024, 16, 4, _L, NO_WEIGHTS),
        "stages 1 to 3 of a pre-activation ResNet-50 (He et al., ECCV 2016)",
    ),
    Architecture(
        *("efficientnet_b0", "efficientnet_b0", 224, 4_012_096, 1280, 32, 8, _L, _APACHE),
        "EfficientNet-B0 (Tan and Le, ICML 2019)",
    ),
    Architecture(
        *("efficientnetv2_s", "tf_efficientnetv2_s", 300, 20_182_180, 1280, 32, 7, _L, _APACHE),
        "EfficientNetV2-S (Tan and Le, ICML 2021)",
    ),
    Architecture(
        *("convnext_tiny", "convnext_tiny", 224, 27_820_132, 768, 32, 5, _N, _APACHE),
        "ConvNeXt-T (Liu et al., CVPR 2022)",
    ),
    Architecture(
        *("densenet121", "densenet121", 224, 6_951_684, 1024, 32, 5, _L, _APACHE),
        "DenseNet-121 (Huang et al., CVPR 2017)",
    ),
    Architecture(
        *("mobilenet_v2", "mobilenetv2_100", 224, 2_228_420, 1280, 32, 8, _L, _APACHE),
        "MobileNetV2 (Sandler et al., CVPR 2018)",
    ),
    Architecture(
        *("vgg19_bn", "vgg19_bn", 224, 20_036_292, 512, 32, 16, _L, _BSD),
        "VGG-19 with batch norm (Simonyan and Zisserman, ICLR 2015), pooled by the mean",
    ),
    Architecture(
        *("xception", "legacy_xception", 299, 20_814_572, 2048, 32, 14, _L, NO_WEIGHTS),
        "Xception (Chollet, CVPR 2017); its weights are published pickled only",
    ),
    Architecture(
        *("swin_t", "swin_tiny_patch4_window7_224", 224, 27_519_358, 768, 32, 5, _L, _MIT),
        "Swin-T (Liu et al., ICCV 2021)",
        multiple=4,
    ),
    Architecture(
        *("swin_s", "swin_small_patch4_window7_224", 224, 48_837_262, 768, 32, 5, _L, _MIT),
        "Swin-S",
        multiple=4,
    ),
    Architecture(
        *("vit_b_16", "vit_base_patch16_224", 224, 85_408_516, 768, 16, 13, _N, _APACHE),
        "ViT-B/16 (Dosovitskiy et al., ICLR 2021), pooled by the mean of its patches",
        multiple=16,
    ),
    Architecture(
        *("custom_cnn", None, 224, 4_845_988, 512, 32, 5, _M, NO_WEIGHTS),
        "five blocks of two convolutions, batch norm and dropout",
        formerly="custom",
        defaults={"hidden": 256, "hidden_dropout": 0.5},
    ),
    Architecture(
        *("simple_cnn", None, 224, 93_412, 128, 8, 3, _L, NO_WEIGHTS),
        "three convolutions",
    ),
    Architecture(
        *("resnet50_gap", "resnet50", 224, 24_031_428, 2048, 32, 5, _M, _APACHE),
        "ResNet-50, frozen, with batch norm and a hidden layer behind the pooling",
        formerly="resnet50",
        strategy="head",
        defaults=_GAP,
    ),
    Architecture(
        *("medical_cnn", "efficientnet_b0", 224, 4_171_456, 1280, 32, 8, _M, _APACHE),
        "EfficientNet-B0, frozen, with a hidden layer",
        strategy="head",
        defaults=_MEDICAL,
    ),
    Architecture(
        *("xception_medical", "efficientnet_b0", 299, 4_171_456, 1280, 32, 8, _M, _APACHE),
        "EfficientNet-B0, all of it trained, with a hidden layer; no Xception in spite of its name",
        defaults=_MEDICAL,
    ),
)

CATALOGUE: Mapping[str, Architecture] = {row.name: row for row in _ROWS}
"""Every network by its name."""


def unknown(name: str) -> ConfigError:
    """The error for a name that is neither here nor in timm."""
    return ConfigError(
        f"model.name {name!r}: expected one of {', '.join(CATALOGUE)}, or a network of timm; "
        f"nearest: {nearest(name, CATALOGUE)}"
    )
