"""A push has each effect once, whatever is lost, repeated or sent twice at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_core.clock import now
from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    CreatePattern,
    CreateSession,
    Delete,
    Erase,
    NewMessage,
    Operation,
    RecordOutcome,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Privacy, Role
from memory_core.sync.operations import operation_hash
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub
from tests.support.syncing import FakeReplica, operation, wires


@pytest.fixture
def project(hub: Hub) -> str:
    return hub.make_project(f"push/{uuid7()}")


@pytest.fixture
def replica(hub: Hub, project: str) -> FakeReplica:
    return FakeReplica(hub.client, project)


@pytest.fixture
def others(hub: Hub) -> Iterator[Any]:
    """A client of somebody else."""
    with hub.as_(hub.make_key("read", "write", owner="grace")["key"]) as client:
        yield client


def session(title: str = "t", **more: Any) -> Operation:
    return operation(Kind.SESSION, CreateSession(id=uuid7(), title=title, **more))


def turn(session_id: str, text: str) -> Operation:
    message = NewMessage(id=uuid7(), role=Role.USER, text=text, created_at=now())
    return operation(Kind.SESSION, AppendMessages(messages=[message]), session_id)


def conversation(turns: int = 4) -> list[Operation]:
    first = session()
    return [first, *(turn(first.record_id, f"turn {number}") for number in range(turns))]


def outcomes(results: list[dict[str, Any]]) -> list[str]:
    return [result["outcome"] for result in results]


def test_operations_are_carried_out_in_their_order(hub: Hub, replica: FakeReplica) -> None:
    operations = conversation()
    batch = wires(operations)
    answer = checked(replica.push(batch), 200)
    assert outcomes(answer["results"]) == ["accepted"] * 5
    assert [result["seq"] for result in answer["results"]] == [2, 3, 4, 5, 6]
    assert answer["acked"] == {"number": 5, "hash": operation_hash(batch[-1]).hex()}
    assert (answer["expected"], answer["head"]) == (6, 6)
    found = hub.client.get(f"/api/v1/sessions/{operations[0].record_id}/messages").json()
    assert [one["text"] for one in found["items"]] == [f"turn {n}" for n in range(4)]
    assert [event["op_id"] for event in replica.log()][1:] == [o.op_id for o in operations]


def test_the_same_batch_again_gives_the_same_results(replica: FakeReplica) -> None:
    batch = wires(conversation())
    first = replica.results(batch)
    assert replica.results(batch) == first
    assert replica.results(batch[2:4]) == first[2:4]
    assert len(replica.log()) == 6


def test_a_batch_may_begin_before_what_is_known(replica: FakeReplica) -> None:
    batch = wires(conversation(6))
    first = replica.results(batch[:4])
    again = replica.results(batch[2:])
    assert again[:2] == first[2:]
    assert outcomes(again) == ["accepted"] * 5
    assert len(replica.log()) == 8


def test_what_is_confirmed_is_forgotten_and_still_happens_once(replica: FakeReplica) -> None:
    batch = wires(conversation())
    first = replica.results(batch)
    replica.push([], confirmed=5)
    again = replica.results(batch, confirmed=5)
    assert outcomes(again) == ["duplicate"] * 5
    assert [one["seq"] for one in again] == [one["seq"] for one in first]
    assert len(replica.log()) == 6


def test_a_gap_is_refused_and_says_where_to_begin(replica: FakeReplica) -> None:
    batch = wires(conversation())
    refused = checked(replica.push(batch[1:]), 409)
    assert (refused["code"], refused["expected"]) == ("operations_missing", 1)
    replica.push(batch[:2])
    assert checked(replica.push(batch[3:]), 409)["expected"] == 3
    assert len(replica.log()) == 3


def test_numbers_out_of_order_are_refused_whole(replica: FakeReplica) -> None:
    batch = wires(conversation())
    for wrong in ([batch[1], batch[0]], [batch[0], batch[2]], [batch[0], batch[0]]):
        assert checked(replica.push(wrong), 422)["code"] == "invalid_input"
    assert len(replica.log()) == 1


def test_another_operation_under_a_known_number_is_a_fork(replica: FakeReplica) -> None:
    batch = wires(conversation(1))
    replica.results(batch)
    for number in (1, 2, 3):
        other = wires([session("other")], number)
        answer = replica.push(other)
        if number < 3:
            assert checked(answer, 409)["code"] == "replica_forked"
        else:
            assert answer.status_code == 200
    replica.push([], confirmed=3)
    refused = replica.push(wires([session("never seen")], 1), confirmed=3)
    assert checked(refused, 409)["code"] == "replica_forked"


def test_two_identities_with_the_same_operations_have_one_effect(
    hub: Hub, project: str, replica: FakeReplica
) -> None:
    operations = conversation()
    first = replica.results(wires(operations))
    copy = FakeReplica(hub.client, project)
    again = copy.results(wires(operations[2:]))
    assert outcomes(again) == ["duplicate"] * 3
    assert [one["seq"] for one in again] == [one["seq"] for one in first[2:]]
    assert len(replica.log()) == 6


def test_an_operation_of_another_project_is_refused(hub: Hub, replica: FakeReplica) -> None:
    operations = conversation()
    replica.results(wires(operations))
    elsewhere = FakeReplica(hub.client, hub.make_project(f"push/{uuid7()}"))
    [refused] = elsewhere.results(wires(operations[:1]))
    assert refused["outcome"] == "rejected"
    assert len(elsewhere.log()) == 1


def test_what_is_refused_is_kept_and_the_rest_goes_on(replica: FakeReplica) -> None:
    unknown = turn(uuid7(), "to nobody")
    broken = wires([session()], 2)
    broken[0]["body"] = {"title": 7, "secret": "x"}
    newer = wires([session()], 3)
    newer[0]["type"] = "fly"
    batch = [*wires([unknown]), *broken, *newer, *wires([session()], 4)]
    results = replica.results(batch)
    assert outcomes(results) == ["rejected", "rejected", "rejected", "accepted"]
    codes = [result["problem"]["code"] for result in results[:3]]
    assert codes == ["not_found", "invalid_input", "invalid_input"]
    assert replica.results(batch) == results


def test_a_field_changed_on_both_sides_is_a_conflict(hub: Hub, replica: FakeReplica) -> None:
    made = session("first")
    replica.results(wires([made]))
    path = f"/api/v1/sessions/{made.record_id}"
    hub.client.patch(path, json={"title": "the hub's", "base": made.op_id})
    update = UpdateSession(title="pushed", description="pushed too")
    batch = wires([operation(Kind.SESSION, update, made.record_id, base=made.op_id)], 2)
    [result] = replica.results(batch)
    assert result["outcome"] == "conflict"
    [conflict] = hub.client.get("/api/v1/conflicts", params={"project": replica.project}).json()[
        "items"
    ]
    assert [conflict["id"]] == result["conflicts"]
    assert (conflict["kept"], conflict["pushed"]) == ("the hub's", "pushed")
    stored = hub.client.get(path).json()
    assert (stored["title"], stored["description"]) == ("the hub's", "pushed too")
    assert replica.results(batch) == [result]


def chain(record_id: str, base: str, *changes: UpdateSession) -> list[Operation]:
    """Returns changes each made upon the one before, by somebody who saw nothing else."""
    found: list[Operation] = []
    for change in changes:
        found.append(operation(Kind.SESSION, change, record_id, base=base))
        base = found[-1].op_id
    return found


def test_what_came_between_changes_of_one_author_was_not_seen_by_them(
    hub: Hub, replica: FakeReplica
) -> None:
    """The second change rests on the first, yet nobody had shown its author the hub's title."""
    made = session("first")
    replica.results(wires([made]))
    path = f"/api/v1/sessions/{made.record_id}"
    hub.client.patch(path, json={"title": "the hub's"})
    changes = chain(
        made.record_id,
        made.op_id,
        UpdateSession(description="mine"),
        UpdateSession(title="mine"),
        UpdateSession(description="mine again", summary="mine"),
    )
    assert outcomes(replica.results(wires(changes, 2))) == ["accepted", "conflict", "accepted"]
    stored = hub.client.get(path).json()
    assert (stored["title"], stored["description"]) == ("the hub's", "mine again")


