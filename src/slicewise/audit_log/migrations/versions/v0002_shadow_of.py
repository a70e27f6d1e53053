"""Which answer a shadow stood behind."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; rows without it keep their codes."""
    op.add_column("predictions", sa.Column("shadow_of", sa.Text))
