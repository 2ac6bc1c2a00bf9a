"""Installing from a path and from a hub; the package index has its own file."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memory_core.embedding.install import InstalledModel, install_model, verify_model
from memory_core.embedding.manifest import check_digests, read_manifest
from memory_core.embedding.onnx import OnnxEmbedder
from memory_core.embedding.published import HubRelease, PublishedFile
from memory_core.errors import (
    InvalidInput,
    ModelBroken,
    ModelInstallFailed,
    ModelMissing,
    StorageFull,
)
from tests.support.model_hub import ModelHub, model_hub

pytestmark = pytest.mark.model

REPOSITORY, REVISION = "acme/model", "0" * 40


@pytest.fixture(scope="module")
def files(model_dir: Path) -> Path:
    """The folder that holds ``model.onnx`` and ``tokenizer.json`` of the real model."""
    return model_dir / read_manifest(model_dir).folder


@pytest.fixture(scope="module")
def release(files: Path) -> HubRelease:
    def published(path: str, name: str) -> PublishedFile:
        content = (files / name).read_bytes()
        return PublishedFile(path, name, hashlib.sha256(content).hexdigest(), len(content))

    return HubRelease(
        REPOSITORY,
        REVISION,
        (
            published("tokenizer.json", "tokenizer.json"),
            published("onnx/model.onnx", "model.onnx"),
        ),
    )


@pytest.fixture
def hub(files: Path, release: HubRelease) -> Iterator[ModelHub]:
    base = f"{REPOSITORY}/resolve/{REVISION}"
    content = {f"{base}/{file.path}": (files / file.name).read_bytes() for file in release.files}
    with model_hub(content) as running:
        yield running


def from_hub(dest: Path, hub: ModelHub, release: HubRelease) -> InstalledModel:
    return install_model(dest, hub_url=hub.url, release=release, allow_export=False)


def assert_clean(dest: Path) -> None:
    """Asserts that the install works and that nothing else lies beside it."""
    manifest = verify_model(dest)
    assert {path.name for path in dest.iterdir()} == {"model.json", ".lock", manifest.folder}
    assert {path.name for path in (dest / manifest.folder).iterdir()} == {
        "model.onnx",
        "query.onnx",
        "tokenizer.json",
    }


def damage(path: Path) -> None:
    """Changes one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_a_folder_with_the_model_installs(tmp_path: Path, files: Path) -> None:
    stages: list[str] = []
    dest = tmp_path / "models" / "m"
    result = install_model(
        dest, source=files, progress=lambda stage, done, total: stages.append(stage)
    )
    assert result.changed
    assert result.manifest.origin.kind == "path"
    assert result.manifest.reference_cosine > 0.9999
    assert {"model.onnx", "tokenizer.json", "verifying"} <= set(stages)
    assert_clean(dest)


def test_every_form_of_path_is_understood(tmp_path: Path, files: Path, model_dir: Path) -> None:
    snapshot = tmp_path / "snapshot"
    (snapshot / "onnx").mkdir(parents=True)
    (snapshot / "onnx" / "model.onnx").symlink_to(files / "model.onnx")
    (snapshot / "tokenizer.json").symlink_to(files / "tokenizer.json")
    dest = tmp_path / "dest"
    sources = [files / "model.onnx", snapshot, snapshot / "onnx" / "model.onnx", model_dir]
    changed = [install_model(dest, source=source).changed for source in sources]
    assert changed == [True, False, False, False]
    assert not (dest / read_manifest(dest).folder / "model.onnx").is_symlink()
    assert_clean(dest)


def test_a_second_install_verifies_and_keeps_what_is_there(
    tmp_path: Path, files: Path, hub: ModelHub, release: HubRelease
) -> None:
    first = install_model(tmp_path, source=files)
    second = from_hub(tmp_path, hub, release)
    assert not second.changed
    assert second.manifest == first.manifest
    assert hub.ranges == []
    assert install_model(tmp_path, allow_hub=False, allow_export=False).manifest == first.manifest


def test_the_hub_gives_the_model(tmp_path: Path, hub: ModelHub, release: HubRelease) -> None:
    result = from_hub(tmp_path, hub, release)
    origin = result.manifest.origin
    assert (origin.kind, origin.revision) == ("hub", REVISION)
    assert origin.location == f"{hub.url}/{REPOSITORY}"
    assert_clean(tmp_path)


def test_a_line_cut_in_the_middle_does_not_matter(
    tmp_path: Path, hub: ModelHub, release: HubRelease
) -> None:
    hub.cut_after = [10_000_000, 30_000_000]
    from_hub(tmp_path, hub, release)
    assert hub.sent == sum(file.size for file in release.files)
    assert_clean(tmp_path)


