"""What `slicewise evaluate` checks before it starts to work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.tasks import normal_name
from slicewise.errors import ConfigError, ManifestError


def require_manifest(path: Path) -> None:
    """Refuse a folder where a manifest is wanted.

    Raises:
        ManifestError: Says how to make a manifest of the folder.
    """
    if path.is_dir():
        raise ManifestError(
            f"{path}: expected a manifest, .csv or .parquet; got a folder; `slicewise data build "
            f"{path} --out manifest.csv` makes one of it"
        )


def require_labels(names: Iterable[str], manifest: Manifest) -> None:
    """Refuse to explain a label that no row has.

    Args:
        names: That `--map` explains.
        manifest: All splits of it.

    Raises:
        ConfigError: Names the labels there are.
    """
    there = sorted({row.label for row in manifest.rows})
    known = {normal_name(label) for label in there}
    for name in names:
        if normal_name(name) not in known:
            raise ConfigError(
                f"--map {name}: expected a label of the manifest, one of {', '.join(there)}"
            )


def require_places(limit: int, rows: Sequence[ManifestRow]) -> None:
    """Refuse a sample with fewer places than classes.

    Args:
        limit: Places.
        rows: To sample from, labels as the evaluation reads them.

    Raises:
        ConfigError: Names the option and the classes.
    """
    classes = sorted({row.label for row in rows})
    if limit < len(classes):
        raise ConfigError(
            f"--limit {limit}: expected at least {len(classes)}, a slice of each class "
            f"({', '.join(classes)})"
        )
