"""The secret of the chain: given by the operator, or made once beside a file of SQLite."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from slicewise.audit_log.chain import ChainKey
from slicewise.audit_log.database import Database
from slicewise.errors import AuditError, ConfigError
from slicewise.service.settings import Settings

SHORTEST = 32
"""Fewest characters of a key."""

_VARIABLE = "SLICEWISE_AUDIT_KEY"


def audit_key(settings: Settings, database: Database, *, may_make: bool) -> ChainKey:
    """The key of a database.

    Args:
        settings: Its `audit_key` comes first.
        database: Where it is SQLite, the key may stand beside it, in `FILE.key`.
        may_make: Make one there if none is found. Only for a database that holds nothing yet.

    Raises:
        ConfigError: If the key given is too short.
        AuditError: If there is none.
    """
    if settings.audit_key is not None:
        return ChainKey(_long_enough(settings.audit_key.get_secret_value(), _VARIABLE))
    if database.file is None:
        raise AuditError(f"{database.name}: expected its key in {_VARIABLE}; got none")
    path = key_file(database.file)
    if may_make and not path.exists():
        _make(path)
    return ChainKey(_long_enough(_read(path), str(path)))


def key_file(database_file: Path) -> Path:
    """Where the key of a file of SQLite stands."""
    return database_file.with_name(database_file.name + ".key")


def _long_enough(text: str, where: str) -> bytes:
    if len(text) < SHORTEST:
        raise ConfigError(f"{where}: expected at least {SHORTEST} characters; got {len(text)}")
    return text.encode()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(
            f"expected the key of the chain in {_VARIABLE} or {path}; {error}"
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