def test_changes_of_one_author_do_not_stand_in_each_other_s_way(
    hub: Hub, replica: FakeReplica
) -> None:
    made = session("first")
    changes = chain(
        made.record_id,
        made.op_id,
        UpdateSession(title="second"),
        UpdateSession(title="second"),
        UpdateSession(title="third", description="d"),
    )
    assert outcomes(replica.results(wires([made, *changes]))) == ["accepted"] * 4
    stored = hub.client.get(f"/api/v1/sessions/{made.record_id}").json()
    assert (stored["title"], stored["description"]) == ("third", "d")


def test_a_base_that_names_itself_is_unknown(replica: FakeReplica) -> None:
    made = session("first")
    change = operation(Kind.SESSION, UpdateSession(title="x"), made.record_id)
    round_ = replace(change, base=change.op_id)
    after = operation(Kind.SESSION, UpdateSession(title="y"), made.record_id, base=change.op_id)
    assert outcomes(replica.results(wires([made, round_, after]))) == [
        "accepted", "conflict", "conflict",
    ]  # fmt: skip


def test_a_change_of_what_was_deleted_is_refused(hub: Hub, replica: FakeReplica) -> None:
    made = session()
    replica.results(wires([made]))
    hub.client.delete(f"/api/v1/sessions/{made.record_id}")
    late = [turn(made.record_id, "late"), operation(Kind.SESSION, Delete(), made.record_id)]
    refused, gone = replica.results(wires(late, 2))
    assert (refused["outcome"], refused["problem"]["code"]) == ("rejected", "deleted")
    assert (gone["outcome"], gone["seq"]) == ("duplicate", 3)


