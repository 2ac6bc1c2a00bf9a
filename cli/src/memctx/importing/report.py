"""What an import did, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue

MAX_LISTED = 1_000


@dataclass(slots=True)
class Tally:
    """Counts of one project; what the hub had already is ``…_known``."""

    project: str
    identity: str
    sessions: int = 0
    sessions_known: int = 0
    messages: int = 0
    messages_known: int = 0
    differing: int = 0
    checkpoints: int = 0
    checkpoints_known: int = 0
    deleted: int = 0

    @property
    def weak(self) -> bool:
        """Says whether the project is known by a path only."""
        return self.identity == "path"


@dataclass(slots=True)
class Report:
    """Counts of one import; ``malformed`` and ``problems`` list the first 1,000."""

    dry_run: bool = False
    files: int = 0
    unchanged: int = 0
    elsewhere: int = 0
    size: int = 0
    seconds: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)
    redactions: Counter[str] = field(default_factory=Counter)
    malformed_lines: int = 0
    malformed: list[dict[str, JsonValue]] = field(default_factory=list)
    problems: list[dict[str, JsonValue]] = field(default_factory=list)
    skipped: list[dict[str, JsonValue]] = field(default_factory=list)

    def tally(self, key: str, project: str, identity: str) -> Tally:
        """Returns the counts of a project."""
        if key not in self.tallies:
            self.tallies[key] = Tally(project, identity)
        return self.tallies[key]

    def bad_line(self, path: str, line: int, reason: str) -> None:
        """Takes note of a line that could not be read."""
        self.malformed_lines += 1
        if len(self.malformed) < MAX_LISTED:
            self.malformed.append({"file": path, "line": line, "reason": reason})

    def problem(self, what: str, identity: str, reason: str) -> None:
        """Takes note of a record that the hub did not take."""
        if len(self.problems) < MAX_LISTED:
            self.problems.append({"record": what, "id": identity, "reason": reason})

    def skip(self, path: str, reason: str, *, named: bool) -> None:
        """Takes note of a file or folder that was left out."""
        if len(self.skipped) < MAX_LISTED:
            self.skipped.append({"path": path, "reason": reason, "named": named})

    @property
    def added(self) -> int:
        """How many records are new at the hub."""
        return sum(t.sessions + t.messages + t.checkpoints for t in self.tallies.values())

    def as_json(self) -> dict[str, JsonValue]:
        """Returns all counts."""
        return {
            "dry_run": self.dry_run,
            "files": self.files,
            "unchanged": self.unchanged,
            "elsewhere": self.elsewhere,
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "added": self.added,
            "projects": [{**asdict(tally), "weak": tally.weak} for tally in self.tallies.values()],
            "redactions": dict(sorted(self.redactions.items())),
            "malformed_lines": self.malformed_lines,
            "malformed": [*self.malformed],
            "problems": [*self.problems],
            "skipped": [*self.skipped],
        }
