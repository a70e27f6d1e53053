"""`slicewise keys`: who may call the service."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slicewise.cli.options import AsJson, Database, show, show_json

if TYPE_CHECKING:
    from slicewise.audit_log.keys import Key, KeyStore

RoleName = Literal["predict", "review", "admin"]
Name = Annotated[str, typer.Argument(help="The name of the caller in the audit database.")]

keys = typer.Typer(help="Create, list and revoke API keys of the service.", no_args_is_help=True)


@keys.command("create")
def keys_create(
    name: Name,
    role: Annotated[RoleName, typer.Option(help="What the key may do.")] = "predict",
    database: Database = None,
) -> None:
    """Create a key and print its secret. It is shown only this once."""
    from slicewise.audit_log.keys import Role

    with _opened(database, create=True) as store:
        secret = store.create(name, Role(role))
    show(f"Key {name} ({role}). This is the only time its secret is shown.", err=True)
    show(secret)


@keys.command("list")
def keys_list(database: Database = None, json_: AsJson = False) -> None:
    """List all keys, also revoked ones, without their secrets."""
    with _opened(database, create=False) as store:
        rows = [_shown(key) for key in store.list()]
    if json_:
        show_json({"keys": rows})
        return
    for row in rows:
        state = f"revoked {row['revoked']}" if row["revoked"] else "in force"
        show(f"{row['name']}  {row['role']}  created {row['created']}  {state}")


@keys.command("revoke")
def keys_revoke(name: Name, database: Database = None) -> None:
    """Revoke a key. Running services refuse it within a second."""
    with _opened(database, create=False) as store:
        store.revoke(name)
    show(f"Key {name} is revoked.", err=True)


def _opened(database: str | None, *, create: bool) -> closing[KeyStore]:
    from slicewise.audit_log.keys import KeyStore
    from slicewise.service.settings import read_settings

    return closing(KeyStore.open(read_settings(database_url=database).audit_log, create=create))


def _shown(key: Key) -> dict[str, str | None]:
    ended = None if key.revoked is None else f"{key.revoked:%Y-%m-%dT%H:%M:%SZ}"
    created = f"{key.created:%Y-%m-%dT%H:%M:%SZ}"
    return {"name": key.name, "role": key.role.value, "created": created, "revoked": ended}
