"""A database URL as the drivers of PostgreSQL read it."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url

_SSL_MODES = {"true": "require", "false": "disable"}


def libpq_url(url: str) -> str:
    """Returns a URL of libpq's form, which asyncpg and psycopg both read.

    ``?ssl=`` of asyncpg becomes ``?sslmode=``; all else, such as ``sslrootcert``, stays.
    """
    parsed = make_url(url)
    query = dict(parsed.query)
    mode = query.pop("ssl", None)
    if isinstance(mode, str):
        query.setdefault("sslmode", _SSL_MODES.get(mode.lower(), mode))
    plain: URL = parsed.set(drivername="postgresql", query=query)
    return plain.render_as_string(hide_password=False)
