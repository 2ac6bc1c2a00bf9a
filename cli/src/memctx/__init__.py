"""The front doors: the `memctx` command."""
