"""What the `slicewise data` commands do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from slicewise.cli.out import require_table
from slicewise.cli.progress import steps
from slicewise.data.build.build import build
from slicewise.data.build.config import BuildConfig, config_of, read_build_config
from slicewise.data.manifest import Manifest
from slicewise.data.statistics import (
    compute_statistics,
    load_statistics,
    save_statistics,
    verify_statistics,
)
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
    files = [root for root in roots if root.suffix.lower() in {".yaml", ".yml"}]
    if files and len(roots) > 1:
        raise ConfigError(f"{files[0]}: expected one YAML of sources by itself, or folders")
    if files:
        lists = {"aliases": aliases, "skip": skip, "pattern": pattern}
        _require_no_options(files[0], table, rules, [name for name in lists if lists[name]])
        return read_build_config(files[0], base)
    if base is not None:
        raise ConfigError("--base goes with a YAML file of sources only")
    return config_of(roots, skip=skip, table=table, pattern=pattern, aliases=aliases, **rules)


def _require_no_options(
    file: Path,
    table: Mapping[str, str | None],
    rules: Mapping[str, str | int | bool | None],
    more: Sequence[str],
) -> None:
    """A YAML file is not changed by options; the error names the keys that take their place."""
    keys = [f"{name}: {json.dumps(value)}" for name, value in rules.items() if value is not None]
    keys += more
    if any(value is not None for value in table.values()):
        keys.append("table (of a source)")
    if keys:
        raise ConfigError(
            f"{file}: expected no options beside a YAML but --base and --out; put these into the "
            f"file as keys: {', '.join(keys)}"
        )


def run_build(config: BuildConfig, out: Path) -> str:
    """Build and write a manifest; returns the report in words."""
    require_table(out)
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
