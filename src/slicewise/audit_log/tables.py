"""The tables of the audit database, as the newest migration leaves them.

Times are ISO 8601 text in UTC with six decimals: it sorts as time does and reads back to the same
bytes on every database, which a chain over the rows needs. Lists and mappings are JSON text.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

REVISION = "0002"
"""The newest migration: what `alembic_version` must hold."""

METADATA = MetaData()

_SEQ = BigInteger().with_variant(Integer, "sqlite")


def _link() -> tuple[Column[int], Column[str]]:
    """What makes a row a link of a chain: its place and its code."""
    return (
        Column("seq", _SEQ, primary_key=True, autoincrement=False),
        Column("mac", Text, nullable=False),
    )


PREDICTIONS = Table(
    "predictions",
    METADATA,
    *_link(),
    Column("id", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("input_sha256", Text, nullable=False),
    Column("slice_index", Integer),
    Column("arm", Text, nullable=False),
    Column("bundle_name", Text, nullable=False),
    Column("bundle_version", Text, nullable=False),
    Column("bundle_sha256", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("probabilities", Text, nullable=False),
    Column("tumor_probability", Double),
    Column("tumor_flag", Boolean),
    Column("threshold", Double),
    Column("prediction_set", Text),
    Column("decision", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("summary", Text, nullable=False),
    Column("distance", Double),
    Column("shadow_of", Text),
    Index("ix_predictions_id", "id", unique=True),
    Index("ix_predictions_created", "created"),
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    *_link(),
    Column("id", Text, nullable=False),
    Column("prediction_id", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("agree", Boolean, nullable=False),
    Column("label", Text),
    Column("note", Text),
    Index("ix_feedback_id", "id", unique=True),
    Index("ix_feedback_prediction_id", "prediction_id"),
    Index("ix_feedback_created", "created"),
)

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    *_link(),
    Column("created", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Column("through_seq", BigInteger, nullable=False),
    Column("through_mac", Text, nullable=False),
    Column("pruned", BigInteger, nullable=False),
    Column("oldest", Text, nullable=False),
    Column("newest", Text, nullable=False),
)

HEADS = Table(
    "heads",
    METADATA,
    Column("chain", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("mac", Text, nullable=False),
    Column("seal", Text, nullable=False),
    Column("key_id", Text, nullable=False),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("public_id", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("revoked", Text),
    Index("ix_api_keys_public_id", "public_id", unique=True),
)

CHAINED = {table.name: table for table in (PREDICTIONS, FEEDBACK, CHECKPOINTS)}
"""The tables that are chains, in the order in which their heads are locked."""
