"""What `slicewise data audit` does and prints."""

from __future__ import annotations

import json
import os
from pathlib import Path

from slicewise.cli.out import require_folder
from slicewise.cli.progress import steps
from slicewise.data.build.config import BuildConfig
from slicewise.data.quality.audit import PAGE_NAME, Audit, audit_folders, audit_manifest
from slicewise.errors import ConfigError

_MOST_WORKERS = 4


def is_manifest(roots: list[Path]) -> bool:
    """Whether a manifest is to be audited, rather than folders.

    Args:
        roots: As given on the command line.

    Raises:
        ConfigError: If a manifest stands beside other roots.
    """
    tables = [root for root in roots if root.suffix.lower() in {".csv", ".parquet"}]
    if tables and len(roots) > 1:
        raise ConfigError(f"{tables[0]}: expected one manifest by itself, or folders")
    return bool(tables)


def run_audit(what: Path | BuildConfig, out: Path, *, as_json: bool) -> str:
    """Audit a manifest or folders, write the files, and return what to print.

    Args:
        what: A manifest, or the sources and rules of a build.
        out: Folder for the files.
        as_json: Everything, as JSON.

    Raises:
        ConfigError: If `out` is a file or would lie in one.
    """
    require_folder(out)
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    with steps() as progress:
        if isinstance(what, Path):
            audit = audit_manifest(what, workers, progress)
        else:
            audit = audit_folders(what, workers, progress)
        audit.write(out, progress)
    if as_json:
        return json.dumps(audit.as_json(), indent=1, ensure_ascii=False)
    return _in_words(audit, out)


def _in_words(audit: Audit, out: Path) -> str:
    lines = [f"{sentence.severity + ':':<9}{sentence.text}" for sentence in audit.sentences]
    return "\n".join([*lines, "", f"page: {out / PAGE_NAME}", f"files: {out}"])
