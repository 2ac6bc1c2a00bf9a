"""The routes, one module for each kind of record or concern."""
