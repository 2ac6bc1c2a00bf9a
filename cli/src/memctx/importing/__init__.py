"""Import of agents' transcripts: read, redact, send what the hub does not have."""
