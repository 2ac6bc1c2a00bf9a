"""Times as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from memctx.times import read_time, short_date, short_time
from memory_core.errors import InvalidTime

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True, params=["UTC", "Asia/Kolkata", "America/New_York"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", "2026-03-01T11:00:00.000000Z"),
        ("12h", "2026-03-01T00:30:00.000000Z"),
        ("7d", "2026-02-22T12:30:00.000000Z"),
        ("2 w", "2026-02-15T12:30:00.000000Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000000Z"),
    ],
)
def test_spans_and_instants_do_not_depend_on_the_zone(text: str, expected: str) -> None:
    assert read_time(text, now=NOW) == expected


def test_a_day_begins_in_this_machines_zone(zone: str) -> None:
    begins = {"UTC": "T00:00", "Asia/Kolkata": "T18:30", "America/New_York": "T05:00"}
    assert begins[zone] in read_time("2026-01-05")
    today = read_time("today", now=NOW)
    assert read_time("yesterday", now=NOW) < today <= "2026-03-01T12:30:00.000000Z"
    assert begins[zone] in today


@pytest.mark.parametrize(
    "text", ["", "soon", "7", "7y", "2026-13-01", "2026-01-01T00:00:00", "-3d", "999999w"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidTime, match="is no time"):
        read_time(text, now=NOW)


def test_times_are_shown_in_this_machines_zone(zone: str) -> None:
    shown = {
        "UTC": "2026-01-01 20:00",
        "Asia/Kolkata": "2026-01-02 01:30",
        "America/New_York": "2026-01-01 15:00",
    }
    assert short_time("2026-01-01T20:00:00.000000Z") == shown[zone]
    assert short_date("2026-01-01T20:00:00.000000Z") == shown[zone][:10]
    assert short_time(None) == short_time("") == ""
    assert short_time("not a time") == "not a time"