def test_an_erasure_may_be_pushed_twice(hub: Hub, project: str, replica: FakeReplica) -> None:
    made = session("secret things")
    replica.results(wires([made, operation(Kind.SESSION, Erase(), made.record_id)]))
    other = FakeReplica(hub.client, project)
    [again] = other.results(wires([operation(Kind.SESSION, Erase(), made.record_id)]))
    assert (again["outcome"], again["seq"]) == ("duplicate", 3)
    assert "secret things" not in str(other.log())


def test_nothing_of_ephemeral_content_is_kept(hub: Hub, replica: FakeReplica) -> None:
    passing = session("passing", privacy_level=Privacy.EPHEMERAL)
    results = replica.results(wires([passing, turn(passing.record_id, "gone"), session("kept")]))
    assert outcomes(results) == ["accepted", "rejected", "accepted"]
    assert [event["type"] for event in replica.log()] == ["project.created", "session.created"]


def test_secrets_are_taken_out_again_at_the_hub(replica: FakeReplica) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    made = session(f"token {secret}")
    replica.results(wires([made, turn(made.record_id, f"token {secret}")]))
    assert secret not in str(replica.log())


def test_outcomes_add_up_though_pushed_again(hub: Hub, project: str, replica: FakeReplica) -> None:
    pattern = operation(Kind.PATTERN, CreatePattern(name="p", pattern_type=PatternType.CODE))
    used = [
        operation(Kind.PATTERN, RecordOutcome(success=True), pattern.record_id) for _ in range(3)
    ]
    batch = wires([pattern, *used])
    replica.results(batch)
    replica.results(batch)
    FakeReplica(hub.client, project).results(wires(used))
    assert hub.client.get(f"/api/v1/patterns/{pattern.record_id}").json()["successes"] == 3


def test_a_long_mixed_batch_leaves_log_and_views_in_step(hub: Hub, replica: FakeReplica) -> None:
    """Whatever of it is written together, the views are those that the log makes."""
    private = session("mine", privacy_level=Privacy.PRIVATE)
    pattern = operation(Kind.PATTERN, CreatePattern(name="p", pattern_type=PatternType.CODE))
    both = conversation(60)
    same = [turn(both[0].record_id, "said twice")]
    operations = [
        private, turn(private.record_id, "kept private"), *both, *same, pattern,
        operation(Kind.PATTERN, RecordOutcome(success=True), pattern.record_id),
        turn(uuid7(), "to nobody"),
        operation(Kind.SESSION, same[0].body, both[0].record_id),
        session("tagged", tags=["a", "b"]),
        operation(Kind.SESSION, UpdateSession(tags_add=["c"]), both[0].record_id),
        operation(Kind.SESSION, Delete(), both[0].record_id),
        turn(both[0].record_id, "too late"),
        session("last"),
    ]  # fmt: skip
    batch = wires(operations)
    results = replica.results(batch)
    rejected = [operations[one["number"] - 1] for one in results if one["outcome"] == "rejected"]
    assert rejected == [operations[-7], operations[-2]]
    assert replica.results(batch) == results
    verified = hub.client.post("/api/v1/admin/verify").json()
    assert verified["ok"], verified
    written = [event["op_id"] for event in replica.log()][1:]
    assert written == sorted(written, key=[one.op_id for one in operations].index)
    assert [one["seq"] for one in results] == sorted(one["seq"] for one in results)
    found = hub.client.get(f"/api/v1/patterns/{pattern.record_id}").json()
    assert found["successes"] == 1


