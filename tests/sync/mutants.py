"""Single faults of the protocol, planted in the real code: the machine must find each.

Those of the hub are planted in the process that runs it, before it starts. What several checks
guard is no single fault: without the file's fingerprint, the replica's look at what the hub
acknowledged and the hub's at an operation's hash, a copied folder would still be noticed by the
other two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from memory_core.records import Ref

Plant = Callable[["Patches"], None]


class Patches:
    """Replaced attributes, to be put back."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replaces an attribute by what ``make`` makes of it."""
        before = owner.__dict__[name]
        self._before.append((owner, name, before))
        setattr(owner, name, make(before))

    def undo(self) -> None:
        """Puts everything back."""
        while self._before:
            owner, name, before = self._before.pop()
            setattr(owner, name, before)


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plants a fault of a replica while the block runs; nothing for one of the hub."""
    patches = Patches()
    try:
        if name in OF_REPLICA:
            OF_REPLICA[name](patches)
        yield
    finally:
        patches.undo()


def plant_in_hub(name: str) -> None:
    """Plants a fault of the hub for good; nothing for one of a replica."""
    if name in OF_HUB:
        OF_HUB[name](Patches())


def settles_on_push(patches: Patches) -> None:
    """What was pushed is shown no longer as soon as the hub has answered."""
    from sync_agent.replica import journal, projects, store
    from sync_agent.replica.records import Records
    from sync_agent.replica.showing import refresh

    def make(settle: Any) -> Any:
        def settled(connection: sqlite3.Connection, project_id: str, cursor: int, at: str) -> None:
            rows = connection.execute(
                "SELECT number, root FROM journal WHERE project_id = ? AND state = 'pushed'"
                " AND overlaid = 1",
                (project_id,),
            ).fetchall()
            journal.lift(connection, project_id, [number for number, _ in rows])
            project = projects.one(connection, project_id)
            records = Records(connection, project_id, project.change_no)
            refresh(records, project.actor, {root for _, root in rows})
            settle(connection, project_id, 2**60, at)

        return settled

    class Journal:
        settle = staticmethod(make(journal.settle))

        def __getattr__(self, name: str) -> Any:
            return getattr(journal, name)

    patches.wrap(store, "journal", lambda _: Journal())


def cursor_before_rows(patches: Patches) -> None:
    """The cursor moves in a transaction of its own, before that of the rows."""
    from sync_agent.replica import Replica, projects

    def make(apply_page: Any) -> Any:
        def applied(self: Any, project_id: str, page: Any) -> Any:
            before = self.project(project_id)
            for place in (
                {"epoch": page.epoch, "cursor": page.next_after, "chain": page.digest},
                {"epoch": before.epoch, "cursor": before.cursor, "chain": before.chain},
            ):
                with self._file.writing() as connection:
                    projects.move(connection, project_id, **place)
            return apply_page(self, project_id, page)

        return applied

    patches.wrap(Replica, "apply_page", make)


def last_row_dropped(patches: Patches) -> None:
    """The last event of a page of several moves the cursor and nothing else."""
    from sync_agent.replica import pulling

    def make(apply_page: Any) -> Any:
        def applied(connection: sqlite3.Connection, project_id: str, page: Any) -> Any:
            last = page.items[-1].event.seq if len(page.items) > 1 else None
            take = pulling.take

            def taken(records: Any, pulled: Any, erased: list[Ref]) -> None:
                if pulled.event.seq != last:
                    take(records, pulled, erased)

            pulling.take = taken
            try:
                return apply_page(connection, project_id, page)
            finally:
                pulling.take = take

        return applied

    patches.wrap(pulling, "apply_page", make)


def withheld_ignored(patches: Patches) -> None:
    """What the hub withholds is left as it was."""
    from sync_agent.replica import pulling

    def make(take: Any) -> Any:
        def taken(records: Any, pulled: Any, erased: list[Ref]) -> None:
            if not pulled.withheld:
                take(records, pulled, erased)

        return taken

    patches.wrap(pulling, "take", make)


def erased_bodies_kept(patches: Patches) -> None:
    """An erasure leaves the journal as it is."""
    from sync_agent.replica import erasing

    patches.wrap(erasing, "wipe", lambda _: lambda records, ref, acked: False)


def deletes_ignored(patches: Patches) -> None:
    """A deleted record stays as it was."""
    from sync_agent.replica import pulling

    def make(take: Any) -> Any:
        def taken(records: Any, pulled: Any, erased: list[Ref]) -> None:
            if pulled.withheld or not pulled.event.type.value.endswith(".deleted"):
                take(records, pulled, erased)

        return taken

    patches.wrap(pulling, "take", make)


def epoch_ignored(patches: Patches) -> None:
    """A hub that was restored is taken for the one it was."""
    from tests.sync.lines import Line

    def make(pull: Any) -> Any:
        def pulled(self: Any, project_id: str, caller: Any, request: Any) -> Any:
            page = pull(self, project_id, caller, replace(request, epoch=None))
            return page if request.epoch is None else replace(page, epoch=request.epoch)

        return pulled

    patches.wrap(Line, "pull", make)
    patches.wrap(Line, "push", _without_epoch)


def _without_epoch(push: Any) -> Any:
    def pushed(self: Any, project_id: str, caller: Any, request: Any) -> Any:
        return push(self, project_id, caller, replace(request, epoch=None))

    return pushed


def copies_share_an_identity(patches: Patches) -> None:
    """A copied file keeps its identity, and what the hub acknowledged is believed unseen.

    In the hub its own check is taken away too: one of the three would do.
    """
    from sync_agent.replica import identity, pulling

    patches.wrap(identity, "fingerprint", lambda _: lambda path: "the same")
    patches.wrap(pulling, "_knows", lambda _: lambda connection, project_id, page: True)


def refusals_dropped(patches: Patches) -> None:
    """What the hub refused is forgotten."""
    from sync_agent.replica import journal

    def make(settle: Any) -> Any:
        def settled(connection: sqlite3.Connection, project_id: str, cursor: int, at: str) -> None:
            settle(connection, project_id, cursor, at)
            connection.execute("DELETE FROM journal WHERE state = 'rejected'")

        return settled

    patches.wrap(journal, "settle", make)


def journal_cut_after_push(patches: Patches) -> None:
    """What is settled is deleted at once: a restored hub cannot be refilled."""
    from sync_agent.replica import journal

    def make(settle: Any) -> Any:
        def settled(connection: sqlite3.Connection, project_id: str, cursor: int, at: str) -> None:
            settle(connection, project_id, cursor, at)
            connection.execute("UPDATE journal SET body = NULL WHERE state = 'settled'")

        return settled

    patches.wrap(journal, "settle", make)


def new_ids_when_sent_again(patches: Patches) -> None:
    """A new identity gives its operations new ids."""
    from memory_core.ids import uuid7
    from sync_agent.replica import renumbering

    def make(renumber: Any) -> Any:
        def renumbered(connection: sqlite3.Connection) -> None:
            renumber(connection)
            for (place,) in connection.execute("SELECT place FROM journal").fetchall():
                connection.execute("UPDATE journal SET op_id = ? WHERE place = ?", (uuid7(), place))

        return renumbered

    patches.wrap(renumbering, "renumber", make)


def repeats_carried_out(patches: Patches) -> None:
    """The hub does not look whether it has an operation already, and its tables do not either."""
    from context_api.adapters.sql.write_tx import SqlWriteTx
    from memory_core.ids import uuid7

    def again(standing: Any) -> Any:
        async def found(self: Any, *asked: Any, **options: Any) -> Any:
            return replace(await standing(self, *asked, **options), repeat=None)

        return found

    def under_another_id(append: Any) -> Any:
        async def appended(self: Any, project_id: str, drafts: Any, **named: Any) -> Any:
            if await self.log.operation(named["op_id"]) is not None:
                named["op_id"] = uuid7()
            return await append(self, project_id, drafts, **named)

        return appended

    patches.wrap(SqlWriteTx, "standing", again)
    patches.wrap(SqlWriteTx, "append", under_another_id)


def other_hash_accepted(patches: Patches) -> None:
    """The hub takes any operation under a known number for the one it knows.

    Alone it is not found: the replica, too, looks whether the hub speaks of its own operations.
    """
    from context_api.application.sync import push
    from context_api.application.sync.results import result_of

    async def known(under_way: Any, one: Any) -> Any:
        return under_way.kept.get(one.number) or result_of(
            one, "duplicate", seq=under_way.head, head=under_way.head
        )

    patches.wrap(push, "_known", lambda _: known)


def nothing_withheld(patches: Patches) -> None:
    """The hub shows everybody what is PRIVATE."""
    from context_api.application.sync import pull

    patches.wrap(pull, "is_hidden", lambda _: lambda event, hidden: False)


OF_REPLICA: Mapping[str, Plant] = {
    plant.__name__: plant
    for plant in (
        settles_on_push,
        cursor_before_rows,
        last_row_dropped,
        withheld_ignored,
        erased_bodies_kept,
        deletes_ignored,
        epoch_ignored,
        copies_share_an_identity,
        refusals_dropped,
        journal_cut_after_push,
        new_ids_when_sent_again,
    )
}
OF_HUB: Mapping[str, Plant] = {
    plant.__name__: plant
    for plant in (
        repeats_carried_out,
        nothing_withheld,
    )
} | {"copies_share_an_identity": other_hash_accepted}
