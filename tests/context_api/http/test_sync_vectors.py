"""A replica gets the vectors of the texts that it holds, and of no others."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.ids import uuid7
from memory_core.operations import CreateSession, NewMessage
from memory_core.recall.indexed import index_record
from memory_core.recall.prepare import embedded_texts
from memory_core.records import Document, Kind, Privacy, Ref, Role
from memory_core.sync.vectors import unpack
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub
from tests.support.syncing import FakeReplica, operation, wires


@pytest.fixture
def replica(hub: Hub) -> FakeReplica:
    return FakeReplica(hub.client, hub.make_project(f"vectors/{uuid7()}"))


def said(replica: FakeReplica, text: str, first: int = 1, **more: Any) -> dict[bytes, str]:
    """Stores a message and returns what of it is embedded, once the hub has done so."""
    messages = [NewMessage(id=uuid7(), role=Role.USER, text=text)]
    body = CreateSession(id=uuid7(), title="t", messages=messages, **more)
    replica.results(wires([operation(Kind.SESSION, body)], first))
    end = time.monotonic() + 60
    while time.monotonic() < end:
        project = replica.client.get(f"/api/v1/projects/{replica.project}").json()
        if project["indexed_seq"] >= project["head"]:
            break
        time.sleep(0.05)
    session: Document = replica.client.get(f"/api/v1/sessions/{body.id}").json()
    path = f"/api/v1/messages/{messages[0].id}"
    message: Document = replica.client.get(path).json()
    return embedded_texts(index_record(Ref(Kind.MESSAGE, str(messages[0].id)), message, session))


def asked(replica: FakeReplica, hashes: list[str]) -> Any:
    path = f"/api/v1/projects/{replica.project}/sync/vectors"
    return replica.client.post(path, json={"hashes": hashes})


def test_a_replica_need_not_embed(replica: FakeReplica) -> None:
    texts = said(replica, "how the parser counts tabs")
    answer = asked(replica, [*(hashed.hex() for hashed in texts), "0" * 32])
    assert answer.headers["content-type"] == "application/octet-stream"
    batch = unpack(answer.content)
    model = replica.pull().json()["model"]
    assert (batch.model, batch.dimension) == (model["name"], model["dimension"])
    assert {hashed for hashed, _ in batch.rows} == {hashed.hex() for hashed in texts}
    embedder = HashingEmbedder()
    for hashed, vector in batch.rows:
        [expected] = embedder.embed([texts[bytes.fromhex(hashed)]])
        assert float(np.abs(vector - expected).max()) <= float(np.abs(expected).max()) / 127


def test_vectors_of_private_texts_are_their_owner_s(hub: Hub, replica: FakeReplica) -> None:
    texts = said(replica, "what nobody else may know", privacy_level=Privacy.PRIVATE)
    hashes = [hashed.hex() for hashed in texts]
    assert len(unpack(asked(replica, hashes).content).rows) == len(hashes)
    with hub.as_(hub.make_key("read", owner="grace")["key"]) as client:
        theirs = asked(FakeReplica(client, replica.project), hashes)
        assert list(unpack(theirs.content).rows) == []


def test_what_is_no_hash_is_refused(replica: FakeReplica) -> None:
    for hashes in (["x"], ["0" * 31], ["0" * 32] * 1001):
        assert checked(asked(replica, hashes), 422)["code"] == "invalid_input"
