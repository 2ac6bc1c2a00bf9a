"""Reads the parts of a JSON answer as what they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync_agent.errors import InvalidAnswer

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.records import Document

_DIGEST_BYTES = 32


class Fields:
    """An object of an answer. Every method raises `InvalidAnswer` where a part is not as told."""

    def __init__(self, value: JsonValue, what: str) -> None:
        if not isinstance(value, dict):
            raise InvalidAnswer(f"{what} is no object")
        self._value: Document = value
        self._what = what

    def whole(self) -> Document:
        """Returns the object itself."""
        return self._value

    def text(self, name: str) -> str:
        """Returns a text."""
        value = self._value.get(name)
        if not isinstance(value, str):
            raise self._wrong(name)
        return value

    def optional_text(self, name: str) -> str | None:
        """Returns a text, None if there is none."""
        return None if self._value.get(name) is None else self.text(name)

    def number(self, name: str) -> int:
        """Returns a whole number from 0."""
        value = self._value.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(name)
        return value

    def optional_number(self, name: str) -> int | None:
        """Returns a whole number from 0, None if there is none."""
        return None if self._value.get(name) is None else self.number(name)

    def flag(self, name: str) -> bool:
        """Returns a truth value."""
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise self._wrong(name)
        return value

    def digest(self, name: str) -> bytes:
        """Returns 32 bytes that came in hex."""
        return digest(self.text(name), f"{self._what}: {name}")

    def optional_digest(self, name: str) -> bytes | None:
        """Returns 32 bytes that came in hex, None if there are none."""
        return None if self._value.get(name) is None else self.digest(name)

    def document(self, name: str) -> Document:
        """Returns an object."""
        value = self._value.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name)
        return value

    def optional_document(self, name: str) -> Document | None:
        """Returns an object, None if there is none."""
        return None if self._value.get(name) is None else self.document(name)

    def items(self, name: str) -> list[JsonValue]:
        """Returns a list."""
        value = self._value.get(name)
        if not isinstance(value, list):
            raise self._wrong(name)
        return value

    def texts(self, name: str) -> list[str]:
        """Returns a list of texts."""
        found = self.items(name)
        texts = [item for item in found if isinstance(item, str)]
        if len(texts) != len(found):
            raise self._wrong(name)
        return texts

    def _wrong(self, name: str) -> InvalidAnswer:
        return InvalidAnswer(f"{self._what} has no {name} that can be read")


def digest(text: str, what: str) -> bytes:
    """Returns the 32 bytes that ``text`` writes in hex.

    Raises:
        InvalidAnswer: it does not.
    """
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != _DIGEST_BYTES:
        raise InvalidAnswer(f"{what} is no digest")
    return found
