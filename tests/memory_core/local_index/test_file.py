"""The file: it survives a kill, says what is wrong with it, and can be deleted at any time."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.errors import Busy, Corrupt, InvalidInput, InvalidTime, Unavailable
from memory_core.local_index import LocalIndex
from memory_core.recall.lexical import score_lexically
from memory_core.recall.stored import FORMAT
from memory_core.records import Kind, Ref
from memory_core.text.tokens import Term, query_terms
from tests.memory_core.recall.records import PROJECT, embed, identity, opened, record

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from pathlib import Path
from memory_core.local_index import LocalIndex
from memory_core.records import Kind, Ref
from tests.memory_core.recall.records import PROJECT, identity, record
index = LocalIndex.open(Path(sys.argv[1]))
seq = index.progress(PROJECT).lexical_seq
while True:
    seq += 1
    made = [
        record(f"r{seq} {n}", f"batch{seq} part{n} text", position=n, session=f"s{seq}", seq=seq)
        for n in range(20)
    ]
    old = [Ref(Kind.MESSAGE, identity(f"r{seq - 3} {n}")) for n in range(20)]
    index.apply(PROJECT, seq, made, old)
    print(seq, flush=True)
"""


def kept_batches(path: Path) -> tuple[int, set[int]]:
    """Returns the progress and the batches that are there whole, and checks that none is half."""
    index = LocalIndex.open(path)
    seq = index.progress(PROJECT).lexical_seq
    view = index.view(PROJECT)
    whole = set()
    for batch in range(1, seq + 2):
        scores = score_lexically(view, [Term(f"batch{batch}", exact=True)])
        found = int((scores.chunk > 0).sum())
        assert found in {0, 20}, f"batch {batch} has {found} of 20"
        if found:
            whole.add(batch)
    index.close()
    return seq, whole


