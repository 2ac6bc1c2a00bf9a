"""Fixtures of the fault tests."""

from tests.support.hub import fresh_hub, hub

__all__ = ["fresh_hub", "hub"]
