"""A hub, replicas of two people, and everything that can happen between them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memory_core.clock import now
from memory_core.decide import complete
from memory_core.errors import ContextError
from memory_core.records import Kind
from sync_agent.replica import Replica
from sync_agent.sync.cycle import Options, sync_project
from sync_agent.sync.report import Report, State
from tests.sync import oracle
from tests.sync.devices import FILE, Device, Say, clock_off, dying
from tests.sync.history import Asked, Choice, History, asked
from tests.sync.hosting import Backup, TestHub
from tests.sync.lines import Line, Plan, Sent, deliver_again, transport_to
from tests.sync.oracle import Log, Verdict

MAX_ROUNDS = 20
MAX_DEVICES = 5
OWNERS = (("laptop", "ada"), ("desk", "bob"), ("train", "ada"))


@dataclass
class World:
    """All that a history is played in. Every method is one step."""

    hub: TestHub
    folder: Path
    devices: list[Device] = field(default_factory=list)
    history: History = field(default_factory=History)
    sent: list[Sent] = field(default_factory=list)
    hub_backup: Backup | None = None
    file_backups: dict[str, Path] = field(default_factory=dict)
    rounds: int = 0

    def begin(self) -> None:
        """Makes the hub's project and three replicas."""
        self.hub.begin()
        self.history.asked.add(str(self.hub.project["last_op"]))
        for name, actor in OWNERS:
            device = Device(name, actor, self.folder / name / ".memctx", self.hub.project_id)
            device.make(self.hub.slug, self.hub.url)
            self.devices.append(device)

    def end(self) -> None:
        """Closes all files."""
        for device in self.devices:
            device.close()

    def device(self, which: int) -> Device:
        """Returns one of the replicas."""
        return self.devices[which % len(self.devices)]

    # -- users

    def write(self, device: Device, work: Sequence[Choice]) -> None:
        """A user works on a replica; what it refuses is not acknowledged."""
        for choice in work:
            wanted = self._asked(device, choice)
            with clock_off(device.days):
                if store(device.replica, device.project_id, wanted):
                    self.history.add(wanted.acknowledged(device.name))

    def write_and_die(self, device: Device, choice: Choice, statements: int) -> None:
        """The process that writes is killed before a statement, or after it said it had."""
        wanted = self._asked(device, choice)
        device.close()

        def act(say: Say) -> None:
            with clock_off(device.days):
                if store(Replica.open(device.path), device.project_id, wanted):
                    say("stored")

        said, is_killed = dying(act, statements)
        self.history.faults["writer killed"] += is_killed
        # Stored and not told: the user cannot know, so it may be there or not.
        if "stored" in said or wanted.operation.op_id in device.op_ids():
            self.history.add(wanted.acknowledged(device.name))

    def write_at_hub(self, which: int, actor: str) -> None:
        """Somebody without a replica changes a session or a pattern over the API."""
        views = oracle.seen_by(actor, self.hub.log())
        found = [views[ref] for ref in sorted(views) if ref.kind in {Kind.SESSION, Kind.PATTERN}]
        if not found:
            body = {"project": self.hub.slug, "pattern_type": "code", "name": "of the hub"}
            made = self.hub.ask_as(actor, "POST", "/patterns", json=body)
            self.history.asked.add(made["last_op"])
            return
        document = found[which % len(found)]
        kind, field_ = ("sessions", "title") if "title" in document else ("patterns", "name")
        value = {field_: f"by the hub {which}"}
        made = self.hub.ask_as(actor, "PATCH", f"/{kind}/{document['id']}", json=value)
        self.history.asked.add(made["last_op"])
        self.history.operations["at the hub"] += 1

    # -- sync

    def sync(self, device: Device, plan: Plan | None = None) -> Report:
        """One cycle of a replica."""
        line = self._line(device, plan or Plan())
        if device.is_cut_off:
            line.is_down = True
        with clock_off(device.days):
            report = sync_project(device.replica, device.project_id, line, options(device))
        self.history.faults.update(line.faults)
        line.inner.close()
        return report

    def sync_and_die(self, device: Device, statements: int) -> None:
        """The process that syncs is killed before a statement."""
        device.close()

        def act(say: Say) -> None:
            line = self._line(device, Plan())
            with clock_off(device.days):
                replica = Replica.open(device.path)
                sync_project(replica, device.project_id, line, options(device))
            say("done")

        _, is_killed = dying(act, statements)
        self.history.faults["sync killed"] += is_killed

    def sync_all(self) -> None:
        """All replicas sync, twice: deep states are reached by this."""
        for _ in range(2):
            for device in self.devices:
                self.sync(device)

    def leave(self, device: Device) -> None:
        """The network of a replica goes."""
        device.is_cut_off = True
        self.history.faults["partition"] += 1

    def set_clock(self, device: Device, days: int) -> None:
        """The clock of a machine is set."""
        device.days = days
        self.history.faults["clock set"] += 1

    def come_back(self, device: Device, seed: int) -> None:
        """The network comes back: pushes of the past arrive again, in another order."""
        device.is_cut_off = False
        for actor in {device.actor for device in self.devices}:
            transport = transport_to(self.hub.url, self.hub.keys[actor])
            count = deliver_again(self.sent, self.hub.project_id, transport, seed)
            self.history.faults["pushes delivered again"] += count
            transport.close()

    # -- disasters

    def back_up_hub(self) -> None:
        """Takes a backup of the hub."""
        self.hub_backup = self.hub.backup()

    def restore_hub(self) -> None:
        """Restores the hub from its backup: what came later is gone from it."""
        if self.hub_backup is None:
            return
        self.hub.restore(self.hub_backup)
        self.history.faults["hub restored"] += 1
        self._forget_what_is_nowhere()

    def roll_back_hub(self) -> None:
        """The hub's disk is put back as it was, and nothing tells anybody."""
        if self.hub_backup is None:
            return
        self.hub.roll_back(self.hub_backup)
        self.history.faults["hub's disk put back"] += 1
        for device in self.devices:
            device.may_go_back = True
        self._forget_what_is_nowhere()

    def back_up_file(self, device: Device) -> None:
        """Copies a replica's folder aside, as a backup tool does."""
        device.close()
        kept = self.folder / "kept" / device.name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(device.folder, kept)
        self.file_backups[device.name] = kept

    def restore_file(self, device: Device, *, in_place: bool) -> None:
        """Puts yesterday's file back: as a new file, or into the old one."""
        kept = self.file_backups.get(device.name)
        if kept is None:
            return
        device.close()
        for stale in device.folder.glob(f"{FILE}-*"):
            stale.unlink()
        source = kept / FILE
        if in_place:
            device.path.write_bytes(source.read_bytes())
        else:
            shutil.copy(source, device.path.with_suffix(".new"))
            device.path.with_suffix(".new").replace(device.path)
        for beside in kept.glob(f"{FILE}-*"):
            shutil.copy(beside, device.folder / beside.name)
        device.seen = None
        self.history.faults["file of yesterday"] += 1
        self._forget_what_is_nowhere()

    def copy_folder(self, device: Device) -> None:
        """Copies a replica's folder; from now on both are used."""
        if len(self.devices) >= MAX_DEVICES:
            return
        device.close()
        name = f"{device.name}+{len(self.devices)}"
        copy = Device(name, device.actor, self.folder / name / ".memctx", device.project_id)
        shutil.copytree(device.folder, copy.folder)
        copy.days = device.days
        self.devices.append(copy)
        self.history.faults["folder copied"] += 1

    def restart_hub(self) -> None:
        """The hub stops and starts."""
        self.hub.restart()
        self.history.faults["hub restarted"] += 1

    # -- what must hold

    def check_now(self) -> Verdict:
        """What must hold after every step."""
        verdict = Verdict()
        for device in self.devices:
            held = device.held()
            mine = [one for one in self.history.acknowledged.values() if one.device == device.name]
            verdict.add(oracle.journal_keeps(mine, held))
            back = oracle.cursor_moved(device.seen, held)
            if back.all and device.may_go_back:
                device.may_go_back = False
            else:
                verdict.add(back)
            device.seen = (held.epoch, held.cursor)
        return verdict

    def settle(self) -> Verdict:
        """Heals everything, lets all sync until nothing moves, and compares with the log."""
        for device in self.devices:
            device.is_cut_off = False
        self.rounds = 0
        while moved := self._round():
            self.rounds += 1
            if self.rounds > MAX_ROUNDS:
                return Verdict(diverged=[f"not at rest after {MAX_ROUNDS} rounds: {moved}"])
        log, replicas = self.hub.log(), [device.held() for device in self.devices]
        acknowledged = [*self.history.acknowledged.values()]
        verdict = oracle.log_is_sound(log)
        verdict.add(oracle.nothing_is_made_up(log, self.history.asked))
        verdict.add(oracle.everything_is_accounted_for(log, acknowledged, replicas))
        verdict.add(oracle.nothing_comes_back(log, replicas))
        verdict.add(oracle.replicas_equal(log, replicas))
        verdict.add(self._erased_is_nowhere(log))
        return verdict

    def _round(self) -> list[str]:
        """Lets each replica sync once; returns what moved, or could not."""
        moved = []
        for device in self.devices:
            before = (*_place(device), device.replica.replica_id)
            report = self.sync(device)
            is_level = report.state is State.SYNCED and not report.progressed
            if not is_level or (*_place(device), device.replica.replica_id) != before:
                moved.append(f"{device.name}: {report.document()}")
        return moved

    def _asked(self, device: Device, choice: Choice) -> Asked:
        wanted = asked(choice, device.held().view)
        self.history.asked.add(wanted.operation.op_id)
        return wanted

    def _erased_is_nowhere(self, log: Log) -> Verdict:
        """No file of a replica holds a word that only an erased record said."""
        verdict = Verdict()
        said = oracle.words_of_erased(log, self.history.acknowledged.values())
        for device in self.devices:
            for text in sorted(said):
                for name in device.holds(text):
                    verdict.resurrected.append(f"{device.name}/{name} holds the erased {text}")
        return verdict

    def _forget_what_is_nowhere(self) -> None:
        anywhere = {event.op_id for event in self.hub.log().events}
        held = {device.name: device.op_ids() for device in self.devices}
        anywhere = anywhere.union(*held.values())
        for op_id, one in self.history.acknowledged.items():
            if op_id not in held.get(one.device, set()):
                self.history.acknowledged[op_id] = one.moved_away()
        self.history.forget_all_but(anywhere)

    def _line(self, device: Device, plan: Plan) -> Line:
        return Line(transport_to(self.hub.url, self.hub.keys[device.actor]), plan, self.sent)


def options(device: Device) -> Options:
    """Returns how a device syncs."""
    return Options(name=device.name, agent="test")


def store(replica: Replica, project_id: str, wanted: Asked) -> bool:
    """Stores an operation; False where the replica refuses it."""
    at = now()
    try:
        replica.write(project_id, complete(wanted.operation, at), at=at)
    except ContextError:
        return False
    return True


def _place(device: Device) -> tuple[str | None, int]:
    held = device.held()
    return held.epoch, held.cursor