def test_a_hub_with_another_file_is_refused(
    tmp_path: Path, hub: ModelHub, release: HubRelease
) -> None:
    path = f"{REPOSITORY}/resolve/{REVISION}/onnx/model.onnx"
    content = bytearray(hub.files[path])
    content[-1] ^= 1
    hub.files[path] = bytes(content)
    with pytest.raises(ModelInstallFailed, match="digest differs") as caught:
        from_hub(tmp_path, hub, release)
    assert len(caught.value.extra["attempts"]) == 1  # type: ignore[arg-type]
    with pytest.raises(ModelMissing):
        read_manifest(tmp_path)


def test_without_any_source_the_reasons_are_given(tmp_path: Path, release: HubRelease) -> None:
    with model_hub({}) as gone:
        pass
    with pytest.raises(ModelInstallFailed, match=r"model hub: .*cannot be reached"):
        from_hub(tmp_path, gone, release)
    with pytest.raises(ModelInstallFailed, match="no source is allowed"):
        install_model(tmp_path, allow_hub=False, allow_export=False)


def test_a_failed_install_leaves_the_former_one(
    tmp_path: Path, files: Path, hub: ModelHub, release: HubRelease
) -> None:
    former = install_model(tmp_path, source=files).manifest
    wrong = tmp_path.parent / "wrong"
    shutil.copytree(files, wrong)
    damage(wrong / "tokenizer.json")
    with pytest.raises(ModelBroken):
        install_model(tmp_path, source=wrong)
    assert verify_model(tmp_path) == former
    assert_clean(tmp_path)


def test_damage_is_found_said_and_mended(
    tmp_path: Path, files: Path, hub: ModelHub, release: HubRelease
) -> None:
    manifest = install_model(tmp_path, source=files).manifest
    damage(tmp_path / manifest.folder / "model.onnx")
    with pytest.raises(ModelBroken, match=r"model\.onnx.*digest"):
        verify_model(tmp_path)
    result = from_hub(tmp_path, hub, release)
    assert result.changed
    assert result.repaired is not None
    assert "does not match its digest" in result.repaired
    assert_clean(tmp_path)


@pytest.mark.parametrize("name", ["model.json", "tokenizer.json", "model.onnx", "query.onnx"])
def test_a_lost_file_is_mended(tmp_path: Path, files: Path, name: str) -> None:
    install_model(tmp_path, source=files)
    next(tmp_path.rglob(name)).unlink()
    assert install_model(tmp_path, source=files).changed
    assert_clean(tmp_path)


def test_an_install_without_the_model_for_questions_gets_it(tmp_path: Path, files: Path) -> None:
    """As earlier releases made it; nothing is fetched for that."""
    before = install_model(tmp_path, source=files).manifest
    (tmp_path / before.folder / "query.onnx").unlink()
    old = {name: entry for name, entry in before.files.items() if name != "query.onnx"}
    written = before.model_copy(update={"files": old}).model_dump_json()
    (tmp_path / "model.json").write_text(written, encoding="utf-8")
    OnnxEmbedder.load(tmp_path).embed_query("still works")
    result = install_model(tmp_path, allow_hub=False, allow_export=False)
    assert result.changed
    assert (result.manifest.files, result.manifest.origin) == (before.files, before.origin)
    assert not install_model(tmp_path, allow_hub=False, allow_export=False).changed
    assert_clean(tmp_path)


def test_another_model_is_refused_by_its_vectors(tmp_path: Path, files: Path) -> None:
    """The weights of one layer are exchanged: a model that loads, and gives other vectors."""
    other = tmp_path / "other"
    shutil.copytree(files, other)
    content = bytearray((other / "model.onnx").read_bytes())
    middle = len(content) // 2 // 4 * 4
    random = np.random.default_rng(1).standard_normal(1_000_000, dtype=np.float32) * 0.05
    content[middle : middle + 4_000_000] = random.astype(np.float32).tobytes()
    (other / "model.onnx").write_bytes(content)
    with pytest.raises(ModelBroken, match=r"cosine|not a model"):
        install_model(tmp_path / "dest", source=other)
    with pytest.raises(ModelMissing):
        read_manifest(tmp_path / "dest")


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path, files: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(files / "tokenizer.json", folder)
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    for source in (folder, folder / "model.safetensors"):
        with pytest.raises(ModelBroken, match="digest differs"):
            install_model(tmp_path / "dest", source=source)


def test_a_path_without_a_model_is_refused_and_nothing_else_tried(
    tmp_path: Path, hub: ModelHub, release: HubRelease, files: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "deep").mkdir()
    (tmp_path / "alone" / "deep" / "model.onnx").symlink_to(files / "model.onnx")
    for source in ("empty", "notes.txt", "absent", "alone/deep"):
        with pytest.raises(InvalidInput):
            install_model(
                tmp_path / "dest", source=tmp_path / source, hub_url=hub.url, release=release
            )
    assert hub.ranges == []


