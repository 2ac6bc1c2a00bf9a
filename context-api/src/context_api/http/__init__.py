"""The REST front door of the hub."""
