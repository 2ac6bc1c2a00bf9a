"""What spaces there are, remembered for a moment."""

from __future__ import annotations

from context_api.adapters.vector.listing import Listing
from context_api.application.vectors import Space
from tests.context_api.adapters.vector.material import space


def test_it_is_read_once_for_a_moment_and_knows_what_was_done_here() -> None:
    now, there, read = [0.0], [space(), space()], [0]

    def ask() -> list[Space]:
        read[0] += 1
        return list(there)

    listing = Listing(ask, lambda: now[0])
    one, other = there
    assert listing.of(*one[:2]) == [one]
    assert listing.of(*other[:2]) == [other]
    made = one._replace(generation=2)
    listing.add(made)
    listing.discard(other)
    assert set(listing.of(*one[:2])) == {one, made}
    assert listing.of(*other[:2]) == []
    assert read == [1]
    now[0] += 31
    assert listing.of(*one[:2]) == [one]
    assert listing.of(*other[:2]) == [other]
    assert read == [2]
