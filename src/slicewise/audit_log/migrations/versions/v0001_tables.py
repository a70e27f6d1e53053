"""The first tables; a new database gets the newest ones at once, so that nothing is left to do."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Leave the tables that 0.1.0 made as they are."""
