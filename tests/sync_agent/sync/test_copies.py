"""Files that were copied, put back or are used by two at once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from sync_agent.sync import State, sync_lock
from tests.support.hub import Hub
from tests.sync_agent.sync.sides import Side, World, world


@pytest.fixture
def here(hub: Hub, tmp_path: Path) -> Iterator[World]:
    with world(hub, tmp_path) as made:
        yield made


def copied(here: World, side: Side, name: str) -> Side:
    """Copies a replica's folder, as `cp -r` does, and opens the copy."""
    side.replica.close()
    shutil.copytree(side.path.parent, here.folder / name)
    side.__post_init__()
    return here.side(name)


@pytest.mark.parametrize("first", ["original", "copy"])
def test_a_copied_folder_is_a_replica_of_its_own(here: World, first: str) -> None:
    original = here.side("original")
    original.create("Synced")
    original.synced()
    original.create("Waiting in both")
    copy = copied(here, original, "copy")
    assert copy.replica.replica_id != original.replica.replica_id
    original.create("Made in the original")
    copy.create("Made in the copy")
    sides = [original, copy] if first == "original" else [copy, original]
    for side in [*sides, *sides]:
        side.synced()
    assert original.shown() == copy.shown()
    titles = sorted(str(document["title"]) for document in here.sessions().values())
    assert titles == ["Made in the copy", "Made in the original", "Synced", "Waiting in both"]
    assert set(here.operations().values()) == {1}


def test_an_older_copy_put_back_takes_a_new_identity_and_loses_nothing(here: World) -> None:
    ann = here.side("ann")
    ann.create("Before the copy")
    ann.synced()
    ann.replica.close()
    kept = here.folder / "kept"
    shutil.copy2(ann.path, kept)
    ann.__post_init__()
    ann.create("After the copy")
    ann.synced()
    known = ann.replica.replica_id
    ann.replica.close()
    # In place, so that the file still looks like itself.
    ann.path.write_bytes(kept.read_bytes())
    ann.__post_init__()
    assert ann.replica.replica_id == known
    ann.create("After it was put back")
    report = ann.synced()
    assert report.repaired == ["forked"]
    assert ann.replica.replica_id != known
    titles = sorted(str(document["title"]) for document in here.sessions().values())
    assert titles == ["After it was put back", "After the copy", "Before the copy"]
    assert len(ann.shown()) == 3
    assert set(here.operations().values()) == {1}


def test_one_syncs_at_a_time(here: World) -> None:
    ann = here.side("ann")
    ann.create()
    with sync_lock(ann.path):
        report = ann.sync()
        assert report.state is State.BUSY
        assert report.problem is not None
        assert report.problem.code == "sync_busy"
        assert report.wire.requests == 0
    assert ann.synced().outcomes == {"accepted": 1}


def hold(path: Path, ready: Connection) -> None:
    with sync_lock(path):
        ready.send(True)
        signal.pause()


def test_a_killed_sync_leaves_no_lock(here: World) -> None:
    ann = here.side("ann")
    ours, theirs = multiprocessing.Pipe()
    holder = multiprocessing.get_context("spawn").Process(target=hold, args=(ann.path, theirs))
    holder.start()
    try:
        assert ours.poll(30)
        assert ann.sync().state is State.BUSY
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)
    finally:
        holder.join(30)
    ann.synced()
