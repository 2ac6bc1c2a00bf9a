"""What a process of its own does to a replica. Run as a module with a command and its values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from memory_core.operations import AppendMessages, CreatePattern, NewMessage
from memory_core.records import Kind, Role
from memory_core.sync.events import from_wire, to_wire
from sync_agent.exchange import Acked, PulledPage
from sync_agent.replica import Replica, swap
from sync_agent.sync import renew
from tests.support.servers.children import start_child
from tests.sync_agent.replica.hubs import NEW, PROJECT, operation

ROOT = Path(__file__).parents[3]


def run(*arguments: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own, which may die at a failpoint."""
    return subprocess.run(
        [sys.executable, "-m", "tests.sync_agent.replica.child", *arguments],
        cwd=ROOT,
        env=environ(failpoint),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def start(*arguments: str) -> subprocess.Popen[str]:
    """Starts a command in a process of its own; lines come through its pipes."""
    return start_child(
        [sys.executable, "-m", "tests.sync_agent.replica.child", *arguments],
        cwd=ROOT,
        env=environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def environ(failpoint: str = "") -> dict[str, str]:
    paths = [str(ROOT), *(part for part in sys.path if part.endswith("src"))]
    found = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(paths)}
    return found | ({"MEMCTX_FAILPOINT": failpoint} if failpoint else {})


def save_page(path: Path, page: PulledPage) -> Path:
    """Writes a page where a process can read it."""
    wire = {
        "items": [to_wire(one.event, withheld=one.withheld) for one in page.items],
        "values": [page.after, page.epoch, page.head, page.next_after, page.up_to_date],
        "digest": page.digest.hex(),
    }
    path.write_text(json.dumps(wire))
    return path


def load_page(path: Path) -> PulledPage:
    wire = json.loads(path.read_text())
    after, epoch, head, next_after, up_to_date = wire["values"]
    return PulledPage(
        after=after,
        epoch=epoch,
        head=head,
        items=[from_wire(item) for item in wire["items"]],
        next_after=next_after,
        up_to_date=up_to_date,
        acked=Acked(0, None),
        digest=bytes.fromhex(wire["digest"]),
        actor="ada",
        project={"id": PROJECT, "slug": "acme/api"},
    )


def main(command: str, path: str, *values: str) -> None:
    if command == "rebuild":
        fresh = Replica.create(Path(values[0]), NEW)
        swap(Path(path), fresh)
        return
    if command == "renew":
        renew(Path(path), NEW)
        return
    with Replica.open(Path(path)) as replica:
        if command == "apply":
            replica.apply_page(PROJECT, load_page(Path(values[0])))
        elif command == "write":
            for number in range(int(values[1])):
                body = CreatePattern.model_validate(
                    {"pattern_type": "code", "name": f"{values[0]} {number}"}
                )
                replica.write(PROJECT, operation(Kind.PATTERN, body))
        elif command == "journal":
            print(json.dumps([row.number for row in replica.journal(PROJECT)]))
        elif command == "append":
            # Says each write's number after it returned: what was said must be there.
            while True:
                message = NewMessage(role=Role.USER, text="a line")
                asked = operation(Kind.SESSION, AppendMessages(messages=[message]), values[0])
                print(replica.write(PROJECT, asked).number, flush=True)
        elif command == "hold":
            with replica._file.writing():
                print("held", flush=True)
                sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
