"""Where settings come from, and which ones are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from context_api.application import authenticate
from context_api.settings import Settings, SettingsError, checks, load
from context_api.settings import model as module
from context_api.settings import places as folders

KEY = "mctx_abcdef_" + "s" * 40
OTHER = "mctx_fedcba_" + "t" * 40


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty environment, folder and user's file."""
    for name in [*os.environ]:
        if name.startswith("MEMCTX_") or name == "PORT":
            monkeypatch.delenv(name)
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(module, "settings_folder", lambda: folder)
    monkeypatch.setattr(module, "user_file", lambda: tmp_path / "user.toml")
    return folder


def test_defaults_need_nothing() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.api_key) == ("127.0.0.1", 8080, None)
    assert settings.database.startswith("sqlite+aiosqlite:///")
    assert settings.database.endswith("/hub.db")


def test_the_nearer_place_wins(
    places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user.toml").write_text("[hub]\nport = 1\n")
    assert load().port == 1
    (places / ".memctx.toml").write_text("project = 'acme/api'\n[hub]\nport = 2\n")
    assert load().port == 2
    (places / ".env").write_text("MEMCTX_PORT=3\nMEMCTX_URL=http://127.0.0.1:3\nOTHER=1\n")
    assert load().port == 3
    monkeypatch.setenv("MEMCTX_PORT", "4")
    assert load().port == 4
    assert load(port=5).port == 5
    assert load(port=None).port == 4


def test_port_has_a_second_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert load().port == 9000
    monkeypatch.setenv("MEMCTX_PORT", "9001")
    assert load().port == 9001


def test_empty_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMCTX_PORT", "")
    monkeypatch.setenv("MEMCTX_API_KEY", "")
    assert (load().port, load().api_key) == (8080, None)


@pytest.mark.parametrize("in_dotenv", [False, True])
def test_a_secret_may_lie_in_a_file(
    places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_dotenv: bool
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{KEY}\n")
    if in_dotenv:
        (places / ".env").write_text(f"MEMCTX_API_KEY_FILE={secret}\n")
    else:
        monkeypatch.setenv("MEMCTX_API_KEY_FILE", str(secret))
    assert load().api_key == SecretStr(KEY)


def test_the_environment_wins_over_a_secret_file_of_dotenv(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (places / ".env").write_text("MEMCTX_API_KEY_FILE=/nowhere\n")
    monkeypatch.setenv("MEMCTX_API_KEY", OTHER)
    with pytest.raises(SettingsError, match="cannot be read"):
        load()
    (places / ".env").write_text(f"MEMCTX_API_KEY={KEY}\n")
    assert load().api_key == SecretStr(OTHER)


def test_a_secret_given_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text(KEY)
    monkeypatch.setenv("MEMCTX_API_KEY_FILE", str(secret))
    monkeypatch.setenv("MEMCTX_API_KEY", OTHER)
    with pytest.raises(SettingsError, match="both set"):
        load()


def test_secrets_are_not_shown() -> None:
    assert KEY not in repr(load(api_key=KEY))


@pytest.mark.parametrize("name", sorted(module.NOT_FROM_REPOSITORY))
def test_a_repository_cannot_choose_who_reads_what(places: Path, name: str) -> None:
    (places / ".memctx.toml").write_text(f"[hub]\n{name} = 'x'\n")
    with pytest.raises(SettingsError, match="cannot be set by a repository"):
        load()


def test_names_that_do_not_go_with_a_repository_exist() -> None:
    assert set(Settings.model_fields) >= module.NOT_FROM_REPOSITORY


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[hub]\nprot = 1\n", "no setting prot"),
        ("hub = 1\n", "not a table"),
        ("[hub\n", "cannot be read"),
        ("[hub]\nport = 'x'\n", "MEMCTX_PORT"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "user.toml").write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        load()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"port": 70_000}, "MEMCTX_PORT"),
        ({"port": "x"}, "MEMCTX_PORT"),
        ({"log_level": "loud"}, "MEMCTX_LOG_LEVEL"),
        ({"host": "0.0.0.0"}, "needs MEMCTX_API_KEY"),
        ({"host": "192.168.1.5"}, "needs MEMCTX_API_KEY"),
        ({"host": "hub.example"}, "needs MEMCTX_API_KEY"),
        ({"host": "::"}, "needs MEMCTX_API_KEY"),
        ({"api_key": "short"}, "has not the form"),
        ({"embedding_url": "http://127.0.0.1/v1"}, "does not use it"),
        ({"embedding_provider": "openai"}, "MEMCTX_EMBEDDING_URL"),
        (
            {
                "embedding_provider": "openai",
                "embedding_model": "m",
                "embedding_url": "file:///etc/passwd",
            },
            "http or https",
        ),
        (
            {
                "embedding_provider": "openai",
                "embedding_model": "m",
                "embedding_url": "https://user:word@models.example/v1",
            },
            "holds a password",
        ),
        (
            {
                "embedding_provider": "openai",
                "embedding_model": "m",
                "embedding_url": "http://models.example/v1",
                "embedding_api_key": "k",
            },
            "unencrypted",
        ),
        (
            {"embedding_provider": "openai", "embedding_url": "https://models.example/v1"},
            "MEMCTX_EMBEDDING_MODEL",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        load(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert load(host=host).host == host


def test_other_addresses_do_with_a_key() -> None:
    assert load(host="0.0.0.0", api_key=KEY).host == "0.0.0.0"


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMCTX_ALLOWED_HOSTS", "hub.example, other.example,")
    assert load().hosts == ("hub.example", "other.example")


def test_every_setting_says_what_it_does() -> None:
    assert [name for name, info in Settings.model_fields.items() if not info.description] == []


def test_folders_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(data_dir="here").data_dir == tmp_path / "here"
    assert load(data_dir="~/there").data_dir == tmp_path / "there"


def test_a_clone_keeps_its_data_in_itself() -> None:
    """This suite runs from a clone, so the data folder is that of the clone."""
    root = Path(__file__).parents[2]
    assert folders.clone_root() == root
    assert folders.default_data_dir() == root / ".memctx-data"


def test_settings_that_cannot_be_used_end_the_program(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "context_api.main"],
        env={**os.environ, "MEMCTX_PORT": "none", "MEMCTX_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1


def test_the_form_of_keys_is_that_of_the_hub() -> None:
    assert checks.KEY_FORM.pattern == authenticate.TOKEN.pattern


PG = "postgresql+asyncpg://hub:secret@127.0.0.1/hub"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"database_url": "mysql://x/y"}, "MEMCTX_DATABASE_URL"),
        ({"database_url": PG}, "MEMCTX_API_KEY"),
        ({"chroma_url": "http://127.0.0.1:8000"}, "MEMCTX_CHROMA_URL"),
        ({"chroma_url": "http://a:b@127.0.0.1", "database_url": PG, "api_key": KEY}, "password"),
        ({"redis_url": "redis://127.0.0.1"}, "MEMCTX_CACHE_SECRET"),
        ({"redis_url": "http://127.0.0.1", "cache_secret": "x"}, "MEMCTX_REDIS_URL"),
        (
            {"redis_url": "rediss://h?ssl_cert_reqs=none", "cache_secret": "x"},
            "switches the check of certificates off",
        ),
        (
            {"redis_url": "rediss://h?ssl_check_hostname=False", "cache_secret": "x"},
            "switches the check of certificates off",
        ),
        ({"role": "worker"}, "MEMCTX_ROLE"),
    ],
)
def test_servers_are_named_completely_or_not_at_all(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load(**given)


def test_passwords_in_urls_are_not_shown() -> None:
    chosen = load(database_url=PG, api_key=KEY, redis_url="redis://:word@h", cache_secret="x")
    assert chosen.is_server
    assert chosen.database == PG
    assert "secret@" not in repr(chosen)
    assert "word" not in repr(chosen)
