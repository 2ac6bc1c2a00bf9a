"""What the benchmarks of the running hub share: a real hub process, a client, percentiles, facts.

The hub is ``memctx serve`` in its own process, on a free loopback port, over a temporary data
folder. Nothing of the user's settings reaches it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"
MODELS = ROOT / ".memctx-data" / "models"
MODEL = "all-MiniLM-L6-v2"
KEY = "mctx_benchmark_" + "k" * 43
API = "/api/v1"
READY_SECONDS = 60.0


class Skipped(Exception):
    """The benchmark cannot run here; says why in one line."""


@dataclass
class Hub:
    """A hub process over ``folder``, with the real model or without any."""

    folder: Path
    with_model: bool = True
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    environ: dict[str, str] = field(default_factory=dict)

    def start(self) -> float:
        """Starts the process and returns the seconds until ``/health/ready`` answered 200."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.environ = self._environment()
        with (self.folder / "hub.log").open("ab") as log:
            started = time.perf_counter()
            self.process = subprocess.Popen(
                [*memctx(), "serve"],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self._ready():
            if self.process.poll() is not None or time.perf_counter() - started > READY_SECONDS:
                self.stop()
                raise RuntimeError((self.folder / "hub.log").read_text(errors="replace")[-4000:])
            time.sleep(0.005)
        return time.perf_counter() - started

    def stop(self) -> None:
        """Ends the process, by its id, as an operator would."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def data_dir(self) -> Path:
        """The folder of the hub's data."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """Where the hub listens."""
        return f"http://127.0.0.1:{self.port}"

    def rss_mb(self) -> float:
        """Returns the resident memory of the process and its children, in MB of 10^6 bytes."""
        assert self.process is not None
        own = psutil.Process(self.process.pid)
        total: int = sum(p.memory_info().rss for p in [own, *own.children(recursive=True)])
        return total / 1e6

    def cpu_s(self) -> float:
        """Returns the processor time the process has taken, in seconds."""
        assert self.process is not None
        times = psutil.Process(self.process.pid).cpu_times()
        taken: float = times.user + times.system
        return taken

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        models = MODELS if self.with_model else self.folder / "no-models"
        names = ("PATH", "LANG", "PYTHONPATH")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        return kept | {
            "HOME": str(home),
            "MEMCTX_API_KEY": KEY,
            "MEMCTX_DATA_DIR": str(self.data_dir),
            "MEMCTX_EMBEDDING_PROVIDER": "onnx",
            "MEMCTX_LOG_LEVEL": "warning",
            "MEMCTX_MODEL_DIR": str(models),
            "MEMCTX_PORT": str(self.port),
            "MEMCTX_URL": self.url,
        }

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def running_hub(folder: Path, *, with_model: bool = True) -> Iterator[Hub]:
    """Runs a hub over ``folder`` until the block ends."""
    hub = Hub(folder, with_model)
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


class Client:
    """One keep-alive connection to a hub."""

    def __init__(self, hub: Hub) -> None:
        """Connects; small requests are not held back."""
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=300)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Sends a request and returns the body of its answer, which must be a success."""
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return content

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Sends JSON to a path below the API's prefix and returns the JSON of the answer."""
        raw = None if body is None else json.dumps(body).encode()
        return json.loads(self.send(method, API + path, raw) or b"null")

    def wait_indexed(self, project_id: str, *, words_only: bool = False) -> float:
        """Waits until a project is indexed and returns the seconds that took."""
        started = time.perf_counter()
        while not self._indexed(project_id, words_only=words_only):
            time.sleep(0.1)
        return time.perf_counter() - started

    def _indexed(self, project_id: str, *, words_only: bool) -> bool:
        if not words_only:
            project = self.call("GET", f"/projects/{project_id}")
            return bool(project["indexed_seq"] >= project["head"])
        index = self.call("GET", "/status")["index"]
        mine = next(each for each in index if each["project"] == project_id)
        return bool(mine["lexical_seq"] >= mine["head"])


