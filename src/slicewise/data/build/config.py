"""What to build a manifest from, and how: given on the command line or in one YAML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from slicewise.config import nearest, problems
from slicewise.data.annotations import TableSpec, require_pattern
from slicewise.data.tasks import normal_name
from slicewise.errors import ConfigError

STAR = "*"


class MaskSpec(BaseModel):
    """Which files of a source are volumes, where their masks are and what a mask means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    volume: str = Field(description="Path of a volume below the root, with one *.")
    mask: str = Field(description="Path of its mask; * stands for what it stood for there.")
    label: str = Field(description="Class of a slice with tumor.")
    minimum_voxels: int = Field(
        20, ge=1, description="Tumor voxels from which on a slice has the label."
    )

    @field_validator("volume", "mask")
    @classmethod
    def _one_star(cls, pattern: str) -> str:
        """One star, or else there is no telling which mask belongs to which volume."""
        if pattern.count(STAR) != 1:
            raise ValueError(f"expected a path with one {STAR}; got {pattern!r}")
        return pattern

    def mask_of(self, volume: PurePath) -> PurePath | None:
        """Where the mask of a volume should be, both from the root; None for what is no volume."""
        path = volume.as_posix()
        before, after = self.volume.split(STAR)
        fits = path.startswith(before) and path.endswith(after)
        if not fits or len(path) < len(before) + len(after):
            return None
        return PurePath(self.mask.replace(STAR, path[len(before) : len(path) - len(after)]))


class SourceConfig(BaseModel):
    """One folder of slices and what is known of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(description="Folder of class folders, perhaps below train, val and test.")
    name: str | None = Field(None, description="Name of the data set; default the folder's.")
    skip: tuple[str, ...] = Field((), description="Class folders to leave out.")
    table: TableSpec | None = Field(None, description="Patients, groups, folds by slice.")
    pattern: str | None = Field(
        None, description="Regular expression on the path: (?P<patient>...), (?P<group>...)."
    )
    masks: MaskSpec | None = Field(
        None, description="Labels by tumor masks of volumes, instead of by class folders."
    )
    untyped: bool = Field(
        False, description="Keep slices of a tumor whose type is not told, for training only."
    )

    @field_validator("pattern")
    @classmethod
    def _pattern_names_groups(cls, text: str | None) -> str | None:
        return text and require_pattern(text)

    @model_validator(mode="after")
    def _masks_know_no_class_folders(self) -> Self:
        """Where masks give the labels there is no class folder to skip."""
        if self.masks is not None and self.skip:
            raise ValueError("skip: expected no masks beside it, which need no class folders")
        return self

    @property
    def has_folds(self) -> bool:
        """Whether a column or the pattern gives folds."""
        by_column = self.table is not None and self.table.fold_column is not None
        return by_column or "(?P<fold>" in (self.pattern or "")


class BuildConfig(BaseModel):
    """Everything that decides what a manifest holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[SourceConfig, ...] = Field(min_length=1, description="Data sets.")
    task: str = Field("four_class", description="four_class, three_class, binary or a class list.")
    aliases: dict[str, str] = Field({}, description="Further folder names, each with its class.")
    copies: Literal["all", "one"] = Field(
        "all", description="Keep all copies of a slice (in one group), or only the largest."
    )
    published_splits: bool = Field(False, description="Keep the split folders as boundaries.")
    test_fold: str | None = Field(None, description="Fold to test on; default the first.")
    val_fold: str | None = Field(None, description="Fold to validate on; default the next.")
    on_conflict: Literal["refuse", "drop", "move"] = Field(
        "refuse", description="What to do where a group stands in several folds."
    )
    seed: int = Field(42, description="Of the order in which groups are dealt.")
    known: bool = Field(True, description="Recognise known public slices and their patients.")
    known_conflicts: Literal["drop", "keep"] = Field(
        "drop", description="Known slices whose published labels contradict each other."
    )

    _in_file: bool = False

    @property
    def fold_column(self) -> str:
        """Name of the manifest's column that keeps the fold: the user's own."""
        named = (source.table.fold_column for source in self.sources if source.table)
        return next((name for name in named if name), "fold")

    def wording_of(self, field: str) -> str:
        """How a field is set where this was given, up to its value: by an option or by a key."""
        return f"{field}: " if self._in_file else f"--{field.replace('_', '-')} "

    def require_met(self, folders: Sequence[set[str]]) -> None:
        """`ConfigError` where a name to skip, or an alias, is no class folder's; names the nearest.

        `folders` are those of each source; the options of a command line are for any of them.
        """
        everywhere = set[str]().union(*folders)
        named = [("alias", name, everywhere) for name in self.aliases]
        for source, own in zip(self.sources, folders, strict=True):
            named += [("skip", name, own if self._in_file else everywhere) for name in source.skip]
        for key, name, met in named:
            if normal_name(name) not in map(normal_name, met):
                known = f"one of {', '.join(sorted(met))}" if met else "but there is none"
                close = f" (nearest: {nearest(name, met)})" if met else ""
                raise ConfigError(f"{key} {name!r}: expected a class folder, {known}{close}")

    @model_validator(mode="after")
    def _folds_go_together(self) -> Self:
        """No two kinds of folds, and nothing that would have no effect, which is a mistake."""
        folds = any(source.has_folds for source in self.sources)
        if self.published_splits and folds:
            raise ValueError(
                "published_splits: expected no folds by a column or pattern beside it; drop one"
            )
        if not folds and (self.test_fold is not None or self.val_fold is not None):
            raise ValueError(
                "test_fold, val_fold: expected folds by fold_column or (?P<fold>...); got none"
            )
        if "on_conflict" in self.model_fields_set and not (folds or self.published_splits):
            raise ValueError("on_conflict: expected folds or published_splits beside it; got none")
        if "known_conflicts" in self.model_fields_set and not self.known:
            raise ValueError("known_conflicts: expected known: true beside it; got false")
        if "seed" in self.model_fields_set and folds:
            raise ValueError("seed: expected no folds beside it, which leave nothing to draw")
        return self


