"""Use cases of the hub, each one transaction, over ports."""
