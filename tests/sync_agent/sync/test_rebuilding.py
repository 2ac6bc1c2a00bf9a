"""A log that begins another life: a restored hub, another reader, a log taken as a snapshot."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from memory_core.clock import from_datetime, now, to_datetime
from memory_core.ids import uuid7
from memory_core.operations import CreatePattern, Operation
from memory_core.records import Kind, PatternType, Privacy
from sync_agent.replica import Limits
from sync_agent.sync import State
from tests.support.hub import Hub
from tests.sync_agent.sync.lossy import Fault
from tests.sync_agent.sync.sides import World, world


@pytest.fixture
def here(fresh_hub: Hub, tmp_path: Path) -> Iterator[World]:
    with world(fresh_hub, tmp_path / "replicas") as made:
        yield made


def backup(hub: Hub) -> bytes:
    with hub.client(budget=10.0) as client, client.export(keys=True) as pieces:
        return b"".join(pieces)


def restore(hub: Hub, kept: bytes) -> None:
    """Loses the hub's data and takes a backup in."""
    hub.stop()
    shutil.rmtree(hub.data_dir)
    hub.start()
    with hub.client(budget=10.0) as client:
        client.restore([kept], mode="empty", keys=True)


def titles(here: World) -> list[str]:
    return sorted(str(document["title"]) for document in here.sessions().values())


def test_a_hub_restored_from_a_backup_gets_again_what_it_lacks(here: World) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    first = ann.create("In the backup")
    ann.synced()
    kept = backup(here.hub)
    ann.create("After the backup")
    ann.rename(first, "Renamed after the backup")
    ann.synced()
    bob.synced()
    bob.create("Offline all the time")
    restore(here.hub, kept)
    report = ann.synced()
    assert report.repaired[0] == "rebuilt"
    assert report.outcomes["accepted"] == 2
    for side in (bob, ann, bob):
        side.synced()
    assert titles(here) == ["After the backup", "Offline all the time", "Renamed after the backup"]
    assert ann.shown() == bob.shown()
    assert set(here.operations().values()) == {1}
    operations = here.operations()
    assert ann.unaccounted(operations) == bob.unaccounted(operations) == []
    assert not list(ann.path.parent.glob("*.rebuilt*"))


@pytest.mark.parametrize("ahead", [0, 5])
def test_a_hub_whose_files_were_put_back_keeps_its_epoch_and_is_noticed(
    here: World, tmp_path: Path, ahead: int
) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    ann.create("In the copy")
    ann.synced()
    bob.synced()
    here.hub.stop()
    shutil.copytree(here.hub.data_dir, tmp_path / "copy")
    here.hub.start()
    ann.create("Lost with the disk")
    ann.synced()
    here.hub.stop()
    shutil.rmtree(here.hub.data_dir)
    shutil.copytree(tmp_path / "copy", here.hub.data_dir)
    here.hub.start()
    for number in range(ahead):
        bob.create(f"Meanwhile {number}")
    bob.synced()
    assert ann.synced().repaired == ["rebuilt"]
    bob.synced()
    assert ann.shown() == bob.shown()
    assert "Lost with the disk" in titles(here)
    assert set(here.operations().values()) == {1}


def test_what_is_written_during_a_rebuild_is_kept(here: World) -> None:
    ann = here.side("ann")
    ann.create("Before")
    ann.synced()
    kept = backup(here.hub)
    restore(here.hub, kept)
    other = here.side("ann")
    pull = ann.line.inner.pull
    made: list[str] = []

    def pull_and_write(*arguments: object) -> object:
        page = pull(*arguments)  # type: ignore[arg-type]
        if not made:
            made.append(other.create("During"))
        return page

    ann.line.inner.pull = pull_and_write  # type: ignore[method-assign,assignment]
    report = ann.synced()
    assert report.repaired == ["rebuilt"]
    assert made[0] in here.sessions()
    assert "pending" not in ann.session(made[0])
    assert other.session(made[0]) == ann.session(made[0])


def test_a_rebuild_that_is_cut_off_leaves_the_old_file_in_use(here: World) -> None:
    ann = here.side("ann")
    session = ann.create("Still readable")
    ann.synced()
    restore(here.hub, backup(here.hub))
    inode = ann.path.stat().st_ino
    ann.line.plan = [None, Fault.REQUEST_LOST]
    report = ann.sync()
    assert report.state is State.STOPPED
    assert ann.path.stat().st_ino == inode
    assert ann.session(session)["title"] == "Still readable"
    assert sorted(path.name for path in ann.path.parent.glob("*.rebuilt*")) == []
    assert ann.synced().repaired == ["rebuilt"]
    assert ann.path.stat().st_ino != inode


