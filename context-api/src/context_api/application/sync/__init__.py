"""The hub's side of sync: what replicas push, pull and ask (docs/sync-protocol.md)."""
