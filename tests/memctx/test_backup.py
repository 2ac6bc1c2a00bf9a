"""A backup is whole and of one moment, or it is found out before anything is restored."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memctx import backups
from memory_core.errors import Corrupt, InvalidInput
from memory_core.ids import uuid7
from tests.support.hub import Hub, free_port, running_hub

pytestmark = pytest.mark.slow

NAME = "backup.tar.gz"
DEFAULT_TENANT = "00000000-0000-7000-8000-000000000001"


def fill(hub: Hub, project: str = "acme/shop", sessions: int = 3) -> None:
    with hub.client() as client:
        identity = client.projects.ensure({"slug": project})["id"]
        for number in range(sessions):
            turns = [{"role": "user", "text": f"question {number}, é and 漢"}] * 4
            body: dict[str, Any] = {
                "project": identity, "title": f"Session {number}", "tags": ["one", "Two"],
                "messages": turns,
            }  # fmt: skip
            made = client.sessions.create(body)
            client.sessions.update(made["id"], {"title": f"Renamed {number}"})
        lesson = {"project": identity, "name": "Run ruff first", "pattern_type": "workflow"}
        client.patterns.create(lesson)
        client.context(identity, query="question")


def exported(hub: Hub) -> list[str]:
    """Returns the hub's export without what differs after a restore: time and epochs."""
    with hub.client() as client, client.export() as pieces:
        lines = b"".join(pieces).decode().splitlines()
    return [line for line in lines if '"epoch"' not in line and "exported_at" not in line]


def epochs(hub: Hub) -> dict[str, str]:
    with hub.client() as client:
        return {one["id"]: one["epoch"] for one in client.projects.list()}


def error(done: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)["error"]
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Path]]:
    """A hub with data that stays as it is, and a backup of it."""
    folder = tmp_path_factory.mktemp("saved")
    with running_hub(folder / "hub") as hub:
        fill(hub)
        fill(hub, "acme/api", sessions=1)
        hub.json("backup", str(folder / NAME))
        yield hub, folder / NAME


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Hub]:
    with running_hub(tmp_path / "empty") as hub:
        yield hub


def test_what_a_backup_is(saved: tuple[Hub, Path]) -> None:
    hub, path = saved
    assert path.stat().st_mode & 0o777 == 0o600
    manifest = backups.check(path, lambda _: None)
    [tenant] = manifest.tenants
    with hub.client() as client:
        heads = {one["id"]: one["head"] for one in client.projects.list()}
        for project in tenant.projects:
            [last] = client.projects.events(project.id, after=project.head - 1, limit=1)["items"]
            assert last["digest"] == project.digest
    assert {project.id: project.head for project in tenant.projects} == heads
    assert tenant.events == sum(heads.values())
    assert not manifest.keys
    content = gzip.decompress(path.read_bytes())
    assert b"secret_hash" not in content
    assert hub.key.rpartition("_")[2].encode() not in content


def test_it_is_restored_into_a_scratch_database_and_compared(saved: tuple[Hub, Path]) -> None:
    hub, path = saved
    verified = hub.json("backup", "verify", str(path))
    assert verified["ok"] is True
    assert [tenant["projects"] for tenant in verified["tenants"]] == [2]
    assert hub.json("backup", "--quiet", "verify", str(path)) == verified


def test_a_restored_hub_is_the_same_under_new_epochs(saved: tuple[Hub, Path], empty: Hub) -> None:
    hub, path = saved
    done = empty.json("restore", str(path))
    assert [one["skipped"] for one in done["tenants"]] == [0]
    assert exported(empty) == exported(hub)
    before, after = epochs(hub), epochs(empty)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert empty.json("log", "verify")["ok"] is True
    again = empty.memctx("--json", "restore", str(path))
    assert again.returncode == 1
    assert error(again)["code"] == "conflict"
    assert "--merge" in error(again)["detail"]
    merged = empty.json("restore", "--merge", str(path))
    assert merged["tenants"][0]["events"] == 0
    # Nothing came in, so no client needs to read anything again.
    assert epochs(empty) == after