def test_a_place_that_cannot_hold_it_is_named(tmp_path: Path, files: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelInstallFailed, match="file"):
        install_model(tmp_path / "file" / "below", source=files)


INSTALL = """
import sys
from pathlib import Path
from memory_core.embedding.install import install_model
from memory_core.embedding.published import HubRelease, PublishedFile
release = HubRelease(*eval(sys.argv[3]))
release = release._replace(files=tuple(PublishedFile(*file) for file in release.files))
result = install_model(
    Path(sys.argv[1]), hub_url=sys.argv[2], release=release, allow_export=False
)
print(result.changed, result.manifest.folder)
"""


def start(dest: Path, hub: ModelHub, release: HubRelease) -> subprocess.Popen[str]:
    plain = (release.repository, release.revision, tuple(tuple(file) for file in release.files))
    return subprocess.Popen(
        [sys.executable, "-c", INSTALL, str(dest), hub.url, repr(plain)],
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> list[str]:
    shown, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return shown.split()


@pytest.mark.slow
def test_installs_at_the_same_time_wait_for_each_other(
    tmp_path: Path, hub: ModelHub, release: HubRelease
) -> None:
    results = [finish(process) for process in [start(tmp_path, hub, release) for _ in range(3)]]
    assert sorted(changed for changed, _ in results) == ["False", "False", "True"]
    assert len({folder for _, folder in results}) == 1
    assert hub.sent == sum(file.size for file in release.files)
    assert_clean(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("former", [False, True], ids=["nothing there", "a damaged one there"])
def test_kill_in_the_middle_of_a_download(
    tmp_path: Path, files: Path, hub: ModelHub, release: HubRelease, former: bool
) -> None:
    dest = tmp_path / "dest"
    if former:
        manifest = install_model(dest, source=files).manifest
        (dest / manifest.folder / "tokenizer.json").unlink()
    hub.stop_after = 40_000_000
    process = start(dest, hub, release)
    assert hub.reached.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with pytest.raises(ModelBroken if former else ModelMissing):
        read_manifest(dest)
    hub.resume.set()
    hub.stop_after = None
    before = hub.sent
    assert finish(start(dest, hub, release))[0] == "True"
    assert hub.sent - before < 70_000_000
    assert_clean(dest)


KILL_AT = """
import os, signal, sys
from pathlib import Path
import onnxruntime, tokenizers
from memory_core.embedding.install import install_model
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}
left = int(sys.argv[3])
def step(event, args):
    global left
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if (event in CHANGES or writes) and sys.argv[1] in str(args[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(step)
install_model(Path(sys.argv[1]), source=Path(sys.argv[2]))
print("done")
"""


@pytest.mark.slow
def test_kill_at_every_step_on_the_disk_leaves_a_whole_install(tmp_path: Path, files: Path) -> None:
    """Replaces one install by another again and again, each time ended one step later."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(files / "tokenizer.json", other)
    # One more metadata entry (field 14 of the model): another file, the same model.
    more = b"\x72\x06\x0a\x01k\x12\x01v"
    (other / "model.onnx").write_bytes((files / "model.onnx").read_bytes() + more)
    dest = tmp_path / "dest"
    first = install_model(dest, source=files).manifest
    outcomes: list[bool] = []
    for step in range(1, 60):
        former = read_manifest(dest)
        target = other if former.files == first.files else files
        ended = subprocess.run(
            [sys.executable, "-c", KILL_AT, str(dest), str(target), str(step)],
            capture_output=True,
            text=True,
            check=False,
        )
        now = read_manifest(dest)
        check_digests(dest, now)
        outcomes.append(now != former)
        if ended.stdout == "done\n":
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert ended.stdout == "done\n"
    assert outcomes == sorted(outcomes), "an install is complete from one step on"
    assert outcomes.count(False) > 3
    assert outcomes.count(True) > 3
    assert_clean(dest)


SMALL_DISK = """
import sys
from pathlib import Path
from memory_core.embedding.install import install_model
from memory_core.errors import ContextError
try:
    install_model(Path(sys.argv[1]) / "m", source=Path(sys.argv[2]))
except ContextError as error:
    print(error.code, sorted(path.name for path in (Path(sys.argv[1]) / "m").iterdir()))
"""


@pytest.mark.slow
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, files: Path) -> None:
    """On a file system of 20 MB, mounted where only this process sees it."""
    mount = 'mount -t tmpfs -o size=20m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command[:4], "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("this machine lets no process mount a file system of its own")
    shown = subprocess.run(
        [*command, str(tmp_path), sys.executable, SMALL_DISK, str(files)],
        capture_output=True,
        check=True,
        text=True,
    )
    assert shown.stdout.strip() == f"{StorageFull.code} ['.lock']"
