"""Real servers for the tests: found by URL, else started from local binaries, else containers."""
