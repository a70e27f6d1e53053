"""What an operator may set; the one place that reads the environment."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from slicewise.audit_log.chain import AuditSettings
from slicewise.config import expected
from slicewise.errors import ConfigError

PREFIX = "SLICEWISE_"
MEBIBYTE = 2**20

NOT_SETTINGS = ("SLICEWISE_DATA",)
"""Variables with the prefix that are no settings: the tests find real data by it."""

_ORIGIN = re.compile(r"https?://[^/\s?#@]+")
_PATH = re.compile(r"(/[\w~-][\w.~-]*)+", re.ASCII)
_SECRET = re.compile(r"(?<=:).*(?=@)|(?<=password=)[^&\s]*")
"""What may be the password in an address, of whatever form."""

ROUTES = (
    *("api", "classify_batch", "classify_slice", "classify_with_gradcam", "docs", "health"),
    *("healthz", "metrics", "model", "openapi.json", "page", "predict", "readyz", "redoc", "v1"),
)
"""How paths of routes begin; below such a prefix nobody could tell whether a proxy took it off."""

_ALIKE = 0.8  # share of a name from which it is taken for a misspelt one


class Settings(BaseSettings):
    """Read from variables that begin with `SLICEWISE_`; what is given to it comes first."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Processes that answer.")
    bundle: Path | None = Field(None, description="Folder or zip; the bundled model by default.")
    threads: int = Field(1, ge=1, le=256, description="Threads within one forward pass.")

    challenger: Path | None = Field(None, description="A second bundle to try.")
    challenger_share: float = Field(
        0.0, ge=0, le=1, description="Share of inputs the challenger answers; 0 runs it in shadow."
    )

    batch_size: int = Field(8, ge=1, le=256, description="Most slices in one forward pass.")
    batch_patience_ms: float = Field(3.0, ge=0, le=1000, description="Wait for a batch to fill.")
    queue_size: int = Field(256, ge=1, description="Most slices that wait; more is answered 503.")

    max_upload_bytes: int = Field(
        64 * MEBIBYTE, ge=1024, description="Largest body of a request; more is answered 413."
    )
    max_files: int = Field(50, ge=1, description="Most files in one request.")
    page_max_bytes: int = Field(
        32 * MEBIBYTE, ge=MEBIBYTE, description="Most bytes of pixels in one answer of /v1/read."
    )
    body_timeout_s: float = Field(30.0, gt=0, description="Longest wait for a whole body.")
    request_timeout_s: float = Field(60.0, gt=0, description="Longest wait for an answer.")
    drain_s: float = Field(20.0, ge=0, description="Longest wait for open requests at the end.")

    database_url: str = Field(
        "sqlite:///slicewise.db", description="SQLAlchemy URL: SQLite or PostgreSQL."
    )
    audit_key: SecretStr | None = Field(
        None, description="Key of the HMAC chain; without one a key is made beside SQLite."
    )
    retention_days: int | None = Field(None, ge=1, description="Older predictions are pruned.")

    data_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders that evaluation and samples may read, separated by colons."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of other pages that may call, separated by commas."
    )
    rate_limit: int = Field(600, ge=0, description="Requests a minute for one key; 0 is no limit.")
    tls_certificate: Path | None = Field(None, description="PEM; serves HTTPS.")
    tls_key: Path | None = Field(None, description="PEM of its private key.")
    trusted_proxy: str | None = Field(
        None, description="Address of the proxy that ends TLS before this service."
    )
    root_path: str = Field("", description="Path at which a proxy shows this service.")
    reload: bool = Field(False, description="Restart when its code changes; for development.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def audit_log(self) -> AuditSettings:
        key = None if self.audit_key is None else self.audit_key.get_secret_value()
        return AuditSettings(self.database_url, key, self.retention_days)

    @field_validator("data_roots", "cors_origins", mode="before")
    @classmethod
    def _parts(cls, given: object, info: ValidationInfo) -> object:
        """A text as its parts; anything else as it is."""
        if not isinstance(given, str):
            return given
        parts = given.split(":" if info.field_name == "data_roots" else ",")
        return tuple(part.strip() for part in parts if part.strip())

    @field_validator("database_url")
    @classmethod
    def _of_a_known_kind(cls, given: str) -> str:
        try:
            url = make_url(given)
            kind, sqlite = url.get_backend_name(), url.database not in (None, "", ":memory:")
        except (ArgumentError, ValueError):  # ValueError: of the port
            kind, sqlite = "", False
        if kind not in ("postgresql", "postgres") and (kind != "sqlite" or not sqlite):
            raise ValueError(
                "expected sqlite:///FILE or postgresql://USER@HOST/NAME, such as "
                f"sqlite:///slicewise.db; got {_SECRET.sub('***', given)}"
            )
        return given

    @field_validator("root_path")
    @classmethod
    def _path(cls, given: str) -> str:
        path = given.rstrip("/")
        if path and not _PATH.fullmatch(path):
            raise ValueError(f"expected a path such as /slicewise; got {given}")
        if path.split("/")[1:2] in ([one] for one in ROUTES):
            raise ValueError(f"expected a path that begins as no route does; got {given}")
        return path

    @field_validator("cors_origins")
    @classmethod
    def _named(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in given:
            raise ValueError("expected origins such as https://viewer.example, got *: any page")
        if wrong := [one for one in given if not _ORIGIN.fullmatch(one)]:
            raise ValueError(
                "expected origins such as https://viewer.example, without a path; "
                f"got {', '.join(wrong)}"
            )
        return given

    @model_validator(mode="after")
    def _one_process_that_is_restarted(self) -> Settings:
        if self.reload and self.workers > 1:
            raise ValueError(
                f"{PREFIX}RELOAD or --reload: expected one worker beside it, got {self.workers}"
            )
        return self

    @model_validator(mode="after")
    def _share_of_somebody(self) -> Settings:
        if self.challenger_share and self.challenger is None:
            raise ValueError(
                f"{PREFIX}CHALLENGER_SHARE: expected {PREFIX}CHALLENGER beside it, got none"
            )
        return self


def read_settings(**given: object) -> Settings:
    """Settings from the environment, with what is given in their place.

    Raises:
        ConfigError: A value is not as expected, or a variable has nearly the name of a setting;
            names the variable, never a secret value.
    """
    _require_known(os.environ)
    try:
        known = {name: value for name, value in given.items() if value is not None}
        return Settings.model_validate(known)
    except ValidationError as error:
        raise ConfigError("; ".join(map(_in_words, error.errors()))) from None


def _in_words(error: ErrorDetails) -> str:
    name = str(error["loc"][0]) if error["loc"] else ""
    where = f"{PREFIX}{name.upper()}{' or --database' if name == 'database_url' else ''}: "
    return f"{where if name else ''}{expected(error)}"


def _require_known(names: Iterable[str]) -> None:
    known = [field.upper() for field in Settings.model_fields]
    for name in sorted(names):
        bare = name.upper().removeprefix(PREFIX)
        if bare == name.upper() or bare in known or name.upper() in NOT_SETTINGS:
            continue
        alikes = difflib.get_close_matches(bare, known, 1, _ALIKE)
        for alike in alikes or [one for one in known if _is_part_or_mixed(bare, one)][:1]:
            raise ConfigError(f"{name}: there is no such setting; expected {PREFIX}{alike}?")


def _is_part_or_mixed(bare: str, known: str) -> bool:
    """Whether a name is the beginning of a known one, or has its letters in another order."""
    return (len(bare) > 3 and known.startswith(bare)) or sorted(bare) == sorted(known)
