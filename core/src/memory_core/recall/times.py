"""Time words of a question, as spans of time: "yesterday", "last week", "in March", "12 May".

English, as the stemming is. Words are read in the asker's zone and relative to now; a day or
month without a year is every such day or month of the years that the project covers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

_MONTHS = "january february march april may june july august september october november december"
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS.split(), 1)}
_MONTH_NUMBERS |= {name[:3]: number for name, number in _MONTH_NUMBERS.items()}
_MONTH_NUMBERS["sept"] = 9
_WEEK = "monday tuesday wednesday thursday friday saturday sunday"
_WEEKDAYS = _WEEK.split()
_COUNTED = "one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: number for number, word in enumerate(_COUNTED.split(), 1)} | {
    "a": 1,
    "an": 1,
    "couple of": 2,
    "few": 3,
}

_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTH_NUMBERS, key=len, reverse=True))})\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>(?:19|20)\d\d))"
_ISO = re.compile(r"\b(?P<year>(?:19|20)\d\d)-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?\b")
_DAY_MONTH = re.compile(rf"\b{_DAY}(?:\s+of)?\s+{_MONTH}{_YEAR}?", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"\b{_MONTH}\s+{_DAY}\b(?!\d){_YEAR}?", re.IGNORECASE)
_MONTH_YEAR = re.compile(rf"\b{_MONTH}\s+(?P<year>(?:19|20)\d\d)\b", re.IGNORECASE)
# "may" and "march" are words too, so a month alone needs a word of time before it.
_MONTH_ALONE = re.compile(
    rf"\b(?:in|during|of|since|until|before|after|last|this|early|late|mid)[\s-]+{_MONTH}(?!\s*\d)",
    re.IGNORECASE,
)
_YEAR_ALONE = re.compile(r"\b(?:in|during|of|since)\s+(?P<year>(?:19|20)\d\d)\b", re.IGNORECASE)
_AGO = re.compile(
    r"\b(?P<count>\d{1,3}|(?:a )?couple of|(?:a )?few|"
    + "|".join(word for word in _NUMBERS if " " not in word and word != "few")
    + r")\s+(?P<unit>day|week|month|year)s?\s+(?:ago|back|earlier)\b",
    re.IGNORECASE,
)
_NEAR = re.compile(
    r"\b(?:(?P<named>today|tonight|yesterday|this morning|this afternoon|last night)"
    r"|(?P<which>last|this|past|previous)\s+(?P<unit>week|month|year)"
    rf"|(?:(?P<before>last|past|previous|on)\s+)(?P<weekday>{'|'.join(_WEEKDAYS)}))\b",
    re.IGNORECASE,
)

_MOST_YEARS = 30


class Period(NamedTuple):
    """``[start, end)`` in seconds since 1970, and how exact the words were, in 0..1."""

    start: float
    end: float
    precision: float


_DAY_PRECISION, _WEEK_PRECISION, _MONTH_PRECISION, _YEAR_PRECISION = 1.0, 0.75, 0.5, 0.25


def periods(question: str, now: datetime, zone: tzinfo, covered: range) -> tuple[Period, ...]:
    """Returns the spans of time that a question names.

    ``now`` is aware; ``covered`` are the years that an unnamed year may be.
    """
    text = question[:2_000]
    today = now.astimezone(zone).date()
    found: list[Period] = []
    for first, last, precision in _spans(text, today, covered):
        try:
            found.append(Period(_seconds(first, zone), _seconds(last, zone), precision))
        except (OverflowError, ValueError):
            continue
    return tuple(dict.fromkeys(found))


def _seconds(day: date, zone: tzinfo) -> float:
    return datetime.combine(day, time(), zone).astimezone(UTC).timestamp()


_Span = tuple[date, date, float]


def _spans(text: str, today: date, covered: range) -> Iterator[_Span]:
    text, named = _dates(text, covered)
    yield from named
    for match in _AGO.finditer(text):
        yield from _ago(match, today)
    for match in _NEAR.finditer(text):
        yield from _near(match, today)


def _dates(text: str, covered: range) -> tuple[str, list[_Span]]:
    """Returns the calendar dates, and the text without them so that none is read twice."""
    spans: list[_Span] = []
    for pattern in (_ISO, _DAY_MONTH, _MONTH_DAY, _MONTH_YEAR, _MONTH_ALONE, _YEAR_ALONE):
        for match in pattern.finditer(text):
            spans.extend(_calendar(match.groupdict(), covered))
        text = pattern.sub(" ", text)
    return text, spans


def _calendar(parts: dict[str, str | None], covered: range) -> Iterator[_Span]:
    name, day, year_named = parts.get("month"), parts.get("day"), parts.get("year")
    years = [int(year_named)] if year_named else list(covered)[-_MOST_YEARS:]
    if name is None:
        for year in years:
            yield date(year, 1, 1), date(year + 1, 1, 1), _YEAR_PRECISION
        return
    month = int(name) if name.isdigit() else _MONTH_NUMBERS[name.lower().rstrip(".")]
    for year in years:
        try:
            first = date(year, month, int(day) if day else 1)
        except ValueError:  # 31 April, 2026-13
            continue
        if day:
            yield first, first + timedelta(days=1), _DAY_PRECISION
        else:
            yield first, _month_after(first, 1), _MONTH_PRECISION


def _ago(match: re.Match[str], today: date) -> Iterator[_Span]:
    word = match["count"].lower().removeprefix("a ") if " " in match["count"] else match["count"]
    count = int(word) if word.isdigit() else _NUMBERS[word.lower()]
    unit = match["unit"].lower()
    try:
        if unit == "day":
            day = today - timedelta(days=count)
            yield day, day + timedelta(days=1), _DAY_PRECISION
        elif unit == "week":
            # "Two weeks ago" is said of some day around then.
            day = today - timedelta(weeks=count)
            yield day - timedelta(days=3), day + timedelta(days=4), _WEEK_PRECISION
        else:
            months = count * (12 if unit == "year" else 1)
            first = _month_after(today.replace(day=1), -months)
            yield first, _month_after(first, 1), _MONTH_PRECISION
    except (OverflowError, ValueError):  # before the year 1
        return


def _near(match: re.Match[str], today: date) -> Iterator[_Span]:
    day = timedelta(days=1)
    if named := match["named"]:
        first = today - day if named.lower() in {"yesterday", "last night"} else today
        yield first, first + day, _DAY_PRECISION
    elif weekday := match["weekday"]:
        # "On Monday" said of the past: the latest one before today.
        back = (today.weekday() - _WEEKDAYS.index(weekday.lower()) - 1) % 7 + 1
        yield today - back * day, today - (back - 1) * day, _DAY_PRECISION
    else:
        earlier = match["which"].lower() != "this"
        yield from _around(match["unit"].lower(), today, earlier=earlier)


def _around(unit: str, today: date, *, earlier: bool) -> Iterator[_Span]:
    if unit == "week":
        first = today - timedelta(days=today.weekday() + (7 if earlier else 0))
        yield first, first + timedelta(days=7), _WEEK_PRECISION
    elif unit == "month":
        first = _month_after(today.replace(day=1), -1 if earlier else 0)
        yield first, _month_after(first, 1), _MONTH_PRECISION
    else:
        year = today.year - (1 if earlier else 0)
        yield date(year, 1, 1), date(year + 1, 1, 1), _YEAR_PRECISION


def _month_after(first: date, months: int) -> date:
    """Returns the first of the month so many months on."""
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)
