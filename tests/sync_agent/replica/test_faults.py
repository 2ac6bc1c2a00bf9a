"""Files that are damaged, copied, too new, full or not to be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from memory_core.errors import Corrupt, StorageFull
from memory_core.operations import CreateSession, NewMessage
from memory_core.records import Kind, Role
from sync_agent.errors import ReplicaNotOwn, ReplicaReadOnly, ReplicaTooNew
from sync_agent.replica import Replica, State, identity, set_aside
from sync_agent.replica.journal import entry_of
from sync_agent.replica.meta import set_meta
from sync_agent.replica.schema import FORMAT
from tests.sync_agent.replica.hubs import NEW, PROJECT, FakeLog, operation


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """Mounts a small tmpfs; skips where that is not possible."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"no tmpfs can be mounted here: {done.stderr}")
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def session(title: str, *lines: str):  # type: ignore[no-untyped-def]
    messages = [NewMessage(role=Role.USER, text=line) for line in lines]
    return operation(Kind.SESSION, CreateSession(title=title, messages=messages))


def written(folder: Path, count: int = 40) -> Path:
    """Makes a replica with some work in it, closed."""
    with Replica.create(folder / "replica.db", NEW) as replica:
        for number in range(count):
            replica.write(PROJECT, session(f"session {number}", "a line of text " * 20))
    return folder / "replica.db"


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir()}


def is_found_damaged(path: Path) -> bool:
    """Says whether opening the file or looking it over shows that it is damaged."""
    try:
        with Replica.open(path) as replica:
            return bool(replica.check())
    except Corrupt:
        return True


def test_a_newer_format_is_refused_and_not_a_byte_is_changed(tmp_path: Path) -> None:
    path = written(tmp_path, 2)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = {
        each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in tmp_path.iterdir()
    }
    with pytest.raises(ReplicaTooNew, match="upgrade memory-context"):
        Replica.open(path)
    assert contents(tmp_path) == before


def test_a_replica_that_came_with_a_repository_is_never_opened(tmp_path: Path) -> None:
    """Git keeps no modes: a file of a clone is readable for others."""
    path = written(tmp_path, 2)
    path.chmod(0o644)
    before = contents(tmp_path)
    with pytest.raises(ReplicaNotOwn):
        Replica.open(path)
    assert contents(tmp_path) == before


def test_a_folder_that_git_has_made_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / ".memctx"
    folder.mkdir()
    folder.chmod(0o775)
    Replica.open(written(folder, 1)).close()
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("here", "copied"),
    [
        ("machine 5 77", False),
        ("container 5 77", False),
        ("machine 6 77", False),
        ("machine 5 78", True),
        ("other 6 77", True),
        ("host name 6 77", True),
    ],
)
def test_the_same_file_seen_from_elsewhere_is_no_copy(here: str, *, copied: bool) -> None:
    assert identity.is_copy("machine 5 77", here) is copied
    assert identity.is_copy(here, "machine 5 77") is copied


def test_a_file_in_its_place_keeps_its_identity_when_the_machine_has_another_name(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, 2)
    with Replica.open(path) as replica:
        known = replica.replica_id
        device, inode = str(replica._meta("fingerprint")).split()[-2:]
        with replica._file.writing() as connection:
            set_meta(connection, "fingerprint", f"container {device} {inode}")
    with Replica.open(path) as replica:
        assert replica.replica_id == known


@pytest.mark.parametrize("content", [b"", b"short", b"not a database at all " * 400])
def test_what_is_no_replica_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "replica.db"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Corrupt, match="damaged"):
        Replica.open(path)
    assert Replica.salvage(path).rows == ()
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "replica.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    path.chmod(0o600)
    with pytest.raises(Corrupt, match="something else"):
        Replica.open(path)


