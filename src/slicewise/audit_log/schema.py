"""Bringing a database to the newest tables, once, however many processes start together."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from slicewise.audit_log.database import Database
from slicewise.audit_log.tables import REVISION
from slicewise.errors import AuditError

MIGRATIONS = Path(__file__).parent / "migrations"


def bring_up_to_date(database: Database) -> None:
    """Create or migrate the tables; a database that is up to date is only looked at.

    Raises:
        AuditError: If the database fails, or was written by a newer SliceWise.
    """
    with database.reading() as connection:
        if revision_of(connection) == REVISION:
            return
    with database.setting_up() as connection:
        _upgrade(connection, database.name)


def revision_of(connection: Connection) -> str | None:
    """The migration that a database stands at; None where there was none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: Connection, name: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = revision_of(connection)
    if found is not None and found not in known:
        raise AuditError(
            f"{name}: expected tables of revision {REVISION} or before; got {found}, "
            "which a newer SliceWise wrote"
        )
    command.upgrade(config, "head")
