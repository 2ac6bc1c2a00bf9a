"""Several queries in one round trip: values, moments, tenants, failures."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from context_api.adapters.index.database import Database, Pool
from context_api.adapters.index.pipelining import MOST_PREPARED, numbered
from memory_core.errors import InvalidInput, Unavailable
from tests.context_api.adapters.index.support import OTHER, TENANT, IndexDatabase
from tests.memory_core.recall.records import PROJECT

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.one_of(TEXTS, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none())
ECHO = "SELECT %(value)s, %(names)s::text[], '%%d'"


def test_values_are_numbered_in_the_order_of_their_names() -> None:
    text, names = numbered("SELECT %(b)s, %(a)s, %(b)s, 5 %% 3")
    assert (text, names) == (b"SELECT $1, $2, $1, 5 % 3", ("b", "a"))
    with pytest.raises(ValueError, match="percent"):
        numbered("SELECT 5 % 3, %(a)s")


def test_values_come_back_as_they_were(pool: Pool) -> None:
    database = Database(pool)

    @given(values=st.lists(VALUES, min_size=1, max_size=4), names=st.lists(TEXTS, max_size=3))
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def same(values: list[object], names: list[str]) -> None:
        asked = [(ECHO, {"value": value, "names": names}) for value in values]
        expected = [[(value, names, "%d")] for value in values]
        assert database.ask_all(TENANT, asked) == expected

    same()


def test_ids_and_times_come_as_text(pool: Pool) -> None:
    asked = f"SELECT '{PROJECT}'::uuid, '2026-01-02 03:04:05.06+01'::timestamptz"
    (rows,) = Database(pool).ask_all(TENANT, [(asked, {})])
    assert rows == [(PROJECT, "2026-01-02T02:04:05.060000Z")]


def test_more_than_the_network_holds_at_once_goes_there_and_back(pool: Pool) -> None:
    long = "ü" * 3_000_000
    asked = [("SELECT %(value)s", {"value": long})] * 3
    assert Database(pool).ask_all(TENANT, asked) == [[(long,)]] * 3


def test_each_call_sees_its_own_tenant_only_and_one_moment(
    database: IndexDatabase, pool: Pool
) -> None:
    database.add_project(PROJECT, 3)
    held = Database(pool)
    count = ("SELECT count(*) FROM projects", {})
    for queries in ([count], [count, count]):
        assert held.ask_all(TENANT, queries) == [[(1,)]] * len(queries)
        assert held.ask_all(OTHER, queries) == [[(0,)]] * len(queries)
    with pool.connection() as connection:
        # What was set for a call ends with it.
        assert connection.execute("SELECT count(*) FROM projects").fetchone() == (0,)
    now = ("SELECT transaction_timestamp()::text", {})
    first, second, third = held.ask_all(TENANT, [now, ("SELECT pg_sleep(0.01)", {}), now])
    assert first == third
    assert second == [("",)]


def test_a_failed_query_is_told_and_the_next_call_works(pool: Pool) -> None:
    database = Database(pool)
    one = ("SELECT 1", {})
    wrong = ("SELECT %(value)s::uuid", {"value": "no id"})
    for queries in ([wrong], [one, wrong], [wrong, one]):
        with pytest.raises(InvalidInput):
            database.ask_all(TENANT, queries)
        assert database.ask_all(TENANT, [one, one]) == [[(1,)], [(1,)]]
    with pytest.raises(Unavailable):
        database.ask_all(TENANT, [("SELECT nothing FROM nowhere", {})])


def test_a_connection_prepares_only_so_many_statements(pool: Pool) -> None:
    database = Database(pool)
    for number in range(MOST_PREPARED + 50):
        assert database.ask_all(TENANT, [(f"SELECT {number}", {})]) == [[(number,)]]
    with pool.connection() as connection:
        assert len(connection.prepared) <= MOST_PREPARED
        held = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
        assert held == (len(connection.prepared),)
