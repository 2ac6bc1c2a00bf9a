"""What hub and replica must agree on: records, events, projection, redaction, recall."""
