"""One YAML file describes a run; everything in it is checked before anything starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from slicewise.errors import ConfigError
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.training.augment import AugmentConfig


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Section):
    """Which slices, and how they are fed."""

    manifest: Path
    task: str = Field("four_class", description="four_class, three_class, binary or a class list.")
    batch_size: int = Field(32, ge=2)
    cache: Path | None = Field(None, description="Folder of decoded pixels; default beside runs.")


class FoldsConfig(_Section):
    """Cross-validation: every fold is the test split once."""

    column: str = Field("fold", description="Manifest column with the fold of each row.")
    validation_share: float = Field(0.125, gt=0, lt=0.5, description="Of the other folds' groups.")


class ModelConfig(_Section):
    """Architecture and start weights."""

    name: str = "resnet18"
    weights: Path | None = Field(None, description="safetensors to start from; none: from scratch.")
    dropout: float = Field(0.0, ge=0, lt=1)
    frozen_stages: int = Field(0, ge=0, description="Leading parts of the backbone left untrained.")


class OptimizerConfig(_Section):
    """Optimizer and its learning rates."""

    name: Literal["adam", "adamw", "sgd", "adamax"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    backbone_lr_scale: float = Field(1.0, gt=0, description="Backbone lr as a share of lr.")
    weight_decay: float = Field(0.01, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="For sgd.")


class SchedulerConfig(_Section):
    """Learning rate over time."""

    name: Literal["cosine", "onecycle", "step", "plateau", "none"] = "cosine"
    warmup_epochs: float = Field(1.0, ge=0, description="Linear warm-up, for cosine.")
    final_share: float = Field(0.01, ge=0, lt=1, description="Last lr as a share, for cosine.")
    step_epochs: int = Field(10, ge=1, description="For step.")
    factor: float = Field(0.5, gt=0, lt=1, description="For step and plateau.")
    patience: int = Field(3, ge=0, description="For plateau, epochs.")


class LossConfig(_Section):
    """What is minimised."""

    name: Literal["cross_entropy", "focal"] = "cross_entropy"
    class_weights: Literal["balanced", "none"] = "balanced"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    focal_gamma: float = Field(2.0, ge=0)


class TrainerConfig(_Section):
    """How long and how."""

    epochs: int = Field(30, ge=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    gradient_clip: float = Field(1.0, ge=0, description="Largest gradient norm; 0 is off.")
    validate_every: int = Field(1, ge=1, description="Epochs between validations.")
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    threads: int | None = Field(None, ge=1, description="CPU threads; default all.")
    deterministic: bool = True
    profile: bool = Field(
        False, description="Write fit-profile.txt: where the time of a step goes."
    )


class EarlyStoppingConfig(_Section):
    """When to stop before the last epoch."""

    monitor: Literal["val_macro_auroc", "val_balanced_accuracy", "val_accuracy", "val_loss"] = (
        "val_macro_auroc"
    )
    patience: int = Field(10, ge=1)
    min_delta: float = Field(0.0, ge=0)

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether the monitored quantity should fall or rise."""
        return "min" if self.monitor == "val_loss" else "max"


class CheckpointConfig(_Section):
    """What is kept on disk. The best and the last epoch always are."""

    every: int | None = Field(None, ge=1, description="Also keep every so many epochs.")
    export: Literal["best", "last"] = Field("best", description="Which one becomes the bundle.")


class BundleConfig(_Section):
    """What the finished bundle says of itself."""

    version: str = Field("0.1.0", pattern=r"^\d+\.\d+\.\d+$")
    weight_storage: Literal["float32", "float16"] = "float32"
    operating_point: Literal["youden_j"] = "youden_j"
    started_from: str | None = Field(
        None, description="Start weights in words; default the name of the weights file."
    )
    licences: dict[str, str] = Field(default_factory=lambda: {"model": "MIT"})
    intended_use: str = (
        "Research on brain MRI slices. Not a medical device; not for diagnosis or patient care."
    )


class RunConfig(_Section):
    """A whole run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    seed: int = Field(42, ge=0)
    runs: Path = Field(Path("runs"), description="Folder that holds the folders of runs.")
    data: DataConfig
    folds: FoldsConfig = FoldsConfig()
    preprocessing: PreprocessSpec = PreprocessSpec()
    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    loss: LossConfig = LossConfig()
    trainer: TrainerConfig = TrainerConfig()
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    bundle: BundleConfig = BundleConfig()

    @model_validator(mode="after")
    def _some_epoch_is_validated(self) -> RunConfig:
        if self.trainer.validate_every > self.trainer.epochs:
            raise ValueError("trainer.validate_every is larger than trainer.epochs")
        return self

    @model_validator(mode="after")
    def _plateau_needs_validation(self) -> RunConfig:
        if self.scheduler.name == "plateau" and self.trainer.validate_every != 1:
            raise ValueError("scheduler plateau needs trainer.validate_every 1")
        return self

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return self.runs / self.name


def load_config(path: Path) -> RunConfig:
    """Read and check a YAML file; relative paths in it are relative to the working folder.

    Raises:
        ConfigError: The file cannot be read, or a key or value is wrong; the message names the
            key, and for an unknown key the nearest known one.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(content).__name__}")
    return parse_config(content, str(path))


def parse_config(content: dict[str, Any], source: str) -> RunConfig:
    """Check the content of a configuration file.

    Raises:
        ConfigError: See `load_config`.
    """
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        lines = [_explain(dict(item)) for item in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(lines)) from error


def save_config(config: RunConfig, path: Path) -> None:
    """Write every value of a run, the defaults as well."""
    path.write_text(
        yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8"
    )


def _explain(item: dict[str, Any]) -> str:
    location = [str(part) for part in item["loc"]]
    where = ".".join(location)
    if item["type"] != "extra_forbidden":
        got = item.get("input")
        shown = f" (got {got!r})" if isinstance(got, str | int | float | bool) else ""
        message = f"{item['msg']}{shown}".removeprefix("Value error, ")
        return f"{where}: {message}" if where else message
    known = _known_keys(location[:-1])
    near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.0)
    return f"unknown key {where}; nearest known key: {'.'.join([*location[:-1], *near])}"


def _known_keys(location: Iterable[str]) -> list[str]:
    model: type[BaseModel] = RunConfig
    for part in location:
        annotation = model.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model = annotation
    return list(model.model_fields)
