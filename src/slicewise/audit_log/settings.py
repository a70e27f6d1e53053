"""What an operator sets for the audit log, and the key of its chains."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from slicewise.audit_log.chain import ChainKey
from slicewise.errors import AuditError, ConfigError

SHORTEST_KEY = 32
"""Fewest characters of a key."""

_VARIABLE = "SLICEWISE_AUDIT_KEY"


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Which database holds the audit log, and how it is kept.

    Args:
        database_url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql://...`.
        key: Secret of the chains; None for the one that stands beside a file of SQLite.
        retention_days: Older predictions are deleted; None to keep all.
    """

    database_url: str
    key: str | None = field(default=None, repr=False)
    retention_days: int | None = None


def chain_key(settings: AuditSettings, file: Path | None, *, may_make: bool) -> ChainKey:
    """The key of the chains: the one that was set, else the one in `FILE.key`.

    Args:
        file: The file of SQLite; None for another database.
        may_make: Make a key there if none is found. Only for a database that holds nothing yet.

    Raises:
        ConfigError: If the key is too short.
        AuditError: If there is none.
    """
    if settings.key is not None:
        return ChainKey(_long_enough(settings.key, _VARIABLE))
    if file is None:
        raise AuditError(f"PostgreSQL: expected the key of the audit log in {_VARIABLE}; got none")
    path = file.with_name(file.name + ".key")
    if may_make and not path.exists():
        _make(path)
    return ChainKey(_long_enough(_read(path), str(path)))


def _long_enough(text: str, where: str) -> bytes:
    if len(text) < SHORTEST_KEY:
        raise ConfigError(f"{where}: expected at least {SHORTEST_KEY} characters; got {len(text)}")
    return text.encode()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(
            f"expected the key of the audit log in {_VARIABLE} or {path}; {error}"
        ) from None


def _make(path: Path) -> None:
    """Write a new key whole or not at all; where another process was first, its key stays."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise AuditError(f"{path}: the key cannot be written; {error.strerror}") from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
