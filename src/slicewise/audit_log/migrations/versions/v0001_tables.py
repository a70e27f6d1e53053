"""The first tables: three chains, their heads, and API keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create everything."""
    _predictions()
    _feedback()
    _checkpoints()
    _heads()
    _api_keys()


def _link() -> tuple[sa.Column[int], sa.Column[str]]:
    return (
        sa.Column("seq", _SEQ, primary_key=True, autoincrement=False),
        sa.Column("mac", sa.Text, nullable=False),
    )


def _needed(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _predictions() -> None:
    op.create_table(
        "predictions",
        *_link(),
        *_needed("id", "created", "caller", "route", "request_id", "input_sha256"),
        sa.Column("slice_index", sa.Integer),
        *_needed("arm", "bundle_name", "bundle_version", "bundle_sha256", "label"),
        sa.Column("confidence", sa.Double, nullable=False),
        *_needed("probabilities"),
        sa.Column("tumor_probability", sa.Double),
        sa.Column("tumor_flag", sa.Boolean),
        sa.Column("threshold", sa.Double),
        sa.Column("prediction_set", sa.Text),
        *_needed("decision", "reasons"),
        sa.Column("latency_ms", sa.Double, nullable=False),
        *_needed("summary"),
        sa.Column("distance", sa.Double),
    )
    op.create_index("ix_predictions_id", "predictions", ["id"], unique=True)
    op.create_index("ix_predictions_created", "predictions", ["created"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        *_link(),
        *_needed("id", "prediction_id", "created", "caller"),
        sa.Column("agree", sa.Boolean, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("note", sa.Text),
    )
    op.create_index("ix_feedback_id", "feedback", ["id"], unique=True)
    op.create_index("ix_feedback_prediction_id", "feedback", ["prediction_id"])
    op.create_index("ix_feedback_created", "feedback", ["created"])


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        *_link(),
        *_needed("created", "chain"),
        sa.Column("through_seq", sa.BigInteger, nullable=False),
        *_needed("through_mac"),
        sa.Column("pruned", sa.BigInteger, nullable=False),
        *_needed("oldest", "newest"),
    )


def _heads() -> None:
    op.create_table(
        "heads",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        *_needed("mac", "seal", "key_id"),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("name", sa.Text, primary_key=True),
        *_needed("public_id", "secret_sha256", "role", "created"),
        sa.Column("revoked", sa.Text),
    )
    op.create_index("ix_api_keys_public_id", "api_keys", ["public_id"], unique=True)
