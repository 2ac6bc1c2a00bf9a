"""Client and hub look for the hub's data in the same folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from context_api.settings import model as settings
from context_api.settings import places
from sync_agent import config


def test_the_data_folder_is_the_one_the_hub_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client cannot import the hub's settings, so they are compared here."""
    clone, user_file = tmp_path / "clone", tmp_path / "config.toml"
    clone.mkdir()
    monkeypatch.setattr(config, "running_clone", lambda: clone)
    monkeypatch.setattr(places, "clone_root", lambda: clone)
    monkeypatch.setattr(config, "user_config_file", lambda: user_file)
    monkeypatch.setattr(settings, "user_file", lambda: user_file)
    for name in ("MEMCTX_DATA_DIR", "MEMCTX_MODEL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEMCTX_API_KEY", "mctx_0123456789ab_" + "e" * 43)

    def same() -> Path:
        hub = settings.load()
        assert config.data_directory() == hub.data_dir
        assert config.model_directory() == hub.local_model
        return hub.data_dir

    assert same() == clone / ".memctx-data"
    user_file.write_text(f'[hub]\ndata_dir = "{tmp_path}/user"\n')
    user_file.chmod(0o600)
    assert same() == tmp_path / "user"
    (clone / ".env").write_text(f"MEMCTX_DATA_DIR={tmp_path}/env\n")
    assert same() == tmp_path / "env"
    monkeypatch.setenv("MEMCTX_DATA_DIR", str(tmp_path / "environment"))
    assert same() == tmp_path / "environment"
    monkeypatch.setenv("MEMCTX_MODEL_DIR", str(tmp_path / "models"))
    same()
