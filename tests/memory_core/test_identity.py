"""A folder's project: marker, then remote, then git directory, then path."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.errors import InvalidMarker, InvalidSlug
from memory_core.identity import (
    ProjectIdentity,
    identify,
    identify_remote,
    slug_of_remote,
    validate_slug,
)

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


def git(folder: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
    }
    run = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *arguments],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def repository(folder: Path, remote: str | None = None) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    if remote:
        git(folder, "remote", "add", "origin", remote)
    return folder


def test_the_remote_names_the_project_from_any_folder(tmp_path: Path) -> None:
    root = repository(tmp_path / "clone", "git@github.com:Acme/API.git")
    inner = root / "src" / "deep"
    inner.mkdir(parents=True)
    found = identify(inner)
    assert found == ProjectIdentity(
        slug="acme/api",
        remotes=("github.com/acme/api",),
        kind="remote",
        weak=False,
        root=root,
    )
    other = repository(tmp_path / "elsewhere", "https://me:secret@github.com/acme/api")
    assert identify(other).remotes == found.remotes


def test_two_hosts_share_a_slug_but_no_remote(tmp_path: Path) -> None:
    one = identify(repository(tmp_path / "a", "https://github.com/acme/api"))
    two = identify(repository(tmp_path / "b", "https://git.example.org/acme/api"))
    assert one.slug == two.slug
    assert not set(one.remotes) & set(two.remotes)
    assert one.qualified_slug == "github.com/acme/api"
    assert two.qualified_slug == "git.example.org/acme/api"


def test_origin_comes_first_whatever_the_order(tmp_path: Path) -> None:
    root = repository(tmp_path / "fork")
    git(root, "remote", "add", "a-friend", "https://github.com/friend/api")
    git(root, "remote", "add", "upstream", "https://github.com/acme/api")
    git(root, "remote", "add", "origin", "https://github.com/me/api")
    git(root, "remote", "add", "local", "/srv/git/api.git")
    found = identify(root)
    assert found.slug == "me/api"
    assert found.remotes == tuple(f"github.com/{who}/api" for who in ("me", "acme", "friend"))


def test_worktrees_share_their_project(tmp_path: Path) -> None:
    main = repository(tmp_path / "main")
    git(main, "worktree", "add", "-q", str(tmp_path / "trees" / "feature"))
    one, two = identify(main), identify(tmp_path / "trees" / "feature")
    assert one.kind == two.kind == "git-dir"
    assert one.slug == two.slug
    assert one.slug.startswith("main-")
    assert not one.weak
    assert (one.root, two.root) == (main, tmp_path / "trees" / "feature")
    git(main, "remote", "add", "origin", "https://github.com/acme/api")
    assert identify(tmp_path / "trees" / "feature").remotes == ("github.com/acme/api",)


def test_a_local_remote_is_no_identity(tmp_path: Path) -> None:
    source = repository(tmp_path / "source")
    git(tmp_path, "clone", "-q", str(source), "copy")
    found = identify(tmp_path / "copy")
    assert found.kind == "git-dir"
    assert found.slug != identify(source).slug


def test_a_submodule_is_a_project_with_a_parent(tmp_path: Path) -> None:
    library = repository(tmp_path / "library")
    outer = repository(tmp_path / "outer", "https://github.com/acme/app")
    git(outer, "submodule", "--quiet", "add", str(library), "vendor/library")
    git(outer, "commit", "-q", "-m", "submodule")
    inner = outer / "vendor" / "library"
    git(inner, "remote", "set-url", "origin", "https://github.com/acme/library")
    found = identify(inner)
    assert found.slug == "acme/library"
    assert found.root == inner
    assert found.parent is not None
    assert found.parent.slug == "acme/app"
    assert found.parent.parent is None
    assert identify(outer / "vendor").slug == "acme/app"

    git(outer, "worktree", "add", "-q", str(tmp_path / "tree"))
    git(tmp_path / "tree", "submodule", "--quiet", "update", "--init")
    again = identify(tmp_path / "tree" / "vendor" / "library")
    assert again.parent is not None
    assert again.parent.slug == "acme/app"


def test_a_submodule_with_its_own_git_folder_has_a_parent_too(tmp_path: Path) -> None:
    outer = repository(tmp_path / "outer", "https://github.com/acme/app")
    inner = repository(outer / "inner", "https://github.com/acme/inner")
    assert identify(inner).parent is None
    (outer / ".gitmodules").write_text('[submodule "inner"]\n\tpath = inner\n\turl = ../inner\n')
    parent = identify(inner).parent
    assert parent is not None
    assert parent.slug == "acme/app"


def test_a_marker_wins(tmp_path: Path) -> None:
    root = repository(tmp_path / "clone", "https://github.com/acme/api")
    (root / ".memctx.toml").write_text('[project]\nslug = "acme/renamed"\nid = "p-1"\n')
    found = identify(root)
    assert (found.slug, found.kind, found.weak) == ("acme/renamed", "marker", False)
    assert found.project_id == "p-1"
    assert found.remotes == ("github.com/acme/api",)


def test_a_marker_below_the_root_makes_a_project_within(tmp_path: Path) -> None:
    root = repository(tmp_path / "mono", "https://github.com/acme/mono")
    (root / "services" / "pay" / "src").mkdir(parents=True)
    (root / "services" / "pay" / ".memctx.toml").write_text('[project]\nslug = "acme/pay"\n')
    found = identify(root / "services" / "pay" / "src")
    assert (found.slug, found.remotes) == ("acme/pay", ())
    assert found.parent is not None
    assert found.parent.slug == "acme/mono"
    assert identify(root / "services").slug == "acme/mono"


def test_a_marker_above_a_repository_does_not_take_it_over(tmp_path: Path) -> None:
    (tmp_path / ".memctx.toml").write_text('[project]\nslug = "everything"\n')
    root = repository(tmp_path / "clone", "https://github.com/acme/api")
    (tmp_path / "plain").mkdir()
    assert identify(root).slug == "acme/api"
    assert identify(tmp_path / "plain").slug == "everything"


def test_a_marker_without_a_project_is_only_configuration(tmp_path: Path) -> None:
    root = repository(tmp_path / "clone", "https://github.com/acme/api")
    (root / ".memctx.toml").write_text('url = "http://127.0.0.1:8080"\n[project]\nexclude = []\n')
    assert identify(root).kind == "remote"


def test_an_id_alone_keeps_the_name(tmp_path: Path) -> None:
    root = repository(tmp_path / "clone", "https://github.com/acme/api")
    (root / ".memctx.toml").write_text('[project]\nid = "019c4e67-381f-7a0c-a9ec-96c213b7b138"\n')
    found = identify(root)
    assert (found.slug, found.kind) == ("acme/api", "marker")
    assert found.project_id == "019c4e67-381f-7a0c-a9ec-96c213b7b138"


@pytest.mark.parametrize(
    "text",
    [
        "not toml [",
        '[project]\nslug = "Upper/Case"\n',
        '[project]\nslug = "../../etc"\n',
        '[project]\nslug = "_team"\n',
        '[project]\nslug = ""\n',
        "[project]\nslug = 7\n",
        '[project]\nid = "a b"\n',
    ],
)
def test_a_marker_that_cannot_be_used_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / ".memctx.toml").write_text(text)
    with pytest.raises(InvalidMarker, match=re.escape(str(tmp_path))):
        identify(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_marker_that_another_user_left_above_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / ".memctx.toml").write_text('[project]\nslug = "acme/secret"\n')
    os.chown(tmp_path / ".memctx.toml", 12345, 12345)
    assert identify(tmp_path / "mine").kind == "path"
    os.chown(tmp_path / "mine", 12345, 12345)
    assert identify(tmp_path / "mine").slug == "acme/secret"


def test_a_plain_folder_is_weak(tmp_path: Path) -> None:
    folder = tmp_path / "Notes & Plans"
    folder.mkdir()
    found = identify(folder)
    assert (found.kind, found.weak, found.root) == ("path", True, folder)
    assert re.fullmatch(r"notes-plans-[0-9a-f]{8}", found.slug)


def test_a_folder_that_does_not_exist_here_is_weak_and_stable() -> None:
    path = Path("/home/someone/projects/api")
    one, two = identify(path), identify(Path("/home/another/projects/api"))
    assert (one.kind, one.weak, one.root) == ("path", True, None)
    assert one == identify(path)
    assert one.slug.startswith("api-")
    assert one.slug != two.slug


@pytest.mark.parametrize("text", ["C:\\Users\\me\\api", "C:/Users/me/api", "relative/api"])
def test_a_path_of_another_system_is_text(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(tmp_path / "relative" / "api", "https://github.com/acme/api")
    monkeypatch.chdir(tmp_path)
    found = identify(Path(text))
    assert (found.kind, found.weak) == ("path", True)
    assert found.slug.startswith("api-")
    assert identify(Path("C:\\Users\\me\\api")).slug == identify(Path("C:/Users/me/api")).slug


def test_a_recorded_remote_is_enough() -> None:
    gone = Path("/nowhere/api")
    assert identify_remote("git@github.com:Acme/API.git", gone).slug == "acme/api"
    assert identify_remote("/srv/git/api", gone) == identify(gone)


@pytest.mark.parametrize(
    "content",
    ["", "gitdir: ../nowhere", "gitdir: " + "x" * 5_000, "\x00\xff", "gitdir:\x00"],
)
def test_a_broken_git_file_is_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / ".git").write_text(content)
    assert identify(tmp_path).kind == "path"


@given(st.binary(max_size=400))
def test_any_configuration_is_survived(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    root = tmp_path_factory.mktemp("repository")
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (root / ".git" / "config").write_bytes(data)
    assert identify(root).kind in {"git-dir", "remote"}


def test_git_and_this_module_read_the_same_configuration(tmp_path: Path) -> None:
    root = repository(tmp_path / "clone")
    (root / ".git" / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
        '[REMOTE "or\\"igin"] URL = "https://github.com/acme/quoted#1" ; comment\n'
        '[remote "a"]\n\turl = https://github.com/\\\nacme/continued # comment\n'
        '[remote "origin"]\n\tURL=git@github.com:acme/api.git\n\tfetch = +refs/*\n'
    )
    urls = git(root, "config", "--get-regexp", r"^remote\..*\.url$").splitlines()
    assert len(urls) == 3
    assert identify(root).remotes == (
        "github.com/acme/api",
        "github.com/acme/continued",
        "github.com/acme/quoted",
    )


def test_no_git_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository(tmp_path / "clone", "https://github.com/acme/api")
    monkeypatch.setenv("PATH", "")
    assert identify(root).slug == "acme/api"


@pytest.mark.parametrize("slug", ["acme/api", "a", "0.x_y-z/b", "github.com/acme/api", "a" * 200])
def test_good_slugs(slug: str) -> None:
    assert validate_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    ["", "/", "a/", "/a", "a//b", "..", "a/..", "a..b", "A", "ä", "a b", "a\n", "-a", ".a", "_a",
     "_team", "a/_b", "a" * 201, "a\x00", "a\\b", "a:b"],
)  # fmt: skip
def test_bad_slugs(slug: str) -> None:
    with pytest.raises(InvalidSlug):
        validate_slug(slug)


@given(st.text(min_size=1, max_size=300), st.text(max_size=300))
def test_every_derived_slug_is_a_good_one(name: str, other: str) -> None:
    for slug in (
        slug_of_remote(f"host.example/{name.lower()}/{other.lower()}".rstrip("/")),
        identify(Path(f"/nowhere/{name}".replace("\x00", ""))).slug,
    ):
        assert validate_slug(slug) == slug
        assert SLUG.fullmatch(slug)


@given(st.text(max_size=80))
def test_identifying_never_fails(text: str) -> None:
    assert identify(Path("/nowhere-at-all") / text).slug
