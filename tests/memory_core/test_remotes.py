"""However a remote was written, the same repository has the same form."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.remotes import normalise_remote

SAME = [
    "git@github.com:Acme/API.git",
    "git@github.com:acme/api",
    "github.com:acme/api.git",
    "https://github.com/acme/api",
    "https://github.com/acme/api.git",
    "https://github.com/acme/api.git/",
    "https://github.com/acme/api/",
    "https://GitHub.com/Acme/Api",
    "https://www.github.com/acme/api",
    "http://github.com:80/acme/api",
    "https://github.com:443/acme/api",
    "https://user:token@github.com/acme/api.git",
    "https://oauth2@github.com/acme/api.git",
    "ssh://git@github.com/acme/api.git",
    "ssh://git@github.com:22/acme/api.git",
    "ssh://git@ssh.github.com:443/acme/api.git",
    "git+ssh://git@github.com/acme/api.git",
    "ssh+git://git@github.com/acme/api.git",
    "git://github.com/acme/api.git",
    "https://github.com//acme//api",
    "https://github.com/acme/api?ref=main#readme",
    "  https://github.com/acme/api\n",
]


@pytest.mark.parametrize("url", SAME)
def test_every_form_of_one_repository_is_the_same(url: str) -> None:
    assert normalise_remote(url) == "github.com/acme/api"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@gitlab.example.org:group/sub/team/app.git", "gitlab.example.org/group/sub/team/app"),
        ("ssh://git@git.example.org:7999/team/app.git", "git.example.org/team/app"),
        ("https://git.example.org/scm/team/app.git", "git.example.org/team/app"),
        ("https://org@dev.azure.com/org/My%20Project/_git/app", "dev.azure.com/org/my project/app"),
        ("git@ssh.dev.azure.com:v3/org/My%20Project/app", "dev.azure.com/org/my project/app"),
        ("git@github.com:2222/api.git", "github.com/2222/api"),
        ("git@host:api.git", "host/api"),
        ("ssh://git@[2001:DB8::1]:2222/acme/api.git", "[2001:db8::1]/acme/api"),
        ("https://user:p@ss@host.example/acme/api", "host.example/acme/api"),
    ],
)
def test_known_forms(url: str, expected: str) -> None:
    assert normalise_remote(url) == expected


def test_azure_forms_agree() -> None:
    https = normalise_remote("https://org@dev.azure.com/org/proj/_git/app")
    assert https == normalise_remote("git@ssh.dev.azure.com:v3/org/proj/app")


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "/srv/git/api.git", "../api", "./api", "~/api", "file:///srv/git/api",
        "C:\\git\\api", "C:/git/api", "\\\\server\\share\\api", "https://github.com",
        "https://github.com/", "https:///acme/api", "unknown://host/acme/api",
        "https://github.com/acme/../../other/api", "git@github.com:../api",
        "https://github.com/acme/a\x00pi", "https://github.com/acme/a%00pi",
        "https://bad host/acme/api", "https://github.com/" + "a" * 3_000,
        "https://github.com/%2e%2e/api",
    ],
)  # fmt: skip
def test_what_names_no_host_is_none(url: str) -> None:
    assert normalise_remote(url) is None


@given(st.text(max_size=200))
def test_any_text_gives_a_form_or_none(text: str) -> None:
    form = normalise_remote(text)
    if form is not None:
        assert re.fullmatch(r"[^/\s@]+(/[^/]+)+", form)
        assert form == form.lower()
        assert "@" not in form.partition("/")[0]


NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)


@given(NAME, NAME)
def test_ssh_and_https_agree_for_any_name(owner: str, name: str) -> None:
    https = normalise_remote(f"https://me:pw@Git.Example.org:8443/{owner}/{name}.git")
    assert https == normalise_remote(f"git@git.example.org:{owner}/{name}")
    assert https == normalise_remote(f"ssh://git@git.example.org:2222/{owner}/{name}/")
    assert https == normalise_remote(f"https://{https}")
