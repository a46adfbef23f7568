# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of the inference service: built by bundle.yml, then run as a pod runs it, read-only and as nobody."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.inference.engine.asking import make_model
from tests.inference.gateway.real_nodes import free_port
from tests.inference.server.running import wait_until

from .image_root import ImageRoot, end, unpack
from .inference_pod import Pod, build_archive

OPERATOR, GATEWAY = "holdfast_inference.server.operator", "holdfast_inference.gateway"
START_SECONDS = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image")


@pytest.fixture(scope="module")
def archive(folder: Path) -> Path:
    return build_archive(folder)


@pytest.fixture(scope="module")
def image(archive: Path, folder: Path) -> ImageRoot:
    return unpack(archive, folder / "root")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return make_model(folder)


@contextlib.contextmanager
def running(image: ImageRoot, command: list[str], mounts: dict[Path, str], log: Path) -> Iterator[None]:
    process = image.start(command, mounts, log)
    try:
        yield
    finally:
        end(process)


def test_a_server_and_a_gateway_start_answer_and_drain(
    image: ImageRoot, model: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    pod = Pod(image, model, tmp_path)
    begun = time.monotonic()
    with running(image, image.config["config"]["Cmd"], pod.mounts, tmp_path / "log"):
        wait_until(pod.ready, START_SECONDS)
        record_property("seconds_until_ready", round(time.monotonic() - begun, 2))
        direct = pod.ask(pod.port, pod.key).json()["choices"][0]["text"]
        port = free_port()
        beside = tmp_path / "gateway"
        beside.mkdir()
        (beside / "node-key").write_text(pod.key, encoding="utf-8")
        (beside / "keys").write_bytes((tmp_path / "etc/keys").read_bytes())
        (beside / "gateway.toml").write_text(
            f'port = {port}\n[models]\nshop = "/models/shop"\n[access]\nkeys_file = "/etc/holdfast/keys"\n'
            f'[gateway]\nnode_key_file = "/etc/holdfast/node-key"\nnodes = {{one = "http://127.0.0.1:{pod.port}"}}\n',
            encoding="utf-8",
        )
        mounts = {beside: "/etc/holdfast", model: "/models/shop"}
        command = [GATEWAY, "--settings", "/etc/holdfast/gateway.toml"]
        with running(image, command, mounts, tmp_path / "gateway.log"):

            def answered() -> bool:
                with contextlib.suppress(httpx.HTTPError):
                    found = pod.ask(port, pod.key)
                    return found.status_code == 200 and found.json()["choices"][0]["text"] == direct
                return False

            wait_until(answered, START_SECONDS)
        drained = image.run([OPERATOR, "drain", '{"hand_over_after": 0}'], pod.mounts)
        assert json.loads(drained.stdout)["draining"] is True, drained.stderr
        assert not pod.ready()
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "Read-only file system" not in log and "Traceback" not in log


def test_every_library_that_is_asked_for_is_there(image: ImageRoot) -> None:
    missing = []
    for path in sorted(image.folder.rglob("*.so*")):
        if path.is_symlink() or path.name.startswith("ld-linux"):
            continue
        inside = "/" + path.relative_to(image.folder).as_posix()
        told = subprocess.run(
            ["chroot", str(image.folder), "/lib64/ld-linux-x86-64.so.2", "--list", inside],
            capture_output=True,
            text=True,
            check=False,
        )
        if "not found" in told.stdout or "cannot open shared object" in told.stderr:
            missing.append(inside)
    assert missing == []


def test_there_is_no_shell_no_package_manager_and_nothing_that_runs_as_its_owner(image: ImageRoot) -> None:
    programs = {
        path.relative_to(image.folder).as_posix()
        for path in image.folder.rglob("*")
        if "bin" in path.relative_to(image.folder).parts[:-1] and path.is_file()
    }
    assert programs == {"usr/bin/python3.11"}
    assert not [path for path in image.folder.rglob("*") if path.name in ("pip", "ensurepip", "setuptools", "tests")]
    assert not [path for path in image.folder.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o6022]
    assert image.config["config"]["User"] == "65532:65532"


def test_every_module_has_its_byte_code(image: ImageRoot) -> None:
    bare = [
        str(path)
        for path in (image.folder / "usr").rglob("*.py")
        if not path.with_name("__pycache__").joinpath(f"{path.stem}.cpython-311.pyc").is_file()
        and not path.is_symlink()
    ]
    assert bare == []


def test_the_list_of_parts_is_what_is_installed(image: ImageRoot) -> None:
    document = json.loads((image.folder / "usr/share/sbom/inference.spdx.json").read_text(encoding="utf-8"))
    told = {part["name"].lower().replace("_", "-") for part in document["packages"]}
    modules = image.folder / "usr/local/lib/python3.11/dist-packages"
    wheels = {path.name.split("-")[0].lower().replace("_", "-") for path in modules.glob("*.dist-info")}
    packages = {path.parent.name for path in image.folder.glob("usr/share/doc/*/copyright")}
    assert told == wheels | packages | {"inference"}
    assert {"onnxruntime", "libc6"} <= told
