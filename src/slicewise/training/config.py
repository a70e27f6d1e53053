"""One YAML file describes a run; everything in it is checked before anything starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from slicewise.config import nearest, problems
from slicewise.errors import ConfigError
from slicewise.files import write_whole
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.training.data.augment import AugmentConfig
from slicewise.training.network.config import ModelConfig, StrategyConfig
from slicewise.zoo.catalogue import CATALOGUE

DEALT_COLUMN = "fold"
"""Column of the folds, also where they are dealt rather than given."""

OPERATING_RULES: dict[str, tuple[str, ...]] = {
    "youden_j": (),
    "target_sensitivity": ("value",),
    "target_specificity": ("value",),
    "cost": ("missed", "false_alarm", "prevalence"),
}
"""Each rule with the numbers it needs."""


class Section(BaseModel):
    """One part of a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(Section):
    """Which slices, and how they are fed."""

    manifest: Path
    task: str = Field("four_class", description="four_class, three_class, binary or a class list.")
    batch_size: int = Field(32, ge=2)
    boxes: Path | None = Field(None, description="Table of tumor boxes, for loss.region.")
    cache: Path | None = Field(None, description="Folder of decoded pixels; default beside runs.")
    source_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Factors on the loss of slices, by source; 1 if unnamed."
    )