def test_what_was_erased_since_does_not_come_back(
    fresh_hub: Hub, empty: Hub, tmp_path: Path
) -> None:
    fill(fresh_hub)
    path, listed = tmp_path / NAME, tmp_path / "erased.jsonl"
    fresh_hub.json("backup", str(path))
    with fresh_hub.client() as client:
        gone = [one["id"] for one in client.sessions.list() if one["title"] == "Renamed 1"]
        client.sessions.delete(gone[0], erase=True)
    for _ in range(2):
        assert fresh_hub.json("erasures", "export", str(listed))["erased"] == 1
    assert listed.stat().st_mode & 0o777 == 0o600
    assert "question" not in listed.read_text()
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(listed.read_bytes().splitlines(keepends=True)[:-1]))
    for wrong in (cut, path):
        refused = empty.memctx("--json", "restore", "--erasures", str(wrong), str(path))
        assert error(refused)["code"] == "corrupt"
    [taken] = empty.json("restore", "--erasures", str(listed), str(path))["tenants"]
    assert taken["erased"] == 1
    with empty.client() as client:
        assert sorted(one["title"] for one in client.sessions.list()) == ["Renamed 0", "Renamed 2"]
    assert "question 1" not in "".join(exported(empty))
    assert empty.json("log", "verify")["ok"] is True


def test_what_a_hub_lacks_is_added(saved: tuple[Hub, Path], empty: Hub) -> None:
    _, path = saved
    fill(empty, "acme/own", sessions=1)
    own = epochs(empty)
    taken = empty.json("restore", "--merge", str(path))["tenants"][0]
    assert (taken["projects"], taken["skipped"]) == (2, 0)
    now = epochs(empty)
    assert {project: now[project] for project in own} == own
    assert len(now) == 3


def test_two_logs_of_different_courses_are_not_mixed(saved: tuple[Hub, Path], empty: Hub) -> None:
    hub, path = saved
    empty.json("restore", str(path))
    fill(empty, "acme/shop", sessions=1)
    longer = empty.folder / "longer.tar.gz"
    fill(hub, "acme/shop", sessions=2)
    hub.json("backup", str(longer))
    before = exported(empty)
    refused = empty.memctx("--json", "restore", "--merge", str(longer))
    assert refused.returncode == 1
    assert "another course" in error(refused)["detail"]
    assert [line for line in exported(empty) if line not in before] == []


