"""Words: how prose and code become terms."""