class FoldsConfig(Section):
    """Cross-validation: every fold is the test split once."""

    column: str | None = Field(
        None, description="Manifest column with the fold of each row; fold, where count is unset."
    )
    count: int | None = Field(
        None, ge=2, description="Deal whole groups into so many folds, where there is no column."
    )
    validation_share: float = Field(0.125, gt=0, lt=0.5, description="Of the other folds' groups.")
    validation_by: Literal["label", "label_and_source"] = Field(
        "label", description="What has its share in the validation split."
    )

    @model_validator(mode="before")
    @classmethod
    def _column_by_default(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("count") or given.get("column"):
            return given
        return {**given, "column": DEALT_COLUMN}

    @model_validator(mode="after")
    def _column_or_count(self) -> Self:
        if self.column is not None and self.count is not None:
            raise ValueError("expected column or count, not both")
        return self

    @property
    def name(self) -> str:
        """The column that holds the folds, of the manifest or dealt."""
        return self.column or DEALT_COLUMN


class OptimizerConfig(Section):
    """Optimizer and its learning rates."""

    name: Literal["adam", "adamw", "sgd", "adamax"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    backbone_lr_scale: float = Field(1.0, gt=0, description="Backbone lr as a share of lr.")
    stage_lr_decay: float = Field(
        1.0, gt=0, le=1, description="Lr of a stage of the backbone as a share of the next one's."
    )
    weight_decay: float = Field(0.01, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="For sgd.")


class SchedulerConfig(Section):
    """Learning rate over time."""

    name: Literal["cosine", "onecycle", "step", "plateau", "none"] = "cosine"
    warmup_epochs: float = Field(1.0, ge=0, description="Linear warm-up, for cosine.")
    final_share: float = Field(0.01, ge=0, lt=1, description="Last lr as a share, for cosine.")
    step_epochs: int = Field(10, ge=1, description="For step.")
    factor: float = Field(0.5, gt=0, lt=1, description="For step and plateau.")
    patience: int = Field(3, ge=0, description="For plateau, epochs.")
    cycles: int = Field(0, ge=0, description="Further cycles after trainer.epochs, for cosine.")
    cycle_epochs: int = Field(4, ge=1, description="Of each further cycle.")
    cycle_share: float = Field(0.5, gt=0, le=1, description="Highest lr of one, as a share.")


class LossConfig(Section):
    """What is minimised."""

    name: Literal["cross_entropy", "focal"] = "cross_entropy"
    class_weights: Literal["balanced", "none"] = "balanced"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    focal_gamma: float = Field(2.0, ge=0)
    source_balance: float = Field(
        0.0, ge=0, le=1, description="How alike sources count in a class: 0 by slices, 1 all alike."
    )
    region: float = Field(
        0.0, ge=0, description="Weight of the loss that puts evidence into known tumor regions."
    )
    tumor: float = Field(
        0.0, ge=0, description="Weight of tumor against none, where a source has slices of both."
    )


class TrainerConfig(Section):
    """How long and how."""

    epochs: int = Field(30, ge=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    gradient_clip: float = Field(1.0, ge=0, description="Largest gradient norm; 0 is off.")
    validate_every: int = Field(1, ge=1, description="Epochs between validations.")
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    threads: int | None = Field(None, ge=1, le=256, description="CPU threads; default all.")
    deterministic: bool = True
    profile: bool = Field(
        False, description="Write fit-profile.txt: where the time of a step goes."
    )

    @property
    def workers(self) -> int:
        """Threads that decode and measure slices."""
        return self.threads or os.cpu_count() or 1


class EarlyStoppingConfig(Section):
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


class CheckpointConfig(Section):
    """What is kept on disk. The best and the last epoch always are."""

    every: int | None = Field(None, ge=1, description="Also keep every so many epochs.")
    export: Literal["best", "last", "average"] = Field(
        "best", description="What becomes the bundle; average: mean weights of all cycles' ends."
    )


class OperatingPointConfig(Section):
    """How the tumor threshold is chosen; a rule without numbers may be given by its name alone."""

    rule: str = Field("youden_j", description="One of OPERATING_RULES.")
    value: float | None = Field(None, gt=0, le=1, description="Share, for the targets.")
    missed: float | None = Field(None, gt=0, description="Cost of a missed tumor.")
    false_alarm: float | None = Field(None, gt=0, description="Cost of a false alarm.")
    prevalence: float | None = Field(None, gt=0, lt=1, description="Share of slices with tumor.")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        return {"rule": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _numbers_of_the_rule(self) -> Self:
        if self.rule not in OPERATING_RULES:
            raise ValueError(
                f"rule {self.rule!r}: expected one of {', '.join(OPERATING_RULES)}; "
                f"nearest: {nearest(self.rule, OPERATING_RULES)}"
            )
        wanted = OPERATING_RULES[self.rule]
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        if given - {"rule"} != set(wanted):
            needs = f"with {', '.join(wanted)}" if wanted else "alone"
            got = ", ".join(sorted(given - {"rule"})) or "none"
            raise ValueError(f"rule {self.rule}: expected it {needs}; got {got}")
        return self

    @property
    def numbers(self) -> list[float]:
        """The numbers of the rule, in the order of OPERATING_RULES."""
        return [float(getattr(self, name)) for name in OPERATING_RULES[self.rule]]


class RefusalConfig(Section):
    """When an answer is left to a person, and when there is none."""

    coverage: float = Field(
        0.95, gt=0, lt=1, description="Promised share of prediction sets with the true class."
    )
    accept_target: float = Field(
        0.99, gt=0, lt=1, description="Wanted share of right answers among accepted ones."
    )
    unknown: float = Field(
        0.02, gt=0, lt=1, description="Slices of an unknown class that may be accepted."
    )
    per_kind: int = Field(40, ge=10, description="Out-of-distribution images of each kind.")
    reviewed: float = Field(
        0.03, gt=0, lt=0.5, description="Held-out slices above the review limit."
    )
    rejected: float = Field(
        0.01, gt=0, lt=0.5, description="Held-out slices above the reject limit."
    )

    @model_validator(mode="after")
    def _review_before_reject(self) -> Self:
        if self.rejected > self.reviewed:
            raise ValueError("rejected: expected a share of at most reviewed")
        return self


class BundleConfig(Section):
    """What the finished bundle says of itself."""

    version: str = Field("0.1.0", pattern=r"^\d+\.\d+\.\d+$")
    weight_storage: Literal["float32", "float16", "int8"] = "float32"
    weights: bool = Field(False, description="Keep the weights, for model.start of other runs.")
    calibration: Literal["temperature", "bias_corrected"] = "temperature"
    class_balance: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How alike classes count in the calibration: 0 as frequent as held out, 1 all "
        "alike.",
    )
    operating_point: OperatingPointConfig = OperatingPointConfig()
    refusal: RefusalConfig = RefusalConfig()
    started_from: str | None = Field(
        None, description="Start weights in words; default the name of the weights file."
    )
    allow_seen: bool = Field(
        False, description="Test on slices of patients that are trained on too, with a notice."
    )
    licences: dict[str, str] = Field(default_factory=lambda: {"model": "MIT"})
    intended_use: str = (
        "Research on brain MRI slices. Not a medical device; not for diagnosis or patient care."
    )


class RunConfig(Section):
    """A whole run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    seed: int = Field(42, ge=0, lt=2**32)
    runs: Path = Field(Path("runs"), description="Folder that holds the folders of runs.")
    data: DataConfig
    folds: FoldsConfig = FoldsConfig()
    preprocessing: PreprocessSpec = PreprocessSpec()
    model: ModelConfig = ModelConfig()
    strategy: StrategyConfig = StrategyConfig()
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    loss: LossConfig = LossConfig()
    trainer: TrainerConfig = TrainerConfig()
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    bundle: BundleConfig = BundleConfig()

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_architecture(cls, given: Any) -> Any:
        model = given.get("model") if isinstance(given, dict) else None
        row = CATALOGUE.get(str(model.get("name"))) if isinstance(model, dict) else None
        if row is None:
            return given
        own: dict[str, dict[str, Any]] = {
            "preprocessing": {"size": row.size},
            "strategy": {"name": row.strategy},
        }
        sections = {key: given.get(key, {}) for key in own}
        merged = {
            k: {**own[k], **found} for k, found in sections.items() if isinstance(found, dict)
        }
        return {**given, **merged}

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        cycles, every = self.scheduler.cycles, self.trainer.validate_every
        if self.strategy.in_phases and self.strategy.epochs >= self.all_epochs:
            raise ValueError(
                f"strategy {self.strategy.name}: expected strategy.epochs below the "
                f"{self.all_epochs} of the run; got {self.strategy.epochs}"
            )
        if every > self.trainer.epochs:
            raise ValueError("trainer.validate_every is larger than trainer.epochs")
        if self.scheduler.name == "plateau" and every != 1:
            raise ValueError("scheduler plateau needs trainer.validate_every 1")
        if cycles and self.scheduler.name != "cosine":
            raise ValueError(f"scheduler.cycles need scheduler cosine; got {self.scheduler.name}")
        if self.checkpoint.export == "average":
            if not cycles:
                raise ValueError("checkpoint.export average needs scheduler.cycles of 1 or more")
            if self.early_stopping.patience < self.all_epochs:
                raise ValueError(
                    "checkpoint.export average needs every cycle: expected early_stopping.patience "
                    f"of at least {self.all_epochs}; got {self.early_stopping.patience}"
                )
        return self

    @property
    def all_epochs(self) -> int:
        """Epochs of the whole run, further cycles included."""
        return self.trainer.epochs + self.scheduler.cycles * self.scheduler.cycle_epochs

    @property
    def cycle_ends(self) -> list[int]:
        """How many epochs have passed at the end of each cycle, the first included."""
        return list(range(self.trainer.epochs, self.all_epochs + 1, self.scheduler.cycle_epochs))

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return self.runs / self.name

    @property
    def cache(self) -> Path:
        """The folder of decoded pixels."""
        return self.data.cache or self.runs / "cache"

    def fold_folder(self, fold: str | None) -> Path:
        """Of the model without one fold, or of the model on all of them."""
        return self.folder / ("final" if fold is None else f"fold-{fold}")


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
        raise ConfigError(f"{source}: " + "; ".join(problems(error, RunConfig))) from error


def save_config(config: RunConfig, path: Path) -> None:
    """Write every value of a run, the defaults as well; an older file is replaced in one step."""
    write_whole(path, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
