"""Which hub a project's memory goes to, and which it never reaches."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.identity import identify
from sync_agent.config import ClientConfig
from sync_agent.errors import InsecureUrl, InvalidConfig
from sync_agent.hubs import DenyRule, HubDenied, hub_of, matches, names_of
from sync_agent.url import parse_url

KEY = "mctx_0123456789ab_" + "k" * 43
OTHER = "mctx_0123456789ab_" + "o" * 43
NAMES = ["acme/api", "github.com/acme/api"]


class Place:
    """A repository and a user's file."""

    def __init__(self, root: Path) -> None:
        self.root = root / "api"
        (self.root / ".git").mkdir(parents=True)
        self.user_file = root / "config.toml"

    def marker(self, text: str) -> None:
        (self.root / ".memctx.toml").write_text(text)

    def user(self, text: str) -> None:
        self.user_file.write_text(text)
        self.user_file.chmod(0o600)

    def hub(self, names: list[str] | None = None, **environ: str) -> ClientConfig | None:
        return hub_of(
            self.root,
            NAMES if names is None else names,
            environ=environ,
            user_file=self.user_file,
            clone=self.root / "none",
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_a_word_of_a_hub_there_is_none(place: Place) -> None:
    assert place.hub() is None
    place.user(f'[client]\napi_key = "{KEY}"\n')
    assert place.hub() is None


def test_a_hub_is_chosen_by_name_and_gets_the_key_that_is_for_it(place: Place) -> None:
    place.marker('[client]\nhub = "work"\n\n[hubs.work]\nurl = "https://hub.acme.com"\n')
    place.user(f'[client]\napi_key = "{OTHER}"\n\n[keys]\n"https://hub.acme.com" = "{KEY}"\n')
    found = place.hub()
    assert found is not None
    assert (str(found.url), found.api_key) == ("https://hub.acme.com", KEY)


def test_a_key_for_another_hub_is_not_sent_to_one_chosen_by_name(place: Place) -> None:
    place.marker('[client]\nhub = "work"\n')
    place.user(
        f'[client]\nurl = "https://home.example"\napi_key = "{OTHER}"\n\n'
        '[hubs.work]\nurl = "https://hub.acme.com"\n'
    )
    with pytest.raises(InsecureUrl, match=r"https://hub\.acme\.com"):
        place.hub()
    with pytest.raises(InsecureUrl):
        place.hub(MEMCTX_API_KEY=OTHER)


def test_what_the_user_calls_a_hub_goes_before_what_a_repository_calls_it(place: Place) -> None:
    place.marker('[client]\nhub = "work"\n\n[hubs.work]\nurl = "https://evil.example"\n')
    place.user(
        f'[hubs.work]\nurl = "https://hub.acme.com"\n\n[keys]\n"https://hub.acme.com" = "{KEY}"\n'
    )
    found = place.hub()
    assert found is not None
    assert str(found.url) == "https://hub.acme.com"


def test_a_name_that_nobody_describes_is_an_error(place: Place) -> None:
    place.marker('[client]\nhub = "work"\n')
    with pytest.raises(InvalidConfig, match="no hub is named 'work'"):
        place.hub()


def test_an_address_goes_before_a_name_in_the_same_file(place: Place) -> None:
    place.marker('[client]\nurl = "http://127.0.0.1:9"\nhub = "work"\n')
    found = place.hub()
    assert found is not None
    assert found.url.port == 9


def test_a_repository_keeps_its_memory_from_a_hub(place: Place) -> None:
    place.marker('[client]\ndeny = ["https://home.example"]\n')
    with pytest.raises(HubDenied, match=r"\.memctx\.toml denies the hub https://home\.example"):
        place.hub(MEMCTX_URL="https://home.example", MEMCTX_API_KEY=KEY)
    assert place.hub(MEMCTX_URL="https://work.example", MEMCTX_API_KEY=KEY) is not None


def test_a_users_rule_keeps_an_employers_projects_from_all_hubs_but_its_own(place: Place) -> None:
    place.user(
        '[[deny]]\nprojects = ["github.com/acme/*"]\nhubs = ["*"]\nexcept = ["hub.acme.com"]\n'
    )
    work = {"MEMCTX_URL": "https://hub.acme.com", "MEMCTX_API_KEY": KEY}
    home = {"MEMCTX_URL": "https://home.example", "MEMCTX_API_KEY": KEY}
    assert place.hub(**work) is not None
    with pytest.raises(HubDenied):
        place.hub(**home)
    assert place.hub(["me/notes", "github.com/me/notes"], **home) is not None


def test_a_rule_that_names_no_project_is_for_all_even_one_without_a_name(place: Place) -> None:
    place.user('[[deny]]\nhubs = ["home.example"]\n')
    for names in (NAMES, []):
        with pytest.raises(HubDenied):
            place.hub(names, MEMCTX_URL="https://home.example", MEMCTX_API_KEY=KEY)


def test_a_rule_above_the_folder_of_a_project_in_a_repository_holds_below(place: Place) -> None:
    place.marker('[client]\ndeny = ["home.example"]\n')
    below = place.root / "services" / "billing"
    below.mkdir(parents=True)
    (below / ".memctx.toml").write_text('[client]\nurl = "https://home.example"\n')
    place.user(f'[keys]\n"https://home.example" = "{KEY}"\n')
    with pytest.raises(HubDenied):
        hub_of(below, NAMES, environ={}, user_file=place.user_file, clone=place.root / "none")


@pytest.mark.parametrize(
    "text",
    ["[[deny]]\n", '[[deny]]\nhubs = "home.example"\n', "[[deny]]\nhubs = [1]\n",
     '[[deny]]\nhubs = [""]\n', '[[deny]]\nhubs = ["https://"]\n', '[deny]\nhubs = ["x"]\n',
     '[[deny]]\nhubs = ["x"]\nproject = ["y"]\n', "deny = [1]\n", "[[deny]\n",
     '[[deny]]\nhubs = ["a b"]\n'],
)  # fmt: skip
def test_a_rule_that_cannot_be_understood_stops_everything(place: Place, text: str) -> None:
    place.user(text)
    with pytest.raises(InvalidConfig):
        place.hub(MEMCTX_URL="http://127.0.0.1:9")


def test_rules_that_cannot_be_read_stop_everything(place: Place) -> None:
    (place.root / ".memctx.toml").mkdir()
    with pytest.raises(InvalidConfig):
        place.hub(MEMCTX_URL="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("pattern", "url", "expected"),
    [
        ("https://hub.example", "https://hub.example", True),
        ("https://hub.example", "https://hub.example:8443/team", True),
        ("https://HUB.example.", "http://hub.example", True),
        ("hub.example", "https://hub.example", True),
        ("hub.example", "https://hub.example.evil.com", False),
        ("*.example", "https://hub.example", True),
        ("*.example", "https://example", False),
        ("hub.example:8443", "https://hub.example", False),
        ("hub.example:443", "https://hub.example", True),
        ("hub.example/team", "https://hub.example/team/a", True),
        ("hub.example/team", "https://hub.example/teamwork", False),
        ("hub.example/team", "https://hub.example", False),
        ("*", "http://127.0.0.1:1", True),
        ("[::1]", "http://[::1]:8080", True),
        ("[::1]:9", "http://[::1]:8080", False),
    ],
)
def test_patterns(pattern: str, url: str, *, expected: bool) -> None:
    assert matches(pattern, parse_url(url)) is expected


@given(
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z]{2,5}){1,2}", fullmatch=True),
    st.integers(1, 65535),
    st.sampled_from(["", "/", "/team", "/Team/x/"]),
)
def test_a_rule_that_names_a_host_cannot_be_passed_by_writing_it_differently(
    scheme: str, host: str, port: int, path: str
) -> None:
    rule = DenyRule("file", (host,))
    for written in (host, host.upper(), f"{host}."):
        assert rule.denies(parse_url(f"{scheme}://{written}:{port}{path}"), ["acme/api"])