@pytest.mark.slow
def test_a_kill_leaves_progress_and_rows_that_agree(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    acknowledged = 0
    chance = random.Random(5)
    for _ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        assert writer.stdout is not None
        for _ in range(chance.randint(1, 6)):
            acknowledged = int(writer.stdout.readline())
        stop = threading.Timer(chance.random() / 50, os.kill, (writer.pid, signal.SIGKILL))
        stop.start()
        rest = writer.stdout.read().split()
        writer.wait()
        stop.join()
        writer.stdout.close()
        acknowledged = max([acknowledged, *map(int, rest)])
        seq, whole = kept_batches(path)
        assert acknowledged <= seq <= acknowledged + 1
        assert whole == set(range(max(1, seq - 2), seq + 1))


def test_a_deleted_file_is_an_empty_index(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = LocalIndex.open(path)
    index.apply(PROJECT, 7, [record("a", "parser")], [])
    index.close()
    for file in tmp_path.iterdir():
        file.unlink()
    index = LocalIndex.open(path)
    assert index.progress(PROJECT).lexical_seq == 0
    assert index.view(PROJECT).live == 0
    index.close()


@pytest.mark.parametrize(
    "content", [b"this is not a database, it is a story " * 200, b"\x00" * 9_000]
)
def test_a_file_that_is_no_database_says_how_to_mend_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(content)
    with pytest.raises(Corrupt, match="delete this file"):
        LocalIndex.open(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    with pytest.raises(Corrupt, match="not an index"):
        LocalIndex.open(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM precious").fetchone() == (0,)
    connection.close()


def test_damage_inside_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = LocalIndex.open(path)
    index.apply(PROJECT, 1, [record(f"r{n}", f"text {n}", position=n) for n in range(300)], [])
    index.close()
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)

    def read() -> None:
        LocalIndex.open(path).view(PROJECT)

    with pytest.raises(Corrupt, match="delete this file"):
        read()


def test_an_older_format_begins_anew_but_keeps_vectors(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = LocalIndex.open(path)
    index.apply(PROJECT, 1, [record("a", "parser")], [])
    embed(index, HashingEmbedder(16))
    index.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    index = LocalIndex.open(path)
    assert index.progress(PROJECT).lexical_seq == 0
    index.use_model(HashingEmbedder(16).model, 16)
    index.apply(PROJECT, 1, [record("a", "parser")], [])
    assert index.pending_texts(5) == []
    index.close()


def test_a_closed_index_says_so(tmp_path: Path) -> None:
    index = LocalIndex.open(tmp_path / "index.db")
    index.close()
    for call in (
        lambda: index.view(PROJECT),
        lambda: index.apply(PROJECT, 1, [], []),
        lambda: index.progress(PROJECT),
    ):
        with pytest.raises(Unavailable, match="closed"):
            call()
    index.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be used"):
        LocalIndex.open(tmp_path / "missing" / "index.db")


def test_two_openings_of_one_file_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    one, two = LocalIndex.open(path), LocalIndex.open(path)
    one.apply(PROJECT, 1, [record("a", "parser")], [])
    assert two.view(PROJECT).live == 1
    two.apply(PROJECT, 2, [record("b", "cache", position=1)], [Ref(Kind.MESSAGE, identity("a"))])
    assert [one.view(PROJECT).units.refs[-1].id, one.view(PROJECT).live] == [identity("b"), 1]
    one.close()
    two.close()


def test_a_writer_that_holds_the_file_makes_others_busy(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = LocalIndex.open(path)
    index._writer.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        index.apply(PROJECT, 1, [record("a", "parser")], [])
    other.execute("ROLLBACK")
    other.close()
    index.apply(PROJECT, 1, [record("a", "parser")], [])
    assert index.view(PROJECT).live == 1
    index.close()


def test_a_bad_record_writes_nothing() -> None:
    with opened() as index:
        with pytest.raises(InvalidInput, match="another project"):
            index.apply(PROJECT, 1, [record("a", "x", project_id=identity("other"))], [])
        good, bad = record("a", "x"), record("b", "y", created_at="yesterday")
        with pytest.raises(InvalidTime):
            index.apply(PROJECT, 1, [good, bad], [])
        assert index.progress(PROJECT).lexical_seq == 0
        assert index.view(PROJECT).live == 0


def test_late_work_does_not_move_progress_back() -> None:
    with opened() as index:
        index.apply(PROJECT, 9, [], [])
        index.apply(PROJECT, 4, [record("a", "x")], [])
        assert index.progress(PROJECT).lexical_seq == 9


def test_odd_texts_are_kept() -> None:
    odd = ["", "\x00", "\ud800 lone", "🙂", "a" * 300_000, "line\u2028line"]
    with opened() as index:
        records = [
            record(f"r{n}", text, position=n, author=text[:50]) for n, text in enumerate(odd)
        ]
        index.apply(PROJECT, 1, records, [])
        embed(index, HashingEmbedder(16))
        assert index.view(PROJECT).live_units == len(odd)
        index.apply(PROJECT, 2, records, [])
        assert index.view(PROJECT).units.refs[-1].id == identity("r5")


def test_many_deletions_are_forgotten_in_file_and_memory(tmp_path: Path) -> None:
    with opened(tmp_path) as index:
        for seq in range(1, 14):
            batch = [record(f"r{n}", f"text {seq} {n}", position=n, seq=seq) for n in range(150)]
            index.apply(PROJECT, seq, batch, [])
            view = index.view(PROJECT)
            assert view.live == 150
            assert view.size <= 150 * 2
        (rows,) = index._writer.execute("SELECT count(*) FROM units").fetchone()
        assert rows <= 1_000 + 150 * 2


def test_views_used_longest_ago_are_forgotten() -> None:
    projects = [identity(f"p{n}") for n in range(6)]
    with opened() as index:
        index._memory_bytes = 1
        for project in projects:
            index.apply(project, 1, [record("a" + project, "parser", project_id=project)], [])
        for project in projects * 2:
            assert index.view(project).live == 1
            assert list(index._loaded) == [project]


def test_threads_share_an_index() -> None:
    embedder = HashingEmbedder(16)
    failures: list[Exception] = []
    done = threading.Event()

    def read(index: LocalIndex) -> None:
        seen = 0
        try:
            while not done.is_set():
                view = index.view(PROJECT)
                assert view.live >= seen
                seen = view.live
                scores = score_lexically(view, query_terms("text parser"))
                assert scores.chunk.size == view.size
                index.similarities(view, embedder.model, embedder.embed_query("text"))
                index.progress(PROJECT)
        except Exception as error:  # noqa: BLE001 (a thread's failure must reach the test)
            failures.append(error)

    with opened() as index:
        readers = [threading.Thread(target=read, args=(index,)) for _ in range(4)]
        for reader in readers:
            reader.start()
        for seq in range(1, 30):
            records = [
                record(f"r{seq} {n}", f"text {seq} {n}", position=n, session=f"s{seq}")
                for n in range(10)
            ]
            index.apply(PROJECT, seq, records, [])
            embed(index, embedder)
        done.set()
        for reader in readers:
            reader.join()
        assert failures == []
        assert index.view(PROJECT).live == 290