def test_a_key_of_somebody_else_reads_only_what_that_one_may(here: World) -> None:
    with here.hub.client() as client:
        keys = {
            owner: client.keys.create({"name": owner, "owner": owner, "scopes": ["read", "write"]})
            for owner in ("ada", "bob")
        }
    ann = here.side("ann", key=str(keys["ada"]["key"]))
    private = ann.create("Ada's own", privacy_level=Privacy.PRIVATE)
    open_to_all = ann.create("For the team")
    ann.synced()
    ann.line = here.line(key=str(keys["bob"]["key"]))
    report = ann.synced()
    assert report.repaired == ["forked", "rebuilt"]
    assert not ann.knows(private)
    assert ann.knows(open_to_all)


def test_a_long_log_comes_as_a_snapshot_within_limits(here: World) -> None:
    ann = here.side("ann")
    sessions = [ann.create(f"Session {number}", "one", "two") for number in range(6)]
    for number in range(4):
        body = CreatePattern(pattern_type=PatternType.DECISION, name=f"Pattern {number}")
        ann.write(Operation(op_id=uuid7(), kind=Kind.PATTERN, record_id=uuid7(), body=body))
    ann.delete(sessions[1])
    ann.synced()
    bob = here.side("bob")
    limits = Limits(max_sessions=3, max_patterns=2)
    report = bob.synced(snapshot_above=5, limits=limits)
    assert report.records > 0
    assert bob.replica.project(bob.project_id).cursor == ann.replica.project(ann.project_id).cursor
    assert [bob.knows(session) for session in sessions] == [False] * 3 + [True] * 3
    assert len(bob.replica.messages(sessions[5])) == 2
    ann.rename(sessions[5], "Renamed later")
    ann.append(sessions[5], "three")
    ann.delete(sessions[4])
    ann.synced()
    assert bob.synced().pulled == 3
    assert bob.session(sessions[5]) == ann.session(sessions[5])
    assert not bob.knows(sessions[4])


def test_a_snapshot_that_was_cut_off_begins_again_without_what_was_deleted(here: World) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    sessions = [ann.create(f"Session {number}") for number in range(8)]
    ann.synced()
    snapshot = bob.line.inner.snapshot

    def short(project_id: str, request: object) -> object:
        changed = request.__class__(limit=3, cursor=request.cursor)  # type: ignore[attr-defined,call-arg]
        return snapshot(project_id, changed)

    bob.line.inner.snapshot = short  # type: ignore[method-assign,assignment]
    bob.line.plan = [None, None, None, Fault.REQUEST_LOST]
    assert bob.sync(snapshot_above=5).state is State.STOPPED
    for session in sessions:
        ann.delete(session, erase=True)
    ann.synced()
    bob.synced(snapshot_above=5)
    assert not any(bob.knows(session) for session in sessions)
    assert not [
        change for change in bob.replica.changes(bob.project_id, 0) if change.document is not None
    ]


def test_everything_can_be_read_again(here: World) -> None:
    ann = here.side("ann")
    ann.create("One", "and a message")
    ann.synced()
    ann.create("Not pushed yet")
    shown, inode = ann.shown(), ann.path.stat().st_ino
    report = ann.synced(full=True)
    assert (report.repaired, report.outcomes) == (["rebuilt"], {"accepted": 1})
    assert ann.path.stat().st_ino != inode
    assert ann.shown().keys() == shown.keys()
    assert set(here.operations().values()) == {1}


def test_what_is_over_the_limits_leaves_the_replica_and_not_the_hub(here: World) -> None:
    ann = here.side("ann")
    sessions = [ann.create(f"Session {number}") for number in range(5)]
    limits = Limits(max_sessions=2)
    report = ann.synced(limits=limits)
    assert report.evicted == 3
    assert [ann.knows(session) for session in sessions] == [False] * 3 + [True] * 2
    assert len(here.sessions()) == 5


def test_a_clock_that_is_wrong_empties_no_replica(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = here.side("ann")
    session = ann.create("Made today")
    ann.synced()
    later = from_datetime(to_datetime(now()) + timedelta(days=400))
    monkeypatch.setattr("sync_agent.sync.cycle.now", lambda: later)
    monkeypatch.setattr("sync_agent.replica.care.now", lambda: later)
    ann.append(session, "on a machine whose clock is a year ahead")
    ann.synced()
    assert ann.knows(session)
    assert len(ann.replica.journal(ann.project_id)) == 2


def test_a_copy_that_a_killed_process_left_is_gone_with_the_next_cycle(here: World) -> None:
    """No erasure would reach it."""
    ann = here.side("ann")
    ann.create("To be erased")
    left = ann.replica.path.with_name("replica.db.rebuilt")
    left.write_bytes(ann.replica.path.read_bytes())
    ann.synced()
    assert not left.exists()
