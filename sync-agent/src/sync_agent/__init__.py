"""The light end: the typed client of the hub's REST API."""
