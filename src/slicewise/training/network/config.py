"""The sections of a configuration that say which network trains, and which part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicewise.zoo.catalogue import CATALOGUE


class ModelConfig(BaseModel):
    """Architecture and start weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "resnet18"
    pool: Literal["mean", "evidence"] = Field(
        "mean", description="How places make a slice's answer: their mean, or evidence of a tumor."
    )
    weights: Path | None = Field(None, description="safetensors to start from; none: from scratch.")
    pretrained: bool = Field(False, description="Start from the published weights, as timm has.")
    start: Path | None = Field(None, description="Bundle whose weights to go on from.")
    channels: Literal[1, 3] = Field(1, description="That the stem reads; 3 is grey three times.")
    head_norm: bool = Field(False, description="Batch norm behind the pooling.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Behind the pooling.")
    hidden: int = Field(0, ge=0, le=4096, description="Units of a hidden layer; 0 is none.")
    hidden_dropout: float = Field(0.0, ge=0, lt=1, description="Behind the hidden layer.")
    frozen_stages: int = Field(0, ge=0, description="Leading parts of the backbone left untrained.")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_architecture(cls, given: Any) -> Any:
        row = CATALOGUE.get(str(given.get("name"))) if isinstance(given, dict) else None
        return given if row is None else {**row.defaults, **given}


class StrategyConfig(BaseModel):
    """Which part of the backbone trains, and from which epoch on; the head always does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["full", "head", "partial", "two_phase", "progressive"] = "full"
    stages: int | None = Field(None, ge=1, description="Last stages that train, for partial.")
    layers: tuple[str, ...] = Field((), description="Layers that train, for partial.")
    epochs: int = Field(
        5, ge=1, description="Of the head alone, for two_phase; between stages, for progressive."
    )

    @model_validator(mode="after")
    def _one_choice_of_a_part(self) -> Self:
        given = (self.stages is not None) + bool(self.layers)
        if given != (self.name == "partial"):
            wanted = "stages or layers" if self.name == "partial" else "neither stages nor layers"
            raise ValueError(f"name {self.name}: expected {wanted}")
        return self

    @property
    def in_phases(self) -> bool:
        """Whether the part that trains grows over the epochs."""
        return self.name in ("two_phase", "progressive")