def test_rules_know_a_project_by_its_slug_and_its_remotes(tmp_path: Path) -> None:
    git = tmp_path / "api" / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "config").write_text('[remote "origin"]\n\turl = git@github.com:Acme/API.git\n')
    (tmp_path / "api" / ".memctx.toml").write_text('[project]\nslug = "renamed"\n')
    names = names_of(identify(tmp_path / "api"))
    assert {"renamed", "github.com/acme/api"} <= set(names)
    assert DenyRule("f", ("*",), ("github.com/acme/*",)).denies(
        parse_url("https://x.example"), names
    )


def test_there_is_one_way_to_a_hub_for_what_syncs() -> None:
    """A transport is made where the rules were passed, and nowhere else."""
    root = Path(__file__).parents[2]
    makers = [
        path.name
        for source in ("sync-agent/src", "cli/src")
        for path in (root / source).rglob("*.py")
        if "HttpTransport(" in path.read_text(encoding="utf-8")
    ]
    assert makers == ["linking.py"]


def keyring(monkeypatch: pytest.MonkeyPatch, kept: dict[tuple[str, str], str]) -> None:
    """Puts a keyring with this content where Python finds it, as none is installed here."""
    package, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    package.get_password = lambda service, name: kept.get((service, name))  # type: ignore[attr-defined]
    errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


def test_a_key_in_the_systems_keyring_is_for_the_hub_it_is_kept_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring(monkeypatch, {("memory-context", "https://hub.acme.com"): KEY})
    place.marker('[client]\nurl = "https://hub.acme.com"\n')
    found = place.hub()
    assert found is not None
    assert found.api_key == KEY
    assert found.settings["MEMCTX_API_KEY"].source == "keyring"
    place.marker('[client]\nurl = "https://evil.example"\n')
    with pytest.raises(InsecureUrl):
        place.hub()
