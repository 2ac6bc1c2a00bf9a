"""Synchronisation of a replica with its hub."""