class Meter:
    """Measures a stretch of time: its length, the hub's processor time, and who disturbed.

    The load average looks back a minute; ``others_cores`` is how many cores were busy with
    anything but the hub and this process just now.
    """

    def __init__(self, hub: Hub) -> None:
        """Starts to measure."""
        self._hub = hub
        self._hub_s, self._busy_s, self._own_s = self._taken()
        self._started = time.perf_counter()

    def stop(self) -> Stretch:
        """Returns what happened since the start."""
        seconds = time.perf_counter() - self._started
        hub_s, busy_s, own_s = self._taken()
        hub_s, busy_s, own_s = hub_s - self._hub_s, busy_s - self._busy_s, own_s - self._own_s
        others = max(0.0, busy_s - hub_s - own_s) / seconds
        return Stretch(seconds, hub_s, {"load": load(), "others_cores": round(others, 2)})

    def _taken(self) -> tuple[float, float, float]:
        system = psutil.cpu_times()
        busy = system.user + system.nice + system.system + system.softirq
        return self._hub.cpu_s(), busy, time.process_time()


@dataclass(frozen=True)
class Stretch:
    """A measured stretch of time."""

    seconds: float
    hub_cpu_s: float
    disturbance: dict[str, float]


def memctx() -> list[str]:
    """Returns the command of the ``memctx`` that is installed beside this Python."""
    script = Path(sys.executable).with_name("memctx")
    return [str(script)] if script.exists() else [sys.executable, "-m", "memctx"]


def free_port() -> int:
    """Returns a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Returns p50, p95, best and worst in milliseconds, by the nearest rank, and their number."""
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return round(1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)

    return {
        "p50_ms": rank(0.50),
        "p95_ms": rank(0.95),
        "min_ms": rank(0.0),
        "max_ms": rank(1.0),
        "n": len(ordered),
    }


def load() -> float:
    """Returns the machine's load of the last minute: above the cores, others were disturbing."""
    return round(os.getloadavg()[0], 2)


def machine() -> dict[str, Any]:
    """Returns what the figures were measured on."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "onnxruntime": version("onnxruntime"),
        "numpy": version("numpy"),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def model_dir() -> Path:
    """Returns the folder of the installed model.

    Raises:
        Skipped: it is not installed.
    """
    folder = MODELS / MODEL
    if not (folder / "model.json").exists():
        raise Skipped(f"no model in {folder.relative_to(ROOT)}; run: memctx model install")
    return folder


def with_one_blas_thread() -> None:
    """Starts this program again with one BLAS thread, unless that is set already.

    More of them wait for each other in busy loops, which would take the processor from the hub.
    """
    if "OPENBLAS_NUM_THREADS" not in os.environ:
        environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environ)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Yields a temporary folder, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"memctx-bench-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parser(doc: str | None, name: str) -> argparse.ArgumentParser:
    """Returns a parser with ``--json``, which by default writes into ``benchmarks/results``."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, default=RESULTS / f"{name}.json", metavar="OUT")
    return made


def benchmark(
    arguments: argparse.Namespace,
    name: str,
    measure: Callable[[Path, argparse.Namespace], dict[str, Any]],
) -> None:
    """Measures in a temporary folder and publishes what was found, or says why it cannot run."""
    # A benchmark that is told to end must still end its hub.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    load_before = load()
    with scratch(name) as folder:
        try:
            figures = measure(folder, arguments)
        except Skipped as reason:
            print(f"skipped: {reason}")
        else:
            publish(arguments, figures, load_before)


def publish(arguments: argparse.Namespace, figures: dict[str, Any], load_before: float) -> None:
    """Writes the result with the command and the machine, and prints it."""
    command = ["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]
    if "--json" in command:
        place = command.index("--json")
        del command[place : place + 2]
    report = {
        "command": shlex.join(command),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "load_before": load_before,
        "load_after": load(),
        "figures": figures,
    }
    out: Path = arguments.json
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report["figures"], indent=1))
