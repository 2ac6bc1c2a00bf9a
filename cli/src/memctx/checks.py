"""What `memctx doctor` looks at: each check says what it found and the command that mends it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from memctx.commands.program import own_version
from memctx.errors import NotInstalled
from memctx.findings import Check, State, ok
from memctx.hub_checks import hub_checks
from memctx.replica_status import replica_checks
from memctx.run import Run
from memory_core.errors import ContextError, ModelMissing
from sync_agent import config
from sync_agent.config_layers import ENV_FILE, open_to_others, upward
from sync_agent.errors import InvalidConfig

MIB = 1024 * 1024
LEAST_FREE = 100 * MIB
LOW_FREE = 1024 * MIB
# WAL-reset bug: two connections that write and checkpoint at once could lose commits.
WAL_RESET_FROM, WAL_RESET_TO = (3, 7, 0), (3, 51, 2)


def all_checks(run: Run) -> Iterator[Check]:
    """Yields every check; one that breaks is a failed check, not the end."""
    yield from _guarded("python", _python())
    yield from _guarded("SQLite", _store())
    yield from _guarded("modes", _modes())
    yield from _guarded("disk", _disk())
    yield from _guarded("model", _model())
    yield from _guarded("configuration", _configuration(run))
    yield from _guarded("servers", _servers())
    yield from _guarded("replica", replica_checks(run))
    if _is_alone(run):
        return
    about_hub = list(_guarded("hub", hub_checks(run)))
    yield from about_hub
    if any(check.name == "hub" and check.state is State.FAIL for check in about_hub):
        yield from _guarded("database", _database())


def _is_alone(run: Run) -> bool:
    """Says whether this folder has a replica and no hub: then there is no hub to look at."""
    try:
        return run.local is not None and not run.has_hub
    except ContextError:
        return False


def _guarded(name: str, check: Iterator[Check]) -> Iterator[Check]:
    try:
        yield from check
    except ContextError as error:
        yield Check(name, State.FAIL, error.detail)
    except OSError as error:
        yield Check(name, State.FAIL, str(error))


def _python() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield ok("python", f"{version}, memory-context {own_version()}")
    if time.time() < 1_760_000_000:
        yield Check("clock", State.FAIL, "this machine's clock is years behind", "set the clock")


def _store() -> Iterator[Check]:
    version = sqlite3.sqlite_version
    detail = version
    if WAL_RESET_FROM <= sqlite3.sqlite_version_info <= WAL_RESET_TO:
        detail += (
            " (has the WAL-reset bug of 3.7.0 to 3.51.2, which takes two writing connections;"
            " the hub writes through one)"
        )
    memory = sqlite3.connect(":memory:")
    try:
        memory.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        yield ok("SQLite", detail)
    except sqlite3.Error:
        yield Check(
            "SQLite",
            State.FAIL,
            f"{version} has no full-text search (FTS5)",
            "use a Python whose SQLite has FTS5, such as that of python.org or your system",
        )
    finally:
        memory.close()


def _modes() -> Iterator[Check]:
    private = [config.user_config_file(), config.data_directory()]
    clone = config.running_clone()
    folders = [*upward(Path.cwd()), *([clone] if clone else [])]
    private += dict.fromkeys(folder / ENV_FILE for folder in folders)
    found = [path for path in private if path.exists()]
    for path in found:
        if open_to_others(path):
            mode = "700" if path.is_dir() else "600"
            yield Check("modes", State.WARN, f"others can read {path}", f"chmod {mode} '{path}'")
        elif not os.access(path, os.R_OK):
            yield Check("modes", State.WARN, f"{path} cannot be read", f"ls -l '{path}'")
    if not any(open_to_others(path) for path in found):
        yield ok("modes", f"{len(found)} private files and folders are private")


def _disk() -> Iterator[Check]:
    folder = config.data_directory()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free // MIB} MiB free for {folder}"
    if free < LEAST_FREE:
        yield Check("disk", State.FAIL, detail, "make room, or set MEMCTX_DATA_DIR")
    elif free < LOW_FREE:
        yield Check("disk", State.WARN, detail, "make room, or set MEMCTX_DATA_DIR")
    else:
        yield ok("disk", detail)


def _model() -> Iterator[Check]:
    from memory_core.embedding.install import verify_model  # noqa: PLC0415 - loads the model

    folder = config.model_directory()
    try:
        manifest = verify_model(folder)
    except ModelMissing as error:
        yield Check("model", State.WARN, error.detail, "memctx model install")
    except ContextError as error:
        yield Check("model", State.FAIL, error.detail, "memctx model install")
    else:
        yield ok("model", f"{manifest.name} is whole and computes what it should")


def _configuration(run: Run) -> Iterator[Check]:
    found = run.config
    sources = ", ".join(dict.fromkeys(value.source for value in found.settings.values()))
    yield ok("configuration", f"hub {found.url}, from {sources}")
    if found.api_key is None and not _is_alone(run):
        yield Check(
            "key", State.FAIL, "no API key is configured", "./setup.sh, or set MEMCTX_API_KEY"
        )


def _servers() -> Iterator[Check]:
    """Looks at what a team's hub on this machine stands on; nothing where there is none."""
    from memctx import embedded  # noqa: PLC0415 - loads the hub's settings

    try:
        weak = embedded.weak_secret()
        found = embedded.probe_servers()
    except NotInstalled:
        return
    except InvalidConfig as error:
        yield Check("settings", State.FAIL, error.detail, "memctx config show")
        return
    if weak is not None:
        yield Check("secrets", State.FAIL, weak, "./setup.sh --docker")
    elif found:
        yield ok("secrets", "no secret is a default or easy to guess")
    for probe in found:
        wrong = State.WARN if probe.works else State.FAIL
        state = wrong if probe.mend else State.OK
        yield Check(probe.name, state, probe.detail, probe.mend)


def _database() -> Iterator[Check]:
    """Looks at the database of a hub that does not run."""
    path = config.data_directory() / "hub.db"
    if not path.exists():
        return
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        yield Check("database", State.FAIL, f"{path}: {error}", "restore a backup")
        return
    if found == "ok":
        yield ok("database", f"{path} is readable; `memctx log verify` checks all of it")
    else:
        yield Check("database", State.FAIL, f"{path}: {found}", "restore a backup")
