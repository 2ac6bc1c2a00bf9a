"""A replica asked and written as a hub is: the same calls, documents and errors, with no server."""

from sync_agent.local.client import LocalClient

__all__ = ["LocalClient"]