def test_a_backup_while_others_write_is_of_one_moment(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        fill(hub)
        stop = threading.Event()

        def write() -> None:
            with hub.client() as client:
                while not stop.is_set():
                    body = {"project": "acme/shop", "description": f"state {uuid7()}"}
                    client.checkpoints.create(body)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            paths = [tmp_path / f"{number}.tar.gz" for number in range(3)]
            for path in paths:
                hub.json("backup", str(path))
        finally:
            stop.set()
            writer.join()
        counts = [hub.json("backup", "verify", str(p))["tenants"][0]["events"] for p in paths]
        assert counts == sorted(counts)


def test_every_tenant_and_its_keys(tmp_path: Path, empty: Hub) -> None:
    path = tmp_path / NAME
    with running_hub(tmp_path / "hub") as hub:
        fill(hub)
        made = hub.json("tenants", "add", "Other team", "--owner", "grace")
        theirs = hub.memctx("projects", "add", "other/one", env={"MEMCTX_API_KEY": made["key"]})
        assert theirs.returncode == 0, theirs.stderr
        again = hub.memctx("--json", "tenants", "add", "other TEAM")
        assert error(again)["code"] == "already_exists"
        assert [one["name"] for one in hub.json("tenants", "list")] == ["default", "Other team"]
        hub.json("backup", "--keys", str(path))
        own = hub.memctx("--json", "backup", str(tmp_path / "own"),
                         env={"MEMCTX_API_KEY": made["key"]})  # fmt: skip
        found = json.loads(own.stdout)["data"]["tenants"]
        assert [(one["id"], one["projects"]) for one in found] == [(made["id"], 1)]
        assert hub.json("backup", "verify", str(tmp_path / "own"))["ok"] is True
    assert empty.json("backup", "verify", str(path))["ok"] is True
    assert empty.memctx("restore", str(path)).returncode == 0
    assert len(empty.json("tenants", "list")) == 2
    env = {"MEMCTX_API_KEY": made["key"]}
    assert empty.memctx("projects", "list", env=env).returncode == 1
    taken = empty.json("restore", "--merge", "--keys", str(path))["tenants"]
    assert sorted(one["keys"] for one in taken) == [0, 1]
    listed = empty.memctx("--json", "projects", "list", env=env)
    assert [one["slug"] for one in json.loads(listed.stdout)["data"]] == ["other/one"]


def test_a_restore_of_keys_that_are_not_there(saved: tuple[Hub, Path], empty: Hub) -> None:
    assert empty.memctx("restore", "--keys", str(saved[1])).returncode == 2
    assert empty.json("projects", "list") == []


def test_a_key_that_is_restored_belongs_to_the_tenant_it_came_with(empty: Hub) -> None:
    """An admin cannot bring in a key for another tenant, nor one that is more than a key."""
    other = empty.json("tenants", "add", "Other")
    key = {
        "id": "aaaaaaaaaaaa", "name": "x", "owner": "x", "scopes": ["admin"], "project_ids": None,
        "secret_hash": hashlib.sha256(b"k" * 43).hexdigest(), "revoked_at": None,
        "created_at": "2026-01-01T00:00:00.000000Z", "expires_at": None, "last_used_at": None,
    }  # fmt: skip
    with empty.client(key=other["key"]) as client:
        with client.export() as pieces:
            first, last = b"".join(pieces).splitlines(keepends=True)

        def bring(**changed: Any) -> dict[str, Any]:
            line = json.dumps({"api_key": {**key, **changed}}).encode() + b"\n"
            return dict(client.restore([first, line, last], keys=True))

        for wrong in ({"scopes": ["root"]}, {"id": "x y"}, {"secret_hash": "zz"},
                      {"project_ids": ["x"]}, {"created_at": 5}):  # fmt: skip
            with pytest.raises(InvalidInput):
                bring(**wrong)
        assert bring(tenant_id=DEFAULT_TENANT)["keys"] == 1
        assert bring()["keys"] == 0
        assert "aaaaaaaaaaaa" in {one["id"] for one in client.keys.list()}
    with empty.client() as root:
        assert root.keys.list() == []


def test_where_it_goes(saved: tuple[Hub, Path], tmp_path: Path) -> None:
    hub, _ = saved
    named = hub.json("backup", cwd=tmp_path)["file"]
    assert Path(named).parent == tmp_path
    assert Path(named).name.startswith("memory-context-2")
    (tmp_path / "folder").mkdir()
    inside = hub.json("backup", str(tmp_path / "folder"))
    assert Path(inside["file"]).parent == tmp_path / "folder"
    content = Path(inside["file"]).read_bytes()
    assert inside["sha256"] == hashlib.sha256(content).hexdigest()
    assert inside["bytes"] == len(content)
    assert hub.memctx("backup", inside["file"]).returncode == 2
    assert Path(inside["file"]).read_bytes() == content
    assert hub.memctx("backup", "--force", inside["file"]).returncode == 0
    plain = hub.memctx("backup", str(tmp_path / "shown.tar.gz"))
    assert plain.stdout == f"{tmp_path / 'shown.tar.gz'}\n"
    assert "memctx backup verify" in plain.stderr


def test_one_that_fails_leaves_nothing(fresh_hub: Hub, tmp_path: Path) -> None:
    fill(fresh_hub)
    nowhere = tmp_path / "none" / NAME
    assert fresh_hub.memctx("backup", str(nowhere)).returncode == 1
    reader = fresh_hub.json("keys", "create", "r", "--scope", "read")["key"]
    target = tmp_path / NAME
    assert fresh_hub.memctx("backup", str(target), env={"MEMCTX_API_KEY": reader}).returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


def test_without_a_running_hub(fresh_hub: Hub, tmp_path: Path) -> None:
    """Both work on the data of this machine, and a restore begins where there is none."""
    fill(fresh_hub)
    before = exported(fresh_hub)
    fresh_hub.stop()
    path = tmp_path / NAME
    assert "no hub answers" in fresh_hub.memctx("backup", str(path)).stderr
    new = Hub(tmp_path / "new", free_port())
    new.folder.mkdir()
    done = new.memctx("restore", str(path))
    assert done.returncode == 0, done.stderr
    try:
        new.start()
        assert exported(new) == before
    finally:
        new.stop()


def rewritten(path: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Writes an archive whose members are what ``change`` makes of those of ``path``."""
    with tarfile.open(path) as old, tarfile.open(target, "w:gz") as new:
        for entry in old:
            file = old.extractfile(entry)
            assert file is not None
            content = change(entry.name, file.read())
            if content is not None:
                entry.size = len(content)
                new.addfile(entry, io.BytesIO(content))


def forged(path: Path, target: Path) -> None:
    """Changes a text and makes the manifest agree, as somebody who wants to deceive would."""
    digests: dict[str, str] = {}

    def change(name: str, content: bytes) -> bytes:
        if name != backups.MANIFEST:
            changed = content.replace(b"question 1", b"question 9")
            assert changed != content
            was = hashlib.sha256(content).hexdigest()
            digests[was] = hashlib.sha256(changed).hexdigest()
            return changed
        text = content.decode()
        for was, now in digests.items():
            text = text.replace(was, now)
        return text.encode()

    rewritten(path, target, change)


def without(wanted: str) -> Callable[[str, bytes], bytes | None]:
    return lambda name, content: None if wanted in name else content


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "cut": lambda p, t: t.write_bytes(p.read_bytes()[:-300]),
    "half": lambda p, t: t.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "empty": lambda _, t: t.write_bytes(b""),
    "text": lambda _, t: t.write_text("no backup"),
    "gzip of something": lambda _, t: t.write_bytes(gzip.compress(b"something" * 2000)),
    "no manifest": lambda p, t: rewritten(p, t, without(backups.MANIFEST)),
    "no log": lambda p, t: rewritten(p, t, without("log-00001")),
    "log changed": lambda p, t: rewritten(
        p, t, lambda n, c: c.replace(b"question 1", b"question 9")
    ),
    "manifest is no JSON": lambda p, t: rewritten(
        p, t, lambda n, c: b"{" if n == backups.MANIFEST else c
    ),
    "manifest of another release": lambda p, t: rewritten(
        p, t, lambda n, c: c.replace(b'"version": 1', b'"version": 2')
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_found_out_before_anything_is_restored(
    saved: tuple[Hub, Path], hub: Hub, tmp_path: Path, damage: str
) -> None:
    target = tmp_path / NAME
    DAMAGES[damage](saved[1], target)
    for command in (("backup", "verify"), ("restore",)):
        done = hub.memctx("--json", *command, str(target))
        assert done.returncode == 1, done.stdout
        assert error(done)["code"] == "corrupt"
        assert str(target) in error(done)["detail"]
    assert hub.json("projects", "list") == []


def test_a_forged_backup_does_not_verify_nor_restore(
    saved: tuple[Hub, Path], empty: Hub, tmp_path: Path
) -> None:
    """The parts match their manifest, but an event does not match its digest."""
    target = tmp_path / NAME
    forged(saved[1], target)
    done = empty.memctx("--json", "backup", "verify", str(target))
    assert (done.returncode, error(done)["code"]) == (1, "check_failed")
    assert "does not match its digest" in error(done)["detail"]
    assert empty.memctx("restore", str(target)).returncode == 2


@pytest.mark.parametrize("field", ["head", "digest", "events", "view_digest"])
def test_every_figure_of_the_manifest_is_compared(
    saved: tuple[Hub, Path], tmp_path: Path, field: str
) -> None:
    hub, path = saved
    target = tmp_path / NAME

    def change(name: str, content: bytes) -> bytes:
        if name != backups.MANIFEST:
            return content
        document = json.loads(content)
        tenant = document[backups.FORMAT]["tenants"][0]
        held = tenant["projects"][0] if field in {"head", "digest"} else tenant
        held[field] = held[field] + 1 if isinstance(held[field], int) else "0" * 64
        return json.dumps(document).encode()

    rewritten(path, target, change)
    done = hub.memctx("--json", "backup", "verify", str(target))
    assert (done.returncode, error(done)["code"]) == (1, "check_failed")


def test_nothing_of_an_archive_is_written_by_its_names(tmp_path: Path) -> None:
    target = tmp_path / NAME
    with tarfile.open(target, "w:gz") as archive:
        for name in ("../../evil", "/tmp/evil", "a\x1b[31m"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"x"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(Corrupt, match="no backup has"):
        backups.check(target, lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@given(st.data())
def test_any_flipped_bit_is_found(saved: tuple[Hub, Path], data: st.DataObject) -> None:
    """Bytes of gzip's own head that say nothing about the content may differ."""
    content = bytearray(saved[1].read_bytes())
    at = data.draw(st.integers(10, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    target = saved[1].with_name("flipped.tar.gz")
    target.write_bytes(content)
    try:
        found = backups.check(target, lambda _: None)
    except Corrupt:
        return
    assert found == backups.check(saved[1], lambda _: None)


def test_a_light_installation_says_that_it_cannot_verify(saved: tuple[Hub, Path]) -> None:
    import subprocess
    import sys

    hub, path = saved
    script = "import sys; sys.modules['sqlalchemy'] = None; import memctx.__main__ as m; "
    done = subprocess.run(
        [sys.executable, "-c", script + f"sys.exit(m.main(['backup', 'verify', {str(path)!r}]))"],
        env=hub.environ, cwd=hub.folder, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'memory-context[server]'" in done.stderr
