"""Several queries in one round trip to the server, with little work for this process.

The driver's own pipeline looks at the network after each statement and adapts each cursor anew,
which took more time than the queries. Here all statements are sent, then all answers are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection, errors
from psycopg.abc import PQGen
from psycopg.abc import Transformer as Adapting
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from context_api.adapters.index.loading import DOCUMENTS

Row = tuple[Any, ...]
Names = dict[tuple[bytes, tuple[int, ...]], bytes]
"""What a connection's server calls the statements that it has prepared, by text and types."""

MOST_PREPARED = 200
"""Statements that one connection prepares; one that has more is closed after its use."""

_VALUE = re.compile(r"%(?:(%)|\((\w+)\)s)")
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.NONFATAL_ERROR)


class _Numbered(NamedTuple):
    """A statement as the server takes it, and the names of its values in their order."""

    text: bytes
    names: tuple[str, ...]


def ask_pipelined(
    connection: Connection[Any],
    prepared: Names,
    statements: Sequence[tuple[str, Mapping[str, object]]],
) -> list[list[Row]]:
    """Returns the rows of each statement; ``prepared`` is kept with the connection.

    They are one transaction, which begins and ends by itself unless they say so. Values are named
    as ``%(name)s``. Ids come as text and times in their canonical form. After any failure the
    connection is closed.

    Raises:
        psycopg.Error: a statement failed, or the server does not answer.
    """
    pgconn = connection.pgconn
    done = False
    try:
        pgconn.enter_pipeline_mode()
        adapting = Transformer(DOCUMENTS)
        answers = [_send(pgconn, adapting, prepared, *statement) for statement in statements]
        pgconn.pipeline_sync()
        results = iter(connection.wait(_results(pgconn)))
        pgconn.exit_pipeline_mode()
        found = [_rows(adapting, results, count) for count in answers]
        done = len(prepared) <= MOST_PREPARED
    finally:
        if not done:
            pgconn.finish()
    return found


def _send(
    pgconn: PGconn,
    adapting: Adapting,
    prepared: Names,
    query: str,
    parameters: Mapping[str, object],
) -> int:
    """Sends a statement; returns how many answers it will have, of which the last counts."""
    text, names = numbered(query)
    values = [parameters[name] for name in names]
    sent = adapting.dump_sequence(values, [PyFormat.AUTO] * len(values))
    types, formats = adapting.types or (), adapting.formats
    name = prepared.get((text, types))
    is_new = name is None
    if name is None:
        # Should its preparation fail, so does the connection.
        name = prepared[text, types] = b"memctx_%d" % len(prepared)
        pgconn.send_prepare(name, text, types)
    pgconn.send_query_prepared(name, sent, formats)
    return 1 + is_new


@lru_cache(maxsize=4_096)
def numbered(query: str) -> _Numbered:
    """Returns a query with ``%(name)s`` for its values as the server numbers them.

    Raises:
        ValueError: a percent sign stands alone.
    """
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return "%" if found[1] else f"${names.setdefault(found[2], len(names) + 1)}"

    text = _VALUE.sub(number, query)
    if "%" in _VALUE.sub("", query):
        raise ValueError("write a percent sign twice")
    return _Numbered(text.encode(), tuple(names))


def _results(pgconn: PGconn) -> PQGen[list[PGresult]]:
    """Sends what is left to send and reads up to the end of the pipeline.

    Raises:
        psycopg.Error: the first failure that the server tells; the connection is lost.
    """
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
    results: list[PGresult] = []
    ended = False
    while True:
        while pgconn.is_busy():
            if (yield Wait.R) & Ready.R:
                pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            # One follows each statement's answer. After two nothing more will come.
            if ended:
                raise psycopg.OperationalError("the server closed the connection")
            ended = True
            continue
        ended = False
        if result.status in _FAILED:
            raise errors.error_from_result(result)
        if result.status == ExecStatus.PIPELINE_SYNC:
            return results
        results.append(result)


def _rows(adapting: Adapting, results: Iterator[PGresult], count: int) -> list[Row]:
    for _ in range(count):
        result = next(results)
    adapting.set_pgresult(result)
    return adapting.load_rows(0, result.ntuples, tuple)
