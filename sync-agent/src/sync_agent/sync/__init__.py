"""Synchronisation of a replica with its hub."""

from sync_agent.sync.attach import attach
from sync_agent.sync.cycle import Options, sync_project
from sync_agent.sync.http import HttpTransport
from sync_agent.sync.locking import SyncBusy, sync_lock
from sync_agent.sync.renewing import Renewed, renew
from sync_agent.sync.report import Report, State
from sync_agent.sync.transport import Transport, Wire
from sync_agent.sync.vectors import fetch_vectors
from sync_agent.sync.verifying import Repaired, Verified, repair, verify
from sync_agent.sync.watchdog import SyncStalled, Watch

__all__ = [
    "HttpTransport",
    "Options",
    "Renewed",
    "Repaired",
    "Report",
    "State",
    "SyncBusy",
    "SyncStalled",
    "Transport",
    "Verified",
    "Watch",
    "Wire",
    "attach",
    "fetch_vectors",
    "renew",
    "repair",
    "sync_lock",
    "sync_project",
    "verify",
]
