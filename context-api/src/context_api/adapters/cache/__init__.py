"""Caches and rate limits: in this process, in Redis, or one before the other."""
