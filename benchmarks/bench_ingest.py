"""Measures storing: acknowledged messages a second over HTTP, and how fast the index follows.

Messages of about 500 characters go out in batches of 100, each batch answered before the next
of the same client. ``words_only`` is a hub without a model, ``with_model`` one that embeds in
the background on the same cores meanwhile. Indexing is then measured alone, between two rounds
of the bare embedder on the same texts in this process, and as a share of their mean.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from corpus import Corpus
from harness import API, Client, Hub, Meter, benchmark, model_dir, parser, running_hub, spread

from memory_core.chunking import chunk_text
from memory_core.embedding.onnx import OnnxEmbedder

BATCH = 100
WORDS = (52, 76)
TARGETS = {"messages_per_s": 2000, "indexing_share": 0.80}


def bodies(texts: list[str]) -> list[bytes]:
    """Returns the request bodies, made beforehand: making them is the client's work."""
    made = []
    for start in range(0, len(texts), BATCH):
        messages = [
            {"role": "assistant" if number % 2 else "user", "text": text}
            for number, text in enumerate(texts[start : start + BATCH])
        ]
        made.append(json.dumps({"messages": messages}).encode())
    return made


def open_session(client: Client, name: str) -> tuple[str, str]:
    """Returns the id of the project, made if need be, and the path of a new session's messages."""
    project = client.call("POST", "/projects", {"slug": f"bench/{name}"})
    session = client.call("POST", "/sessions", {"project": project["id"], "title": "Benchmark"})
    return project["id"], f"{API}/sessions/{session['id']}/messages"


def send(client: Client, path: str, requests: list[bytes]) -> list[float]:
    """Sends the batches one after the other and returns the seconds each took."""
    took = []
    for body in requests:
        started = time.perf_counter()
        client.send("POST", path, body)
        took.append(time.perf_counter() - started)
    return took


def store(hub: Hub, name: str, texts: list[str], clients: int) -> dict[str, Any]:
    """Stores the texts by several clients at once, each into its own session of one project."""
    connections = [Client(hub) for _ in range(clients)]
    paths = [open_session(client, name)[1] for client in connections]
    shares = [bodies(texts[number::clients]) for number in range(clients)]
    took: list[float] = []
    threads = [
        threading.Thread(target=lambda job=job: took.extend(send(*job)))
        for job in zip(connections, paths, shares, strict=True)
    ]
    meter = Meter(hub)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stretch = meter.stop()
    for client in connections:
        client.close()
    if len(took) != sum(map(len, shares)):
        raise RuntimeError("a batch was not acknowledged")
    return {
        "messages_per_s": round(len(texts) / stretch.seconds),
        "hub_cpu_us_per_message": round(1e6 * stretch.hub_cpu_s / len(texts)),
        "batch": spread(took),
        "rss_mb": round(hub.rss_mb()),
        **stretch.disturbance,
    }


def storing(hub: Hub, label: str, count: int) -> dict[str, Any]:
    """Stores ``count`` messages by one client, then as many by four."""
    send_to = {1: Corpus(11, words=WORDS), 4: Corpus(12, words=WORDS)}
    found = {}
    for clients, corpus in send_to.items():
        found[f"clients_{clients}"] = store(hub, f"{label}-{clients}", corpus.texts(count), clients)
    return found


def bare(embedder: OnnxEmbedder, texts: list[str]) -> float:
    """Returns texts a second of the embedder alone."""
    started = time.perf_counter()
    embedder.embed(texts)
    return len(texts) / (time.perf_counter() - started)


def indexing(hub: Hub, embedder: OnnxEmbedder, count: int) -> dict[str, Any]:
    """Measures chunks a second from the first request until the index has reached the head."""
    texts = Corpus(13, words=WORDS).texts(count)
    embedder.embed(texts[:64])
    before = bare(embedder, texts)
    client = Client(hub)
    project_id, path = open_session(client, "indexing")
    client.wait_indexed(project_id)
    requests = bodies(texts)
    meter = Meter(hub)
    send(client, path, requests)
    client.wait_indexed(project_id)
    stretch = meter.stop()
    client.close()
    after = bare(embedder, texts)
    chunks = sum(len(chunk_text(text)) for text in texts)
    mean = float(np.mean([before, after]))
    return {
        "chunks": chunks,
        "chunks_per_s": round(chunks / stretch.seconds, 1),
        "bare_texts_per_s": [round(before, 1), round(after, 1)],
        "share": round(chunks / stretch.seconds / mean, 3),
        "rss_mb": round(hub.rss_mb()),
        **stretch.disturbance,
    }


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the three parts, each on an empty hub."""
    embedder = OnnxEmbedder.load(model_dir())
    with running_hub(folder / "words", with_model=False) as hub:
        words_only = storing(hub, "words", arguments.messages)
    with running_hub(folder / "model") as hub:
        with_model = storing(hub, "model", arguments.messages)
    with running_hub(folder / "index") as hub:
        indexed = indexing(hub, embedder, arguments.indexed)
    sample = Corpus(11, words=WORDS).texts(1000)
    return {
        "targets": TARGETS,
        "batch_size": BATCH,
        "messages": arguments.messages,
        "characters_mean": round(float(np.mean([len(text) for text in sample]))),
        "words_only": words_only,
        "with_model": with_model,
        "indexing": indexed,
    }


def main() -> None:
    made = parser(__doc__, "ingest")
    made.add_argument(
        "--messages", type=int, default=10_000, help="stored by each number of clients"
    )
    made.add_argument("--indexed", type=int, default=1_500, help="messages of the indexing part")
    benchmark(made.parse_args(), "ingest", measure)


if __name__ == "__main__":
    main()
