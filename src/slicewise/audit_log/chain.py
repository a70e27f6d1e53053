"""The arithmetic of a chain: what ties a row to the one before it, and where its key comes from.

Every row carries an HMAC-SHA256 (RFC 2104) over its table, its place, its content and the code of
the row before. Who does not hold the key cannot change, remove, insert or reorder rows without a
code that no longer fits. Nothing here knows a database.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slicewise.errors import AuditError, ConfigError

Values = Mapping[str, Any]  # a row but for `seq` and `mac`: text, numbers, booleans and None
LINK = frozenset({"seq", "mac"})  # columns that hold a row's place and code, not its content
SHORTEST_KEY = 32  # fewest characters of a key
_VARIABLE = "SLICEWISE_AUDIT_KEY"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chain ends: number and code of its last row; before the first, 0 and a code."""

    seq: int
    mac: str


class ChainKey:
    """The secret that codes are made with; kept out of `repr`, messages and the database."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = self._code(["slicewise audit key"])[:16]

    def beginning(self, chain: str) -> Place:
        """Where a chain without rows ends."""
        return Place(0, self._code(["beginning", chain]))

    def row_mac(self, chain: str, place: Place, values: Values) -> str:
        """Code of a row; without what is None, so that a new column changes no older code."""
        content = {
            name: value
            for name, value in sorted(values.items())
            if value is not None and name not in LINK
        }
        return self._code(["row", chain, place.seq, place.mac, content])

    def made(self, chain: str, before: Place, row: Values) -> bool:
        """Whether a row, as it was read, carries the code of its content and place."""
        try:
            return same(row["mac"], self.row_mac(chain, Place(row["seq"], before.mac), row))
        except (TypeError, ValueError):  # not finite, no text, no number: no code is made of it
            return False

    def sealed(self, chain: str, end: Place, seal: object) -> bool:
        """Whether a seal is that of where a chain ends, both as they were read."""
        try:
            return same(seal, self.seal(chain, end))
        except (TypeError, ValueError):
            return False

    def seal(self, chain: str, end: Place) -> str:
        """Code over where a chain ends, so that its end cannot be moved."""
        return self._code(["head", chain, end.seq, end.mac])

    def link(self, chain: str, end: Place, rows: Iterable[Values]) -> Iterator[dict[str, Any]]:
        """The next rows of a chain with `seq` and `mac`, each tied to the one before."""
        seq, mac = end.seq, end.mac
        for values in rows:
            seq += 1
            mac = self.row_mac(chain, Place(seq, mac), values)
            yield {**values, "seq": seq, "mac": mac}

    def _code(self, content: list[Any]) -> str:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def same(one: object, other: object) -> bool:
    """Whether both are text and equal, in time that does not depend on where they differ."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    return hmac.compare_digest(*(code.encode("utf-8", "surrogatepass") for code in (one, other)))


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Which database holds the audit log, and how it is kept."""

    database_url: str  # SQLAlchemy URL, `sqlite:///FILE` or `postgresql://...`
    key: str | None = field(default=None, repr=False)  # None: it stands beside the file of SQLite
    retention_days: int | None = None  # older predictions are deleted; None to keep all


def chain_key(settings: AuditSettings, file: Path | None, *, may_make: bool) -> ChainKey:
    """The key of the chains: the one that was set, else the one beside the file of SQLite.

    Args:
        may_make: Make one there if none is found; only for a database that holds nothing yet.

    Raises:
        ConfigError: If it is too short.
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
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise AuditError(f"{path}: the key cannot be written; {error.strerror}") from None
