"""Where a replica lies: one for all worktrees, one of its own for a submodule."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from memory_core.errors import InvalidMarker
from memory_core.identity import identify
from sync_agent.errors import ReplicaNotOwn
from sync_agent.places import FILE, FOLDER, check_own, find_replica, index_of, place_of


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com",
         "-c", "protocol.file.allow=always", *arguments],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "begin")
    return folder


def put(folder: Path) -> Path:
    path = place_of(identify(folder), folder)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    return path


def test_it_is_found_from_every_folder_of_the_repository(tmp_path: Path) -> None:
    root = repository(tmp_path / "api")
    below = root / "src" / "deep"
    below.mkdir(parents=True)
    assert find_replica(below) is None
    path = put(below)
    assert path == root / FOLDER / FILE
    assert find_replica(below) == find_replica(root) == path
    assert find_replica(tmp_path) is None
    assert index_of(path) == root / FOLDER / "index.db"


def test_worktrees_share_it(tmp_path: Path) -> None:
    root = repository(tmp_path / "api")
    git(root, "worktree", "add", "-q", str(tmp_path / "feature"))
    other = tmp_path / "feature"
    assert place_of(identify(other), other) == root / FOLDER / FILE
    path = put(root)
    assert find_replica(other) == path


def test_a_submodule_has_its_own(tmp_path: Path) -> None:
    part = repository(tmp_path / "part")
    root = repository(tmp_path / "whole")
    git(root, "submodule", "add", "-q", str(part), "libs/part")
    inner = root / "libs" / "part"
    put(root)
    assert find_replica(inner) is None
    assert place_of(identify(inner), inner) == inner / FOLDER / FILE


def test_outside_a_repository_only_the_folder_itself_counts(tmp_path: Path) -> None:
    plain = tmp_path / "notes"
    (plain / "below").mkdir(parents=True)
    path = put(plain)
    assert find_replica(plain) == path
    assert find_replica(plain / "below") is None


def test_a_marked_folder_never_gets_the_replica_around_it(tmp_path: Path) -> None:
    root = repository(tmp_path / "mono")
    outer = put(root)
    secret = root / "packages" / "secret"
    below = secret / "src"
    below.mkdir(parents=True)
    (secret / ".memctx.toml").write_text('[client]\nhub = "x"\n')
    assert find_replica(below) == outer
    (secret / ".memctx.toml").write_text('[project]\nslug = "secret"\n')
    assert find_replica(below) is find_replica(secret) is None
    assert find_replica(root / "packages") == outer
    assert put(below) == secret / FOLDER / FILE == find_replica(below)
    (secret / ".memctx.toml").write_text("[project\n")
    (secret / FOLDER / FILE).unlink()
    with pytest.raises(InvalidMarker):
        find_replica(below)


def test_a_replica_in_the_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    root = repository(tmp_path / "api")
    assert find_replica(root) is None
    path = place_of(identify(root), root, user=True)
    assert tmp_path in path.parents
    assert root not in path.parents
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert find_replica(root) == path


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_replica_that_others_could_have_written_is_refused(tmp_path: Path, mode: int) -> None:
    path = put(tmp_path)
    path.chmod(mode)
    with pytest.raises(ReplicaNotOwn):
        check_own(path)
    path.chmod(0o600)
    check_own(path)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(ReplicaNotOwn):
        check_own(link)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = put(tmp_path)
    path.chmod(0o600)
    path.parent.chmod(mode)
    with pytest.raises(ReplicaNotOwn, match="folder"):
        check_own(path)
    path.parent.chmod(0o755)
    check_own(path)


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path)
    path.chmod(0o600)
    link = tmp_path / "linked"
    link.symlink_to(path.parent)
    with pytest.raises(ReplicaNotOwn, match="no plain folder"):
        check_own(link / path.name)
