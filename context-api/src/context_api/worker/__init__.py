"""Background work: keeping the indexes up with the log."""
