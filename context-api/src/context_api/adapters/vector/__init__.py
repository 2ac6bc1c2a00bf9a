"""Vector indexes behind one port: Chroma, and memory for small hubs and tests."""