def test_a_restored_log_is_not_pushed_to(replica: FakeReplica) -> None:
    refused = checked(replica.push(wires([session()]), epoch=uuid7()), 410)
    assert refused["code"] == "epoch_changed"
    epoch = replica.pull().json()["epoch"]
    assert replica.push(wires([session()]), epoch=epoch).status_code == 200


def test_another_protocol_is_told_which_side_is_old(replica: FakeReplica) -> None:
    newer = checked(replica.push([], protocol=2), 426)
    assert newer["code"] == "upgrade_required"
    assert "upgrade this side" in newer["detail"]
    assert "upgrade the replica" in checked(replica.push([], protocol=0), 426)["detail"]
    assert replica.pull(protocol=2, novelty="x").status_code == 426
    said = {"replica": {"id": replica.id, "novelty": "x"}, "status": {"novelty": 1}, "novelty": {}}
    assert replica.push([{"novelty": 1}], protocol=2, **said).status_code == 426
    assert replica.push(wires([session()]), **said).status_code == 200


def test_a_replica_is_its_owner_s(
    hub: Hub, project: str, replica: FakeReplica, others: Any
) -> None:
    replica.results(wires([session()]))
    stolen = FakeReplica(others, project, replica.id)
    for answer in (stolen.push(wires([session()], 2)), stolen.pull()):
        assert checked(answer, 403)["code"] == "forbidden"
    elsewhere = FakeReplica(others, hub.make_project(f"push/{uuid7()}"), replica.id)
    assert elsewhere.push([]).status_code == 403
    assert FakeReplica(others, project).push(wires([session()])).status_code == 200


def test_somebody_else_s_private_session_is_not_written_to(
    project: str, replica: FakeReplica, others: Any
) -> None:
    private = session("mine", privacy_level=Privacy.PRIVATE)
    replica.results(wires([private]))
    theirs = FakeReplica(others, project)
    [result] = theirs.results(wires([turn(private.record_id, "intruder")]))
    assert (result["outcome"], result["problem"]["code"]) == ("rejected", "not_found")


def test_overlapping_pushes_at_once_have_each_effect_once(replica: FakeReplica) -> None:
    operations = conversation(30)
    batch = wires(operations)
    parts = [batch, batch[:20], batch, batch[:31], batch[:5], batch]
    with ThreadPoolExecutor(len(parts)) as pool:
        answers = list(pool.map(replica.push, parts))
    assert {answer.status_code for answer in answers} <= {200, 503}
    last = replica.results(batch)
    assert set(outcomes(last)) == {"accepted"}
    counted = Counter(event["op_id"] for event in replica.log())
    assert counted == Counter(o.op_id for o in operations) + Counter([replica.log()[0]["op_id"]])


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_way_of_pushing_gives_each_effect_once(hub: Hub, data: st.DataObject) -> None:
    """Prefixes, repeats, confirmations and a second identity, in any order."""
    replica = FakeReplica(hub.client, hub.make_project(f"push/{uuid7()}"))
    operations = conversation(7)
    batch = wires(operations)
    copy = FakeReplica(hub.client, replica.project)
    known = 0
    for _ in range(data.draw(st.integers(0, 6))):
        first = data.draw(st.integers(0, known))
        last = data.draw(st.integers(first, len(batch)))
        assert len(replica.results(batch[first:last])) == last - first
        known = max(known, last)
        if data.draw(st.booleans()):
            confirmed = data.draw(st.integers(0, known))
            assert replica.push([], confirmed=confirmed).status_code == 200
        if data.draw(st.booleans()):
            copy.results(batch[: data.draw(st.integers(0, len(batch)))])
    assert set(outcomes(replica.results(batch))) <= {"accepted", "duplicate"}
    log = replica.log()
    assert [event["op_id"] for event in log[1:]] == [one.op_id for one in operations]
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
