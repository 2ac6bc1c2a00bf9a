"""A repository's replica: one SQLite file with what was pulled and the user's own work."""

from sync_agent.exchange import Acked, PulledPage, PushResult
from sync_agent.replica.checking import Salvage
from sync_agent.replica.file import locked
from sync_agent.replica.model import (
    Applied,
    Change,
    Counts,
    Damage,
    JournalRow,
    Limits,
    Listing,
    NewProject,
    ProjectRow,
    State,
    Written,
)
from sync_agent.replica.rebase import rebase
from sync_agent.replica.renewing import copy_beside, made_beside, remove_unfinished
from sync_agent.replica.store import Replica
from sync_agent.replica.swapping import replace_damaged, set_aside, swap

__all__ = [
    "Acked",
    "Applied",
    "Change",
    "Counts",
    "Damage",
    "JournalRow",
    "Limits",
    "Listing",
    "NewProject",
    "ProjectRow",
    "PulledPage",
    "PushResult",
    "Replica",
    "Salvage",
    "State",
    "Written",
    "copy_beside",
    "locked",
    "made_beside",
    "rebase",
    "remove_unfinished",
    "replace_damaged",
    "set_aside",
    "swap",
]
