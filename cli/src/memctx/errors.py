"""Errors of the command line, and the next step for those a person can mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_core.errors import ContextError, InvalidInput

if TYPE_CHECKING:
    from memctx.run import Run

USAGE = 2
FAILURE = 1
INTERRUPTED = 130


class Usage(InvalidInput):
    """The command was not called as it should be."""

    code = "usage"


class NotInstalled(ContextError):
    """This part is not installed here."""

    code = "not_installed"


class Failed(ContextError):
    """A check found something that is not as it should be."""

    code = "check_failed"


class Stopped(ContextError):
    """The command was stopped before it was done."""

    code = "stopped"


def exit_code(error: ContextError) -> int:
    """Returns 2 for what the caller can only mend by asking differently, else 1."""
    if isinstance(error, Stopped):
        return INTERRUPTED
    return USAGE if isinstance(error, InvalidInput) or error.status in {400, 413} else FAILURE


def advice(error: ContextError, run: Run) -> str:
    """Returns the next step for an error, or an empty text."""
    if error.code in {"hub_unreachable", "not_a_hub"} and run.config.url.loopback:
        return "start the hub with `memctx serve`, or set MEMCTX_URL"
    if error.code == "unauthorized":
        key = run.config.settings.get("MEMCTX_API_KEY")
        if key is not None:
            return f"the key of {key.source} is not this hub's"
    return _ADVICE.get(error.code, "")


_ADVICE = {
    "hub_unreachable": "check MEMCTX_URL and the network",
    "hub_timeout": "check MEMCTX_URL and the network",
    "not_a_hub": "check MEMCTX_URL",
    "unauthorized": "set MEMCTX_API_KEY; `./setup.sh` writes one into .env",
    "forbidden": "use a key with the scope that this needs (`memctx keys create`)",
    "project_not_found": "`memctx projects list` shows all, `memctx projects add` makes one",
    "model_missing": "run `memctx model install`",
    "model_broken": "run `memctx model install`",
    "storage_full": "make room on the hub's disk",
}
