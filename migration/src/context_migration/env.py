"""Alembic's environment: runs the chain on the connection that `runner` gives.

Without a connection it writes the statements of a dialect as text.
"""

from __future__ import annotations

from alembic import context

attributes = context.config.attributes
connection = attributes.get("connection")
if connection is None:
    context.configure(dialect_name=attributes["dialect"], literal_binds=True)
else:
    context.configure(connection=connection, transactional_ddl=True)
context.run_migrations()
