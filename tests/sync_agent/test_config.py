"""Where a client finds the hub and its key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sync_agent import config, config_layers
from sync_agent.config import ClientConfig, load_config
from sync_agent.errors import InsecureUrl, InvalidConfig


def key(letter: str) -> str:
    return "mctx_0123456789ab_" + letter * 43


@dataclass
class Machine:
    """A repository, a clone of memory-context and a user's file, in a temporary folder."""

    root: Path

    def __post_init__(self) -> None:
        for folder in (self.repository / ".git", self.clone, self.user_file.parent, self.deep):
            folder.mkdir(parents=True)

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def deep(self) -> Path:
        return self.repository / "src" / "deep"

    @property
    def clone(self) -> Path:
        return self.root / "clone"

    @property
    def user_file(self) -> Path:
        return self.root / "config" / "config.toml"

    def user(self, text: str, mode: int = 0o600) -> None:
        self.user_file.write_text(text)
        self.user_file.chmod(mode)

    def load(
        self, flags: dict[str, str] | None = None, cwd: Path | None = None, **environ: str
    ) -> ClientConfig:
        return load_config(
            flags,
            cwd=cwd or self.deep,
            environ=environ,
            user_file=self.user_file,
            clone=self.clone,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_anything_it_is_the_hub_of_this_machine(machine: Machine) -> None:
    found = machine.load()
    assert str(found.url) == "http://127.0.0.1:8080"
    assert found.api_key is None
    assert found.settings["MEMCTX_URL"].source == "default"


def test_every_place_wins_over_those_after_it(machine: Machine) -> None:
    """Takes away one place after the other, the strongest first."""
    machine.user(f'[client]\nurl = "http://127.0.0.1:5"\napi_key = "{key("u")}"\n')
    (machine.repository / ".memctx.toml").write_text('[client]\nurl = "http://127.0.0.1:4"\n')
    clone_env = machine.clone / ".env"
    clone_env.write_text(f"MEMCTX_URL=http://127.0.0.1:3\nMEMCTX_API_KEY={key('c')}\n")
    own_env = machine.repository / ".env"
    own_env.write_text(f"MEMCTX_URL=http://127.0.0.1:2\nMEMCTX_API_KEY={key('r')}\n")
    environ = {"MEMCTX_URL": "http://127.0.0.1:1", "MEMCTX_API_KEY": key("e")}

    def found(flags: dict[str, str] | None = None, **more: str) -> tuple[int, str | None]:
        loaded = machine.load(flags, **more)
        return loaded.url.port, loaded.api_key

    assert found({"MEMCTX_URL": "http://127.0.0.1:9"}, **environ) == (9, key("e"))
    assert found(**environ) == (1, key("e"))
    assert found() == (2, key("r"))
    own_env.unlink()
    assert found() == (3, key("c"))
    clone_env.unlink()
    assert found() == (4, key("u"))
    (machine.repository / ".memctx.toml").unlink()
    assert found() == (5, key("u"))


def test_an_env_file_is_looked_for_up_to_the_root_of_the_repository(machine: Machine) -> None:
    (machine.root / ".env").write_text("MEMCTX_URL=http://127.0.0.1:666\n")
    assert machine.load().url.port == 8080
    (machine.repository / ".env").write_text("MEMCTX_URL=http://127.0.0.1:2\n")
    assert machine.load().url.port == 2
    (machine.repository / "src" / ".env").write_text("MEMCTX_URL=http://127.0.0.1:7\n")
    assert machine.load().url.port == 7


def test_a_process_for_all_repositories_takes_no_hub_from_the_environment() -> None:
    environ = {"MEMCTX_URL": "u", "MEMCTX_API_KEY": "k", "PATH": "/bin", "MEMCTX_DATA_DIR": "d"}
    assert config.environment_for_all(environ) == {"PATH": "/bin", "MEMCTX_DATA_DIR": "d"}


def test_outside_a_repository_only_the_folder_itself_counts(machine: Machine) -> None:
    folder = machine.root / "plain" / "below"
    folder.mkdir(parents=True)
    (machine.root / "plain" / ".env").write_text("MEMCTX_URL=http://127.0.0.1:666\n")
    assert machine.load(cwd=folder).url.port == 8080
    (folder / ".env").write_text("MEMCTX_URL=http://127.0.0.1:2\n")
    assert machine.load(cwd=folder).url.port == 2


def test_the_port_of_a_hub_started_here_is_its_address(machine: Machine) -> None:
    (machine.clone / ".env").write_text("MEMCTX_PORT=9001\n")
    assert str(machine.load().url) == "http://127.0.0.1:9001"
    assert str(machine.load(MEMCTX_PORT="9002").url) == "http://127.0.0.1:9002"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("MEMCTX_URL=http://a", "http://a"),
        ("export MEMCTX_URL = 'http://a'  # why", "http://a"),
        ('MEMCTX_URL="http://a#b"', "http://a#b"),
        ("MEMCTX_URL=http://a # comment", "http://a"),
        ("MEMCTX_URL=", ""),
        ("MEMCTX_URL='open", "'open"),
        ("  MEMCTX_URL=http://ä", "http://ä"),
    ],
)
def test_reads_the_lines_of_an_env_file(line: str, value: str) -> None:
    assert config_layers.parse_env(f"# x\n\nOTHER=1\n{line}\n= \n") == {"MEMCTX_URL": value}


