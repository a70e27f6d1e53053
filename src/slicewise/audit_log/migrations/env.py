"""How Alembic reaches the database: within the transaction that `log.py` hands it."""

from __future__ import annotations

from alembic import context

from slicewise.audit_log.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
