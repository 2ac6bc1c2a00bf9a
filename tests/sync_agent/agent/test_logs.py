"""The agent's log stays small, private and readable."""

from __future__ import annotations

import io
import stat
from pathlib import Path

from sync_agent.agent import logs


def test_a_message_is_one_line_whatever_it_holds(tmp_path: Path) -> None:
    stream = io.StringIO()
    logger = logs.open_log(tmp_path / "agent.log", stream)
    logger.info("synced %s", "evil\n2026-01-01T00:00:00Z info forged \x1b[2J \u202e")
    [line] = (tmp_path / "agent.log").read_text().splitlines()
    assert line == stream.getvalue().rstrip("\n")
    assert "\\u000a2026" in line
    assert line.isprintable()


def test_the_files_are_private_and_bounded(tmp_path: Path) -> None:
    logger = logs.open_log(tmp_path / "agent.log")
    for _ in range(2000):
        logger.info("x" * 1900)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["agent.log", "agent.log.1", "agent.log.2"]
    assert all(file.stat().st_size <= logs.MAX_BYTES for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_traceback_is_one_line_too(tmp_path: Path) -> None:
    logger = logs.open_log(tmp_path / "agent.log")
    try:
        int("a\nb")
    except ValueError:
        logger.exception("unexpected")
    [line] = (tmp_path / "agent.log").read_text().splitlines()
    assert "ValueError" in line
