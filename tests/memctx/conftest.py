"""Fixtures of the tests in this folder."""

from tests.support.hub import fresh_hub, hub

__all__ = ["fresh_hub", "hub"]
