"""One byte form for one value."""

from __future__ import annotations

from memory_core.canonical import canonical_json, check_json


def test_negative_zero_becomes_zero_wherever_it_lies() -> None:
    checked = check_json({"a": -0.0, "b": [1.5, -0.0, {"c": -0.0}]})
    assert canonical_json(checked) == b'{"a":0.0,"b":[1.5,0.0,{"c":0.0}]}'
