"""Adapters: the stores behind the ports of the application."""
