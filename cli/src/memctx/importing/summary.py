"""The summary at the end of an import, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memctx.importing.report import Report, Tally
    from memctx.output import Output

SHOWN = 20
COLUMNS = ("project", "known by", "sessions", "messages", "checkpoints", "already there")


def print_summary(out: Output, report: Report) -> None:
    """Writes a row for each project, then what else there is to know."""
    tallies = sorted(report.tallies.values(), key=lambda tally: tally.project)
    rows = [_row(tally) for tally in tallies]
    if len(rows) > 1:
        rows.append(_total(tallies))
    if rows:
        out.table(COLUMNS, rows)
    _print_rest(out, report)


def _row(tally: Tally) -> tuple[str | int, ...]:
    known = tally.sessions_known + tally.messages_known + tally.checkpoints_known
    identity = "path (weak)" if tally.weak else tally.identity
    return (
        tally.project,
        identity,
        tally.sessions,
        tally.messages,
        tally.checkpoints,
        known,
    )


def _total(tallies: list[Tally]) -> tuple[str | int, ...]:
    total = [0, 0, 0, 0]
    for tally in tallies:
        for index, value in enumerate(_row(tally)[2:]):
            total[index] += int(value)
    return ("all", "", *total)


def _print_rest(out: Output, report: Report) -> None:
    speed = report.size / 1e6 / report.seconds if report.seconds > 0 else 0.0
    done = "would be imported" if report.dry_run else "imported"
    files = "file" if report.files == 1 else "files"
    left = f", {report.unchanged} unchanged" if report.unchanged else ""
    out.note(
        f"{report.files} {files} {done}{left}"
        f" ({report.size / 1e6:.1f} MB, {report.seconds:.1f} s, {speed:.1f} MB/s)"
    )
    if report.elsewhere:
        out.note(
            f"{report.elsewhere} left out: they belong to other projects than this replica's;"
            " import them in their own folders, or into a hub with --hub"
        )
    if report.redactions:
        counts = ", ".join(f"{count} {kind}" for kind, count in report.redactions.most_common())
        out.note(f"taken out before anything was sent: {counts}")
    differing = sum(tally.differing for tally in report.tallies.values())
    if differing:
        out.warn(f"{differing} messages are at the hub with another text; they stay as they are")
    deleted = sum(tally.deleted for tally in report.tallies.values())
    if deleted:
        out.note(f"{deleted} records were deleted at the hub and stay deleted")
    if any(tally.weak for tally in report.tallies.values()):
        out.warn(
            "projects known by a path only are not shared between machines;"
            " name them with --project or a .memctx.toml"
        )
    _print_troubles(out, report)


def _print_troubles(out: Output, report: Report) -> None:
    for bad in report.malformed[:SHOWN]:
        out.warn(f"{bad['file']}:{bad['line']}: {bad['reason']}")
    if report.malformed_lines > SHOWN:
        out.warn(f"{report.malformed_lines - SHOWN} more lines could not be read")
    for problem in report.problems[:SHOWN]:
        out.warn(f"not taken: {problem['record']} {problem['id']}: {problem['reason']}")
    for skipped in [each for each in report.skipped if not each["named"]][:SHOWN]:
        out.note(f"left out: {skipped['path']}: {skipped['reason']}")
