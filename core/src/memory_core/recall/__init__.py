"""Recall: finds what was said, decided and learned, and packs it for an agent."""