def test_a_file_cut_off_is_noticed_and_its_first_rows_saved(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = Replica.salvage(path)
    assert len(whole.rows) == 40
    os.truncate(path, path.stat().st_size // 2)
    assert is_found_damaged(path)
    saved = Replica.salvage(path)
    assert 0 < len(saved.rows) < 40
    assert saved.replica_id == whole.replica_id
    assert {row.op_id for row in saved.rows} < {row.op_id for row in whole.rows}


def test_one_damaged_page_costs_only_the_rows_on_it(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = {row.op_id for row in Replica.salvage(path).rows}
    for name in (b"session 20", b"session 21"):
        content = path.read_bytes()
        # The journal's own row holds the text under its number; a page is 4,096 bytes.
        place = content.index(b'"title":"' + name) // 4096 * 4096
        with path.open("r+b") as stream:
            stream.seek(place)
            stream.write(b"\xff" * 4096)
    saved = Replica.salvage(path)
    assert 0 < len(saved.rows) < len(whole) or {row.op_id for row in saved.rows} == whole
    assert is_found_damaged(path)


def test_a_changed_row_is_found_and_not_salvaged(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE journal SET body = replace(body, 'session 1', 'session 9')")
        connection.commit()
    with Replica.open(path) as replica:
        (damage,) = replica.check()
        assert (damage.table, damage.key) == ("journal", "acme/api 2")
    saved = Replica.salvage(path)
    assert [row.number for row in saved.rows] == [1, 3]
    assert saved.unreadable == 1


def test_a_changed_record_is_found(replica: Replica, log: FakeLog) -> None:
    log.do(session("Pulled"))
    replica.apply_page(PROJECT, log.page(0))
    with replica._file.writing() as connection:
        connection.execute("UPDATE records SET base = replace(base, 'Pulled', 'Forged')")
    (damage,) = replica.check()
    assert damage.table == "records"
    assert len(replica.damaged_roots(PROJECT)) == 1


def test_a_damaged_file_is_set_aside_and_its_work_goes_on_in_a_new_one(tmp_path: Path) -> None:
    path = written(tmp_path, 5)
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size - 4096)
        stream.write(b"\xff" * 4096)
    aside = set_aside(path, "2026-11-21T22:00:00.000000Z")
    assert aside.name == "replica.db.damaged-20261121220000"
    assert not path.exists()
    saved = Replica.salvage(aside)
    assert saved.replica_id is not None
    with Replica.create(path, NEW, replica_id=saved.replica_id) as fresh:
        assert fresh.carry(saved.rows) == len(saved.rows) > 0
        assert fresh.replica_id == saved.replica_id
        shown = {str(item["title"]) for item in fresh.sessions().items}
        assert len(shown) == len(saved.rows)
        # The next number is one that the hub has not seen under this identity.
        last = max(row.number for row in saved.rows)
        assert fresh.write(PROJECT, session("next")).number == last + 1
        assert fresh.check() == []


def fill(replica: Replica, done: list[str]) -> None:
    for number in range(500):
        made = session(f"session {number}", "words " * 2_000)
        replica.write(PROJECT, made)
        done.append(made.op_id)


@pytest.mark.parametrize("where", ["beside", "elsewhere"])
def test_a_copy_takes_an_identity_of_its_own(tmp_path: Path, where: str, log: FakeLog) -> None:
    path = written(tmp_path, 4)
    with Replica.open(path) as replica:
        rows = replica.journal(PROJECT)
        first = log.push(1, entry_of(rows[0]).operation, rows[0].at, rows[0].hash)
        other = session("refused")
        refused = log.push(2, other, rows[1].at, rows[1].hash)
        replica.store_results(PROJECT, [first])
        replica.apply_page(PROJECT, log.page(0))
        original = replica.replica_id
    del refused
    folder = tmp_path if where == "beside" else tmp_path / "copy"
    folder.mkdir(exist_ok=True)
    copy = folder / "copy.db"
    shutil.copy(path, copy)
    with Replica.open(copy) as copied, Replica.open(path) as replica:
        assert copied.replica_id != original == replica.replica_id
        assert [row.number for row in copied.journal(PROJECT)] == [1, 2, 3, 4]
        assert [row.op_id for row in copied.journal(PROJECT)] == [row.op_id for row in rows]
        assert copied.journal(PROJECT)[0].state is State.SETTLED
        assert copied.check() == []
        named = copied.replica_id
    with Replica.open(copy) as again:
        assert again.replica_id == named


def test_a_moved_file_stays_who_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    with Replica.open(path) as replica:
        named = replica.replica_id
    moved = tmp_path / "moved.db"
    path.rename(moved)
    with Replica.open(moved) as replica:
        assert replica.replica_id == named


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "size=2m") as folder:
        with Replica.create(folder / "replica.db", NEW) as replica:
            done: list[str] = []
            with pytest.raises(StorageFull):
                fill(replica, done)
            assert len(done) > 10
            assert [row.op_id for row in replica.journal(PROJECT)] == done
            assert replica.check() == []
            mounted = ["mount", "-o", "remount,size=16m", str(folder)]
            subprocess.run(mounted, check=True)
            replica.write(PROJECT, session("after"))
        with Replica.open(folder / "replica.db") as again:
            assert len(again.journal(PROJECT)) == len(done) + 1
            assert again.check() == []


def test_a_page_that_does_not_fit_leaves_the_cursor_where_it_was(
    tmp_path: Path, log: FakeLog
) -> None:
    for _ in range(4):
        log.do(session("big", *["words " * 20_000 for _ in range(10)]))
    with (
        tmpfs(tmp_path / "small", "size=2m") as folder,
        Replica.create(folder / "replica.db", NEW) as replica,
    ):
        with pytest.raises(StorageFull):
            replica.apply_page(PROJECT, log.page(0))
        assert replica.project(PROJECT).cursor == 0
        assert replica.sessions().items == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        assert replica.apply_page(PROJECT, log.page(0)).cursor == len(log.events)
        assert replica.check() == []


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "folder", "size=8m") as folder:
        written(folder, 1)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with pytest.raises(ReplicaReadOnly, match="must be writable"):
            Replica.open(folder / "replica.db")
        with pytest.raises(ReplicaReadOnly):
            Replica.create(folder / "other.db", NEW)