def test_a_key_can_lie_in_a_file_of_its_own(machine: Machine) -> None:
    (machine.clone / "key").write_text(f"{key('f')}\n")
    (machine.clone / ".env").write_text("MEMCTX_API_KEY_FILE=key\n")
    found = machine.load()
    assert found.api_key == key("f")
    assert found.settings["MEMCTX_API_KEY"].source == str(machine.clone / "key")
    (machine.clone / "key").unlink()
    with pytest.raises(InvalidConfig, match="MEMCTX_API_KEY_FILE"):
        machine.load()


@pytest.mark.parametrize(
    "text",
    [
        f'[client]\napi_key = "{key("x")}"\n',
        '[client]\napi_key = "secret"\n',
        f'[project]\nslug = "{key("x")}"\n',
        f"# {key('x')}\n",
        '[client]\nMEMCTX_API_KEY = "x"\n',
    ],
)
def test_a_key_in_the_committed_file_is_refused(machine: Machine, text: str) -> None:
    (machine.repository / ".memctx.toml").write_text(text)
    with pytest.raises(InvalidConfig, match="must not hold a key") as caught:
        machine.load()
    assert "xxx" not in str(caught.value)


def test_broken_toml_is_named(machine: Machine) -> None:
    (machine.repository / ".memctx.toml").write_text("[client\n")
    with pytest.raises(InvalidConfig, match=r"\.memctx\.toml"):
        machine.load()


def test_a_user_file_with_a_key_must_be_private(machine: Machine) -> None:
    machine.user(f'[client]\napi_key = "{key("u")}"\n', mode=0o640)
    with pytest.raises(InvalidConfig, match="chmod 600"):
        machine.load()
    machine.user('[client]\nurl = "http://127.0.0.1:5"\n', mode=0o644)
    assert machine.load().url.port == 5


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "caf\u00e9", "x" * 501])
def test_what_cannot_be_a_key_is_refused_without_showing_it(machine: Machine, value: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        machine.load(MEMCTX_API_KEY=value)
    assert value not in str(caught.value)


def test_a_repository_cannot_collect_keys_of_other_places(machine: Machine) -> None:
    """Its file names a hub of its own; the user's keys are for another."""
    marker = machine.repository / ".memctx.toml"
    marker.write_text('[client]\nurl = "https://evil.example.com"\n')
    machine.user(f'[client]\nurl = "https://hub.example.com"\napi_key = "{key("u")}"\n')
    with pytest.raises(InsecureUrl, match=r"evil\.example\.com"):
        machine.load()
    with pytest.raises(InsecureUrl):
        machine.load(MEMCTX_API_KEY=key("e"))
    marker.unlink()
    (machine.repository / ".env").write_text("MEMCTX_URL=https://evil.example.com\n")
    with pytest.raises(InsecureUrl):
        machine.load(MEMCTX_API_KEY=key("e"))


def test_a_repository_may_name_the_team_s_hub(machine: Machine) -> None:
    (machine.repository / ".memctx.toml").write_text('[client]\nurl = "https://hub.example.com"\n')
    machine.user(f'[keys]\n"https://hub.example.com" = "{key("t")}"\n')
    assert machine.load().api_key == key("t")
    assert machine.load(MEMCTX_API_KEY=key("e")).api_key == key("t")
    machine.user(f'[client]\nurl = "https://hub.example.com"\napi_key = "{key("u")}"\n')
    assert machine.load().api_key == key("u")


def test_an_env_file_with_address_and_key_is_taken_as_a_pair(machine: Machine) -> None:
    (machine.repository / ".env").write_text(
        f"MEMCTX_URL=https://hub.example.com\nMEMCTX_API_KEY={key('r')}\n"
    )
    assert machine.load().api_key == key("r")


def test_plain_http_to_another_machine_is_the_users_choice(machine: Machine) -> None:
    far = {"MEMCTX_URL": "http://10.1.2.3:8080", "MEMCTX_API_KEY": key("e")}
    with pytest.raises(InsecureUrl):
        machine.load(**far)
    (machine.repository / ".env").write_text("MEMCTX_ALLOW_HTTP=1\n")
    with pytest.raises(InsecureUrl):
        machine.load(**far)
    assert machine.load(MEMCTX_ALLOW_HTTP="1", **far).allow_http
    assert machine.load({"MEMCTX_ALLOW_HTTP": "1"}, **far).allow_http


def test_a_repository_cannot_add_an_authority(machine: Machine) -> None:
    (machine.repository / ".env").write_text("MEMCTX_CA_FILE=evil.pem\n")
    mine = {"MEMCTX_URL": "https://hub.example.com", "MEMCTX_API_KEY": key("e")}
    assert machine.load(**mine).ca_file is None
    assert machine.load(MEMCTX_CA_FILE="/etc/ca.pem", **mine).ca_file == Path("/etc/ca.pem")


def test_secrets_do_not_show_when_a_configuration_is_printed(machine: Machine) -> None:
    found = machine.load(MEMCTX_API_KEY=key("s"))
    assert "sss" not in repr(found)
    layer = config_layers.Layer("x", {"MEMCTX_API_KEY": key("s")}, keys={"u": key("s")})
    assert "sss" not in repr(layer)


def test_files_that_are_no_text_are_survived(machine: Machine) -> None:
    (machine.repository / ".env").write_bytes(
        b"\xff\xfe\x00MEMCTX_URL\nMEMCTX_URL=http://127.0.0.1:2"
    )
    assert machine.load().url.port == 2
