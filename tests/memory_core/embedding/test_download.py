from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from memory_core.embedding.download import fetch
from memory_core.embedding.published import PublishedFile
from memory_core.errors import InvalidInput, ModelBroken, Unavailable
from tests.support.model_hub import ModelHub, model_hub
from tests.support.web import respond, serving

CONTENT = random.Random(11).randbytes(1_500_000)
PATH = "some/model/resolve/1234/onnx/model.onnx"


def published(content: bytes = CONTENT) -> PublishedFile:
    digest = hashlib.sha256(content).hexdigest()
    return PublishedFile("onnx/model.onnx", "model.onnx", digest, len(content))


def get(hub: ModelHub, part: Path, pauses: list[float] | None = None) -> list[int]:
    """Fetches the file and returns the byte counts that were reported."""
    reported: list[int] = []
    fetch(
        f"{hub.url}/{PATH}",
        published(),
        part,
        lambda stage, done, total: reported.append(done),
        pause=([] if pauses is None else pauses).append,
    )
    return reported


def test_a_file_arrives_whole_with_its_progress(tmp_path: Path) -> None:
    with model_hub({PATH: CONTENT}) as hub:
        reported = get(hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert reported == sorted(reported)
    assert (reported[0], reported[-1]) == (0, len(CONTENT))
    assert len(reported) > 4


def test_a_cut_line_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    pauses: list[float] = []
    with model_hub({PATH: CONTENT}) as hub:
        hub.cut_after = [400_000, 300_000]
        get(hub, tmp_path / "part", pauses)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert hub.ranges == [None, "bytes=400000-", "bytes=700000-"]
    assert hub.sent == len(CONTENT)
    assert len(pauses) == 2


def test_a_later_process_goes_on_from_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:1_000_000])
    with model_hub({PATH: CONTENT}) as hub:
        reported = get(hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert hub.sent == 500_000
    assert reported[0] == 1_000_000


def test_a_whole_file_from_an_earlier_run_asks_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT)
    with model_hub({PATH: CONTENT}) as hub:
        get(hub, tmp_path / "part")
    assert hub.ranges == []


def test_a_server_without_ranges_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:1_000_000])
    with model_hub({PATH: CONTENT}) as hub:
        hub.supports_range = False
        get(hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert hub.sent == len(CONTENT)


@pytest.mark.parametrize("junk", [b"x" * 1_000_000, b"x" * 1_500_000, b"x" * 2_000_000])
def test_a_damaged_beginning_does_not_spoil_a_good_source(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "part").write_bytes(junk)
    with model_hub({PATH: CONTENT}) as hub:
        get(hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [416, 206])
def test_a_server_that_cannot_resume_is_asked_from_the_start(tmp_path: Path, status: int) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:1_000_000])
    with model_hub({PATH: CONTENT}) as hub:
        hub.statuses = [status]
        get(hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert hub.ranges == ["bytes=1000000-", None]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_faults_are_waited_out(tmp_path: Path, status: int) -> None:
    pauses: list[float] = []
    with model_hub({PATH: CONTENT}) as hub:
        hub.statuses = [status, status]
        get(hub, tmp_path / "part", pauses)
    assert pauses == [1.0, 2.0]


def test_a_line_that_brings_nothing_is_given_up_and_what_came_is_kept(tmp_path: Path) -> None:
    pauses: list[float] = []
    with model_hub({PATH: CONTENT}) as hub:
        hub.cut_after = [500_000, *[0] * 20]
        with pytest.raises(Unavailable, match=r"early|peer closed"):
            get(hub, tmp_path / "part", pauses)
    assert (tmp_path / "part").stat().st_size == 500_000
    assert len(hub.ranges) == 6
    assert sum(pauses) < 30


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_ends_it_at_once(tmp_path: Path, status: int) -> None:
    pauses: list[float] = []
    with model_hub({PATH: CONTENT}) as hub:
        hub.statuses = [status]
        with pytest.raises(Unavailable, match=str(status)):
            get(hub, tmp_path / "part", pauses)
    assert pauses == []


def test_nobody_listening_ends_it_at_once(tmp_path: Path) -> None:
    pauses: list[float] = []
    with model_hub({}) as hub:
        pass
    with pytest.raises(Unavailable, match="cannot be reached"):
        get(hub, tmp_path / "part", pauses)
    assert pauses == []
    assert not (tmp_path / "part").exists()


def test_content_with_another_digest_is_refused_and_removed(tmp_path: Path) -> None:
    other = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    with model_hub({PATH: other}) as hub, pytest.raises(ModelBroken, match="digest"):
        get(hub, tmp_path / "part")
    assert not (tmp_path / "part").exists()


@pytest.mark.parametrize("other", [CONTENT + b"x", CONTENT[:-1], b"<html>log in first</html>"])
def test_content_of_another_size_is_refused_before_it_is_read(tmp_path: Path, other: bytes) -> None:
    with model_hub({PATH: other}) as hub, pytest.raises(ModelBroken, match="size"):
        get(hub, tmp_path / "part")


def test_content_without_a_declared_size_cannot_grow_without_end(tmp_path: Path) -> None:
    def pour(request: object) -> None:
        request.send_response(200)  # type: ignore[attr-defined]
        request.send_header("Connection", "close")  # type: ignore[attr-defined]
        request.end_headers()  # type: ignore[attr-defined]
        for _ in range(1_000):
            request.wfile.write(b"x" * 65_536)  # type: ignore[attr-defined]

    with serving(pour) as url, pytest.raises(ModelBroken, match="larger"):
        fetch(f"{url}/{PATH}", published(), tmp_path / "part", lambda *reported: None)
    assert (tmp_path / "part").stat().st_size <= len(CONTENT)


def test_redirects_are_followed_and_keep_the_range(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:700_000])
    with (
        model_hub({PATH: CONTENT}) as hub,
        serving(lambda request: respond(request, 302, Location=hub.url + request.path)) as url,
    ):
        fetch(f"{url}/{PATH}", published(), tmp_path / "part", lambda *reported: None)
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert hub.ranges == ["bytes=700000-"]


def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    with (
        serving(lambda request: respond(request, 302, Location=request.path)) as url,
        pytest.raises(Unavailable),
    ):
        fetch(f"{url}/{PATH}", published(), tmp_path / "part", lambda *reported: None)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "", "//x"])
def test_only_http_is_spoken(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput):
        fetch(url, published(), tmp_path / "part", lambda *reported: None)