def read_build_config(path: Path, base: Path | None = None) -> BuildConfig:
    """Read a YAML file; roots start from `base`, or else from the file's own folder.

    Tables are looked for beside the file, then below their root. `ConfigError` as `validated`.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected a YAML file; {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys {', '.join(BuildConfig.model_fields)}")
    config = validated(content, str(path))
    roots = base or path.parent
    sources = []
    for source in config.sources:
        table = source.table
        if table is not None and (path.parent / table.path).is_file():
            table = table.model_copy(update={"path": path.parent / table.path})
        sources.append(source.model_copy(update={"root": roots / source.root, "table": table}))
    config = config.model_copy(update={"sources": tuple(sources)})
    config._in_file = True
    return config


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
    """From one YAML file, or folders with options; `ConfigError` where one has no effect."""
    files = [root for root in roots if root.suffix.lower() in {".yaml", ".yml"}]
    if files and len(roots) > 1:
        raise ConfigError(f"{files[0]}: expected one YAML of sources by itself, or folders")
    if files:
        given = {name: value for name, value in rules.items() if value is not None}
        keys = [f"{name}: {json.dumps(value)}" for name, value in given.items()]
        lists = {"aliases": aliases, "skip": skip, "pattern": pattern}
        keys += [name for name in lists if lists[name]]
        if any(value is not None for value in table.values()):
            keys.append("table (of a source)")
        if keys:
            raise ConfigError(
                f"{files[0]}: expected no options beside a YAML but --base and --out; put these "
                f"into the file as keys: {', '.join(keys)}"
            )
        return read_build_config(files[0], base)
    if base is not None:
        raise ConfigError("--base goes with a YAML file of sources only")
    return config_of(roots, skip=skip, table=table, pattern=pattern, aliases=aliases, **rules)


def config_of(
    roots: Sequence[Path],
    *,
    skip: Sequence[str] = (),
    table: Mapping[str, str | None] | None = None,
    pattern: str | None = None,
    aliases: Sequence[str] = (),
    **rest: str | int | bool | None,
) -> BuildConfig:
    """A configuration from command-line options, the same table and pattern for every root.

    The table's values are fields of `TableSpec`, the rest further fields of `BuildConfig`; None
    means the default. Each alias is `folder=class`. `ConfigError` where a value is off.
    """
    columns = {name: value for name, value in (table or {}).items() if value is not None}
    if columns and not columns.get("path"):
        names = ", ".join(columns)
        raise ConfigError(f"{names}: expected a table whose columns these are; got none")
    folders = {}
    for alias in aliases:
        folder, _, class_ = alias.partition("=")
        if not (folder and class_):
            raise ConfigError(f"alias {alias!r}: expected folder=class")
        folders[folder] = class_
    source = {"skip": tuple(skip), "table": columns or None, "pattern": pattern}
    content = {
        "sources": [{"root": root, **source} for root in roots],
        "aliases": folders,
        **{name: value for name, value in rest.items() if value is not None},
    }
    return validated(content, "options")


def validated(content: dict[str, Any], name: str) -> BuildConfig:
    """Check plain values as of a YAML; `ConfigError` begins with `name`, names the nearest key."""
    try:
        return BuildConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{name}: " + "; ".join(problems(error, BuildConfig))) from error
