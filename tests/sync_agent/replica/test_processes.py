"""Several processes, and processes that die."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from memory_core.errors import Busy
from memory_core.operations import CreatePattern, CreateSession, Delete, NewMessage, UpdateSession
from memory_core.records import Document, Kind, Ref, Role
from sync_agent.replica import Replica, schema, swap
from sync_agent.replica.file import locked
from sync_agent.replica.records import loads
from tests.sync_agent.replica import child
from tests.sync_agent.replica.hubs import NEW, PROJECT, FakeLog, operation, replay

IN_A_PAGE = ("page-log-written", "page-records-written", "page-cursor-written", "before-commit")


def bases(replica: Replica) -> dict[Ref, Document]:
    with replica._file.reading() as connection:
        found = connection.execute("SELECT kind, id, base FROM records WHERE base NOT NULL")
        return {Ref(Kind(kind), one): loads(base) for kind, one, base in found}


def filled() -> FakeLog:
    log = FakeLog()
    for number in range(3):
        body = CreateSession(
            title=f"session {number}",
            messages=[NewMessage(role=Role.USER, text=f"line {n}") for n in range(5)],
        )
        made = operation(Kind.SESSION, body)
        log.do(made)
    log.do(operation(Kind.SESSION, UpdateSession(title="renamed"), made.record_id))
    log.do(operation(Kind.SESSION, Delete(), made.record_id))
    return log


@pytest.mark.parametrize("failpoint", [*IN_A_PAGE, "after-commit"])
def test_a_page_and_its_cursor_are_there_together_or_not_at_all(
    replica: Replica, tmp_path: Path, failpoint: str
) -> None:
    log = filled()
    replica.apply_page(PROJECT, log.page(0, 7))
    page = child.save_page(tmp_path / "page.json", log.page(7, 7))
    died = child.run("apply", str(replica.path), str(page), failpoint=failpoint)
    assert died.returncode == -signal.SIGKILL, died.stderr
    with Replica.open(replica.path) as again:
        cursor = again.project(PROJECT).cursor
        assert cursor == (14 if failpoint == "after-commit" else 7)
        assert bases(again) == replay(log.events[:cursor])
        assert again.check() == []
        while cursor < len(log.events):
            cursor = again.apply_page(PROJECT, log.page(cursor, 7)).cursor
        assert bases(again) == replay(log.events)


@pytest.mark.parametrize(("failpoint", "count"), [("before-commit", 0), ("after-commit", 1)])
def test_a_write_is_there_or_was_never_said_to_be(
    replica: Replica, failpoint: str, count: int
) -> None:
    died = child.run("write", str(replica.path), "one", "1", failpoint=failpoint)
    assert died.returncode == -signal.SIGKILL, died.stderr
    with Replica.open(replica.path) as again:
        assert len(again.journal(PROJECT)) == len(again.patterns().items) == count
        assert again.check() == []


def test_what_was_said_to_be_written_survives_a_kill_at_any_moment(replica: Replica) -> None:
    made = operation(Kind.SESSION, CreateSession(title="Long"))
    replica.write(PROJECT, made)
    for lines in (3, 17, 40):
        before = len(replica.journal(PROJECT))
        process = child.start("append", str(replica.path), made.record_id)
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(lines)]
        process.kill()
        said += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.wait()
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.close()
        rows = replica.journal(PROJECT)
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        assert said == list(range(before + 1, before + 1 + len(said)))
        assert len(rows) >= said[-1]
        assert len(replica.messages(made.record_id, limit=1_000)) == len(rows) - 1
        assert replica.check() == []


def test_two_processes_write_at_once_and_both_are_there(replica: Replica) -> None:
    processes = [child.start("write", str(replica.path), name, "20") for name in ("left", "right")]
    for process in processes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        assert process.wait(120) == 0
    rows = replica.journal(PROJECT)
    assert [row.number for row in rows] == list(range(1, 41))
    names = {str(item["name"]) for item in replica.patterns(limit=100).items}
    assert names == {f"{name} {number}" for name in ("left", "right") for number in range(20)}


def test_a_writer_that_holds_on_for_long_is_said_honestly(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.2)
    holder = child.start("hold", str(replica.path))
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    with Replica.open(replica.path) as waiting:
        with pytest.raises(Busy, match="another process"):
            waiting.write(PROJECT, operation(Kind.SESSION, CreateSession(title="Late")))
        assert waiting.sessions().items == []
        holder.stdin.write("go\n")
        holder.stdin.close()
        holder.stdout.close()
        assert holder.wait(60) == 0
        waiting.write(PROJECT, operation(Kind.SESSION, CreateSession(title="Late")))
        assert len(waiting.sessions().items) == 1


def test_another_program_that_holds_the_database_is_said_honestly(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.2)
    with (
        Replica.open(replica.path) as waiting,
        closing(sqlite3.connect(replica.path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy, match="another process"):
            waiting.write(PROJECT, operation(Kind.SESSION, CreateSession(title="Late")))
        assert waiting.sessions().items == []
        other.execute("ROLLBACK")
        waiting.write(PROJECT, operation(Kind.SESSION, CreateSession(title="Late")))


def test_while_the_file_is_changed_for_another_a_writer_waits_in_vain(replica: Replica) -> None:
    with (
        locked(replica.path, exclusive=True),
        pytest.raises(Busy),
        locked(replica.path, exclusive=False, wait=0.1),
    ):
        pass


@pytest.mark.parametrize(
    "look",
    [lambda path: Replica.open(path).close(), Replica.salvage],
    ids=["opened again", "salvaged"],
)
def test_what_is_written_stays_when_this_process_looks_at_the_file_twice(
    replica: Replica, look: Callable[[Path], object]
) -> None:
    """Another one that closes must not think it is the last one and take the log away."""

    def written(name: str) -> int:
        body = CreatePattern.model_validate({"pattern_type": "code", "name": name})
        return replica.write(PROJECT, operation(Kind.PATTERN, body)).number

    path = str(replica.path)
    assert written("first") == 1
    look(replica.path)
    assert json.loads(child.run("journal", path).stdout) == [1]
    assert written("second") == 2
    assert child.run("write", path, "another's", "1").returncode == 0
    assert written("fourth") == 4
    replica.close()
    assert json.loads(child.run("journal", path).stdout) == [1, 2, 3, 4]


@pytest.mark.parametrize("failpoint", ["before-swap", "after-swap"])
def test_a_rebuilt_file_takes_the_place_with_all_own_work(replica: Replica, failpoint: str) -> None:
    made = operation(Kind.SESSION, CreateSession(title="Mine"))
    replica.write(PROJECT, made)
    fresh = replica.path.with_name("replica.db.rebuild")
    died = child.run("rebuild", str(replica.path), str(fresh), failpoint=failpoint)
    assert died.returncode == -signal.SIGKILL, died.stderr
    with Replica.open(replica.path) as again:
        assert again.replica_id == replica.replica_id
        assert [row.op_id for row in again.journal(PROJECT)] == [made.op_id]
        assert again.get(Kind.SESSION, made.record_id)["title"] == "Mine"
        assert again.check() == []


def test_who_has_the_old_file_open_goes_on_in_the_new_one(replica: Replica) -> None:
    first = operation(Kind.SESSION, CreateSession(title="First"))
    replica.write(PROJECT, first)
    swap(replica.path, Replica.create(replica.path.with_name("replica.db.rebuild"), NEW))
    second = operation(Kind.SESSION, CreateSession(title="Second"))
    assert replica.write(PROJECT, second).number == 2
    with Replica.open(replica.path) as again:
        assert [row.op_id for row in again.journal(PROJECT)] == [first.op_id, second.op_id]
    left = {path.name for path in replica.path.parent.iterdir()}
    assert left <= {
        "replica.db",
        "replica.db-wal",
        "replica.db-shm",
        "replica.lock",
        "replica.writer",
    }


def test_own_work_is_there_again_after_a_renewal_that_was_killed(replica: Replica) -> None:
    made = operation(Kind.SESSION, CreateSession(title="Mine"))
    replica.write(PROJECT, made)
    replica.close()
    died = child.run("renew", str(replica.path), failpoint="before-renewal")
    assert died.returncode == -signal.SIGKILL, died.stderr
    done = child.run("renew", str(replica.path))
    assert done.returncode == 0, done.stderr
    with Replica.open(replica.path) as again:
        assert again.replica_id
        assert [row.op_id for row in again.journal(PROJECT)] == [made.op_id]
    assert [each.name for each in replica.path.parent.glob("*.rebuilt*")] == []
