"""Time words become the spans that a person means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.recall.times import periods

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
COVERED = range(2025, 2027)


def days(question: str, now: datetime = NOW) -> list[tuple[str, str]]:
    spans = periods(question, now, UTC, COVERED)
    return [
        (
            f"{datetime.fromtimestamp(s.start, UTC):%Y-%m-%d}",
            f"{datetime.fromtimestamp(s.end, UTC):%Y-%m-%d}",
        )
        for s in spans
    ]


@pytest.mark.parametrize(
    ("question", "first", "after"),
    [
        ("what did we do yesterday?", "2026-11-20", "2026-11-21"),
        ("what broke today", "2026-11-21", "2026-11-22"),
        ("last night's deploy", "2026-11-20", "2026-11-21"),
        ("the parser change of last week", "2026-11-09", "2026-11-16"),
        ("what did I plan this week", "2026-11-16", "2026-11-23"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("this year", "2026-01-01", "2027-01-01"),
        ("on 12 May 2026", "2026-05-12", "2026-05-13"),
        ("on May 12th, 2026", "2026-05-12", "2026-05-13"),
        ("the 3rd of February 2026", "2026-02-03", "2026-02-04"),
        ("pushed 2026-02-12", "2026-02-12", "2026-02-13"),
        ("during 2026-02", "2026-02-01", "2026-03-01"),
        ("February 2026", "2026-02-01", "2026-03-01"),
        ("in 2025", "2025-01-01", "2026-01-01"),
        ("two days ago", "2026-11-19", "2026-11-20"),
        ("a couple of months ago", "2026-09-01", "2026-10-01"),
        ("3 weeks ago", "2026-10-28", "2026-11-04"),
        ("a year ago", "2025-11-01", "2025-12-01"),
        ("last Monday", "2026-11-16", "2026-11-17"),
        ("on Saturday", "2026-11-14", "2026-11-15"),
    ],
)
def test_one_span(question: str, first: str, after: str) -> None:
    assert days(question) == [(first, after)]


def test_a_day_without_a_year_is_that_day_of_every_year_covered() -> None:
    assert days("on 11 February") == [("2025-02-11", "2025-02-12"), ("2026-02-11", "2026-02-12")]


@pytest.mark.parametrize(
    "question",
    [
        "may we march on?", "on 31 April", "2026-13-40", "version 1.2026", "99999 days ago",
        "9999 years ago", "the second attempt", "", "monday mornings", "in marching order",
    ],
)  # fmt: skip
def test_no_span(question: str) -> None:
    assert days(question) == []


def test_exact_words_count_more() -> None:
    precise = [
        periods(q, NOW, UTC, COVERED)[0].precision
        for q in ("yesterday", "last week", "last month", "in 2026")
    ]
    assert precise == sorted(precise, reverse=True)
    assert len(set(precise)) == 4


def test_days_are_those_of_the_asker() -> None:
    west = timezone(timedelta(hours=-8))
    late = datetime(2026, 11, 21, 3, tzinfo=UTC)  # still the 20th there
    (span,) = periods("yesterday", late, west, COVERED)
    assert datetime.fromtimestamp(span.start, UTC) == datetime(2026, 11, 19, 8, tzinfo=UTC)


@given(
    st.text(max_size=200)
    | st.from_regex(r"(in|on|last)? ?(\d{1,4}[ -])?(may|week|\d{4}).*", fullmatch=True)
)
def test_any_text_is_read(question: str) -> None:
    for span in periods(question, NOW, UTC, COVERED):
        assert span.start < span.end
        assert 0 < span.precision <= 1
