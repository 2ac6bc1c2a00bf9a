"""The composition root: the one place that knows which parts the hub is made of."""

from context_api.bootstrap.running import DEFAULT_TENANT, running

__all__ = ["DEFAULT_TENANT", "running"]
