"""Mean and standard deviation of the training split, after the pixel pipeline, as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slicewise.arrays import Ints
from slicewise.data.manifest import Manifest
from slicewise.errors import InputError, ManifestError
from slicewise.files import write_whole
from slicewise.imaging.preprocess import PreprocessSpec, preprocess
from slicewise.imaging.read import read_slice
from slicewise.progress import Progress, ProgressCount

_TOLERANCE = 1e-6


class Statistics(BaseModel):
    """Of the pixels a model is trained on, scaled to [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float = Field(ge=0, le=1, description="Of all pixels of all training slices.")
    std: float = Field(ge=0, le=1, description="Standard deviation, over all pixels.")
    slices: int = Field(gt=0, description="Number of training slices.")
    split: str = Field("train", pattern="^train$", description="Always the training split.")
    manifest_sha256: str = Field(description="Hash of the manifest's content.")
    preprocessing: PreprocessSpec = Field(description="The pixel pipeline that was used.")

    def summary(self) -> str:
        """As text for people."""
        spec = self.preprocessing
        return (
            f"mean {self.mean:.6f}, standard deviation {self.std:.6f} (pixels in [0, 1])\n"
            f"training split, {self.slices} slices, {spec.size} px, crop {spec.crop}\n"
            f"manifest {self.manifest_sha256[:12]}"
        )


def compute_statistics(
    manifest: Manifest, spec: PreprocessSpec, progress: Progress | None = None
) -> Statistics:
    """Measure the training split alone; `ManifestError` if it is empty or cannot be read."""
    rows = manifest.subset("train").rows
    if not rows:
        raise ManifestError("statistics: expected slices in the training split; got none")
    histogram = np.zeros(256, dtype=np.int64)
    tally = ProgressCount(progress, "measuring", len(rows))
    for row in rows:
        try:
            image = preprocess(read_slice(manifest.resolve(row)).pixels, spec).image
        except InputError as error:
            raise ManifestError(f"statistics: {error}") from error
        histogram += np.bincount(image.ravel(), minlength=256)
        tally()
    mean, std = moments(histogram)
    return Statistics(
        mean=mean, std=std, slices=len(rows), manifest_sha256=manifest.sha256, preprocessing=spec
    )


def save_statistics(statistics: Statistics, path: Path) -> None:
    """Write as JSON."""
    write_whole(path, statistics.model_dump_json(indent=2) + "\n")


def load_statistics(path: Path) -> Statistics:
    """What `save_statistics` wrote; `ManifestError` where it cannot be read or is none."""
    try:
        return Statistics.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        raise ManifestError(f"{path}: expected saved statistics; {error}") from error


def verify_statistics(
    saved: Statistics, manifest: Manifest, progress: Progress | None = None
) -> Statistics:
    """Compute them again; `ManifestError` if the saved differ or are of another manifest."""
    if saved.manifest_sha256 != manifest.sha256:
        raise ManifestError(
            f"statistics: expected those of manifest {manifest.sha256[:12]}; "
            f"got those of {saved.manifest_sha256[:12]}"
        )
    again = compute_statistics(manifest, saved.preprocessing, progress)
    for name in ("mean", "std", "slices"):
        expected, got = getattr(again, name), getattr(saved, name)
        if not math.isclose(expected, got, rel_tol=0, abs_tol=_TOLERANCE):
            raise ManifestError(f"statistics: expected {name} {expected:.8g}; got {got:.8g}")
    return again


def moments(histogram: Ints) -> tuple[float, float]:
    """Exact mean and standard deviation from counts of the values 0 to 255, scaled by 255."""
    values = np.arange(256, dtype=np.float64) / 255
    share = histogram / histogram.sum()
    mean = float(values @ share)
    return mean, float(np.sqrt(((values - mean) ** 2) @ share))
