"""Where a command may write, asked before the work and not after it."""

from __future__ import annotations

from pathlib import Path

from slicewise.data.tables import is_parquet
from slicewise.errors import ConfigError


def require_folder(folder: Path) -> None:
    """A folder that is there or can be made.

    Args:
        folder: To write into.

    Raises:
        ConfigError: If it, or what it would lie in, is a file.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None)
    if there is not None and not there.is_dir():
        raise ConfigError(f"--out {folder}: expected a folder, got a file at {there}")


def require_table(table: Path) -> None:
    """A table that can be written where it is wanted.

    Args:
        table: To write.

    Raises:
        ManifestError: If its suffix is neither `.csv` nor `.parquet`.
        ConfigError: If it is a folder, or what it would lie in is a file.
    """
    is_parquet(table)
    if table.is_dir():
        raise ConfigError(f"--out {table}: expected a file, got a folder")
    require_folder(table.absolute().parent)
