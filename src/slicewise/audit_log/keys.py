"""API keys: created, listed and revoked; the database holds their hashes only.

A secret is 256 random bits, so one SHA-256 keeps it: there is nothing to guess, and a slow hash
would only slow every request down.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import insert, select, update

from slicewise.audit_log.chain import AuditSettings
from slicewise.audit_log.database import Database
from slicewise.audit_log.log import open_database
from slicewise.audit_log.tables import API_KEYS, moment, now, stamp
from slicewise.errors import AuditError, ConfigError

REFRESH_S = 1.0  # how far what is known of the keys may lag behind the database, seconds
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SECRET = re.compile(r"sw_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_RESERVED = "open"
_NO_HASH = "0" * 64
_log = logging.getLogger(__name__)


class Role(StrEnum):
    """What a key may do; each role may do all that the one before it may."""

    PREDICT = "predict"
    REVIEW = "review"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Whether this role may do what asks for `needed`."""
        return list(Role).index(self) >= list(Role).index(needed)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret; times are in UTC."""

    name: str
    role: Role
    created: datetime
    revoked: datetime | None  # None while it is good


class KeyStore:
    """API keys in the audit database; safe to use from several threads; made by `open`.

    Every method raises AuditError where the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Key, str]] = {}
        self._read_at: float | None = None
        self._fault: str | None = None

    @classmethod
    def open(cls, settings: AuditSettings, *, create: bool = True) -> KeyStore:
        """Open the database as `open_database` does, without the key of the chains."""
        return cls(open_database(settings, create=create))

    def create(self, name: str, role: Role) -> str:
        """Make a key and give its secret, which nobody can read again.

        Raises:
            ConfigError: If the name is of another form than 1 to 64 letters, digits, dots, dashes
                or underscores, or was used before: the audit database names callers by it.
        """
        if not _NAME.fullmatch(name) or name == _RESERVED:
            raise ConfigError(
                f"key: expected a name of 1 to 64 letters, digits and . _ -, not {_RESERVED!r}; "
                f"got {name!r}"
            )
        public_id = secrets.token_hex(6)
        secret = f"sw_{public_id}_{secrets.token_urlsafe(32)}"
        row = {"name": name, "public_id": public_id, "role": role.value, "created": stamp(now())}
        with self._database.writing() as connection:
            taken = select(API_KEYS.c.name).where(API_KEYS.c.name == name)
            if connection.execute(taken).first() is not None:
                raise ConfigError(f"key: expected a name that no key ever had; got {name!r}")
            connection.execute(insert(API_KEYS).values(secret_sha256=_sha256(secret), **row))
        self._forget()
        return secret

    def find(self, secret: str) -> Key | None:
        """The key that a secret belongs to; None where there is none or it is revoked.

        The secret names its key by a public part; the rest is compared in constant time. The
        answer comes from memory, at most a second behind the database; where that fails, nobody is
        let in on old knowledge.
        """
        form = _SECRET.fullmatch(secret)
        try:
            known = self._fresh().get(form[1]) if form else None
        except AuditError as error:
            _log.error("audit database: %s", error)
            raise
        key, expected = known or (None, _NO_HASH)
        fits = hmac.compare_digest(_sha256(secret), expected)
        return key if key is not None and fits and key.revoked is None else None

    def list(self) -> tuple[Key, ...]:
        """All keys, revoked ones included, by name."""
        return tuple(sorted((key for key, _ in self._read().values()), key=lambda key: key.name))

    def revoke(self, name: str) -> None:
        """End a key; running services refuse it within a second.

        Raises:
            ConfigError: If no key in force has that name.
        """
        in_force = (API_KEYS.c.name == name) & API_KEYS.c.revoked.is_(None)
        with self._database.writing() as connection:
            ending = update(API_KEYS).where(in_force).values(revoked=stamp(now()))
            if connection.execute(ending).rowcount == 0:
                raise ConfigError(f"key: expected the name of a key in force; got {name!r}")
        self._forget()

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    def _fresh(self) -> dict[str, tuple[Key, str]]:
        """Keys and hashes by public part, read again where that was too long ago."""
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at > REFRESH_S:
                try:
                    self._known, self._fault = self._read(), None
                except AuditError as error:  # who waits at the lock need not try again
                    self._fault = str(error)
                self._read_at = time.monotonic()
            if self._fault is not None:
                raise AuditError(self._fault)
            return self._known

    def _forget(self) -> None:
        with self._lock:
            self._read_at = None

    def _read(self) -> dict[str, tuple[Key, str]]:
        with self._database.reading() as connection:
            rows = connection.execute(select(API_KEYS)).mappings().all()
        known = {}
        for row in rows:
            revoked = None if row["revoked"] is None else moment(row["revoked"])
            key = Key(row["name"], Role(row["role"]), moment(row["created"]), revoked)
            known[row["public_id"]] = key, row["secret_sha256"]
        return known


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
