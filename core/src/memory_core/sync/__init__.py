"""What hub and replica say to each other: operations up, events and vectors down.

The protocol itself is described in ``docs/sync-protocol.md``.
"""
