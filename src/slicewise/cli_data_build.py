"""What the `slicewise data` commands do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from slicewise.cli_progress import steps
from slicewise.data.build import build
from slicewise.data.build_config import BuildConfig, config_of, read_build_config
from slicewise.data.manifest import Manifest
from slicewise.data.statistics import (
    compute_statistics,
    load_statistics,
    save_statistics,
    verify_statistics,
)
from slicewise.data.tables import is_parquet
from slicewise.errors import ConfigError
from slicewise.imaging.preprocess import PreprocessSpec

Mode = Literal["save", "verify", "display"]


def build_config(
    roots: Sequence[Path],
    base: Path | None,
    table: Mapping[str, str | None],
    rules: Mapping[str, str | int | bool | None],
    *,
    aliases: Sequence[str],
    skip: Sequence[str],
    pattern: str | None,
) -> BuildConfig:
    """What `data build` is to do: one YAML file by itself, or folders with options.

    Raises:
        ConfigError: A YAML file is mixed with options, or an option would change nothing.
    """
    if len(roots) == 1 and roots[0].suffix in {".yaml", ".yml"}:
        given = [name for name, value in {**table, **rules}.items() if value is not None]
        if given or aliases or skip or pattern:
            raise ConfigError(f"{roots[0]}: put options into the file, only --base goes with it")
        return read_build_config(roots[0], base)
    if base is not None:
        raise ConfigError("--base goes with a YAML file of sources only")
    return config_of(roots, skip=skip, table=table, pattern=pattern, aliases=aliases, **rules)


def run_build(config: BuildConfig, out: Path) -> str:
    """Build and write a manifest; returns the report in words."""
    is_parquet(out)  # a wrong suffix should not show after minutes of work
    with steps() as progress:
        built = build(config, progress)
    built.write(out)
    left_out = out.with_suffix(".excluded.csv")
    return f"{built.report.summary()}\n\nmanifest: {out}\nleft out: {left_out}"


def run_stats(manifest: Path, mode: Mode, size: int) -> str:
    """Save, verify or show mean and standard deviation of the training split.

    Args:
        manifest: CSV or Parquet; the figures lie beside it as `NAME.stats.json`.
        mode: What to do.
        size: Side of the preprocessed square, for `save`.
    """
    path = manifest.with_suffix(".stats.json")
    if mode == "display":
        return load_statistics(path).summary()
    with steps() as progress:
        rows = Manifest.read(manifest)
        if mode == "verify":
            return verify_statistics(load_statistics(path), rows, progress).summary() + "\nverified"
        found = compute_statistics(rows, PreprocessSpec(size=size), progress)
    save_statistics(found, path)
    return f"{found.summary()}\nsaved: {path}"
