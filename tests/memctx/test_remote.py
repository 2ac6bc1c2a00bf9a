"""`memctx remote`: the hub of a repository, written into its marker."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import Hub, run_memctx

KEY = "mctx_0123456789ab_" + "k" * 43
MARKER = '# Ours.\n[project]\nslug = "acme/api"  # the name\n'


class Place:
    """A repository of a user who has nothing else."""

    def __init__(self, root: Path) -> None:
        self.repository, self.home = root / "api", root / "home"
        (self.repository / ".git").mkdir(parents=True)
        (self.repository / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        (self.repository / "deep").mkdir()
        self.home.mkdir()
        self.marker = self.repository / ".memctx.toml"

    def memctx(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        environ |= {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}
        return run_memctx(arguments, environ, self.repository / "deep")

    def json(self, *arguments: str) -> Any:
        done = self.memctx("--json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["data"]

    def user(self, text: str) -> None:
        folder = self.home / ".config" / "memory-context"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(text)
        (folder / "config.toml").chmod(0o600)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_hub_is_added_to_the_marker_of_the_repository_and_taken_out_again(place: Place) -> None:
    place.marker.write_text(MARKER)
    added = place.json("remote", "add", "http://127.0.0.1:9/")
    assert added["url"] == "http://127.0.0.1:9"
    expected = MARKER + '\n[client]\nhub = "hub"\n\n[hubs.hub]\nurl = "http://127.0.0.1:9"\n'
    assert place.marker.read_text() == expected
    [listed] = place.json("remote", "list")
    assert (listed["name"], listed["used"], listed["denied"]) == ("hub", True, False)
    place.json("remote", "remove", "hub")
    assert place.marker.read_text() == MARKER
    assert place.json("remote", "list") == []


def test_a_repository_without_a_marker_gets_one_that_others_may_read(place: Place) -> None:
    place.json("remote", "add", "http://127.0.0.1:9", "--name", "home")
    assert place.marker.stat().st_mode & 0o777 == 0o644
    assert {path.name for path in place.repository.iterdir()} == {".git", ".memctx.toml", "deep"}


def test_the_last_hub_that_was_added_is_used(place: Place) -> None:
    place.json("remote", "add", "http://127.0.0.1:8", "--name", "a")
    place.json("remote", "add", "http://127.0.0.1:9", "--name", "b")
    used = {row["name"]: row["used"] for row in place.json("remote", "list")}
    assert used == {"a": False, "b": True}


def test_an_address_without_a_name_gives_way(place: Place) -> None:
    place.marker.write_text('[client]\nurl = "http://127.0.0.1:8"\n')
    place.json("remote", "add", "http://127.0.0.1:9")
    assert "127.0.0.1:8" not in place.marker.read_text()
    [listed] = place.json("remote", "list")
    assert (listed["url"], listed["used"]) == ("http://127.0.0.1:9", True)


def test_a_denied_hub_is_not_added(place: Place) -> None:
    place.user('[[deny]]\nhubs = ["home.example"]\n')
    done = place.memctx("remote", "add", "https://home.example")
    assert done.returncode == 1
    assert "config.toml denies the hub https://home.example" in done.stderr
    assert not place.marker.exists()


def test_a_hub_whose_key_is_missing_is_added_and_said(place: Place) -> None:
    done = place.memctx("remote", "add", "https://hub.example")
    assert done.returncode == 0, done.stderr
    assert '"https://hub.example" = "mctx_' in done.stderr
    place.user(f'[keys]\n"https://hub.example" = "{KEY}"\n')
    assert "warning" not in place.memctx("remote", "list").stderr


@pytest.mark.parametrize(
    "arguments", [("hub.example",), ("https://u:p@hub.example",), ("https://x", "--name", "a b")]
)
def test_what_is_no_hub_is_refused(place: Place, arguments: tuple[str, ...]) -> None:
    assert place.memctx("remote", "add", *arguments).returncode == 2
    assert not place.marker.exists()


def test_plain_http_to_another_machine_is_refused(place: Place) -> None:
    done = place.memctx("remote", "add", "http://hub.example")
    assert done.returncode == 2
    assert "plain http" in done.stderr


def test_a_hub_that_is_not_named_here_cannot_be_removed(place: Place) -> None:
    assert place.memctx("remote", "remove", "hub").returncode == 1


def test_nothing_is_saved_at_a_hub_that_a_rule_denies(place: Place, hub: Hub) -> None:
    """Neither in the project of the folder nor in one that is named, nor by an import."""
    environ = {"MEMCTX_URL": hub.url, "MEMCTX_API_KEY": hub.key}
    place.user('[[deny]]\nprojects = ["acme/*"]\nhubs = ["127.0.0.1"]\n')
    place.marker.write_text(MARKER)
    hub.json("projects", "add", "acme/other")

    def saved(*arguments: str) -> subprocess.CompletedProcess[str]:
        return place.memctx("sessions", "add", "--title", "secret", *arguments, **environ)

    for arguments in ([], ["--project", "acme/other"]):
        done = saved(*arguments)
        assert done.returncode == 1
        assert "denies the hub" in done.stderr
    with hub.client() as client:
        assert not [s for s in client.sessions.list() if s["title"] == "secret"]
        assert not list(client.projects.list(slug="acme/api"))
    hub.json("projects", "add", "me/notes")
    assert saved("--project", "me/notes").returncode == 0
