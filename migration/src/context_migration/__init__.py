"""One Alembic chain for every dialect."""
