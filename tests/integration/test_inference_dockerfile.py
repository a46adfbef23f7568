# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""inference/Dockerfile, built by a real engine on a Debian of this machine's registries, gives the bundle's image."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.paths import ROOT
from tests.hosts import engine, image
from tests.hosts.distribution import DEFAULT_DISTRIBUTION, load
from tests.inference.engine.asking import make_model
from tests.inference.server.running import wait_until

from .inference_pod import Pod, build_archive

START_SECONDS = 120
# What pip must be told where the machine's registry is not the public one.
PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT")
Members = Mapping[str, tuple[Any, ...]]


def docker(*arguments: str, given: bytes | None = None) -> bytes:
    # BuildKit wants a plugin that Debian's engine does not bring.
    settings = {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_HOST": engine.address()}
    done = subprocess.run(["docker", *arguments], input=given, capture_output=True, check=False, env=settings)
    assert done.returncode == 0, (arguments, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


@dataclass(frozen=True)
class Built:
    """The image in the engine."""

    name: str

    def run(self, command: Sequence[str], mounts: Mapping[Path, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command("--rm", command, mounts), capture_output=True, text=True, check=False)

    def command(self, how: str, command: Sequence[str], mounts: Mapping[Path, str]) -> list[str]:
        given = [word for path, place in mounts.items() for word in ("--volume", f"{path}:{place}")]
        limits = ["--read-only", "--tmpfs", "/tmp", "--network", "host", "--cap-drop", "ALL"]
        return ["docker", "run", how, *limits, *given, self.name, *command]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dockerfile")


@pytest.fixture(scope="module")
def built(folder: Path) -> Iterator[Built]:
    """As the head of the Dockerfile says; every image that this makes is gone at the end."""
    name = f"holdfast/test-{uuid.uuid4().hex[:8]}"
    base = image.ensure_image(engine.ensure(print), load(DEFAULT_DISTRIBUTION), print)
    recipe = [f"FROM {base}", *(f"ENV {key}={os.environ[key]}" for key in PIP if key in os.environ)]
    if certificates := os.environ.get("PIP_CERT"):
        shutil.copyfile(certificates, folder / "registries.pem")
        recipe += ["COPY registries.pem /etc/registries.pem", "ENV PIP_CERT=/etc/registries.pem"]
    (folder / "Dockerfile").write_text("\n".join(recipe) + "\n", encoding="utf-8")
    kept = []
    try:
        docker("build", "--tag", f"{name}:base", str(folder))
        kept.append(f"{name}:base")
        # The stage that makes has a name of its own, so that it can be removed.
        for tag, more in (("made", ["--target", "made"]), ("whole", [])):
            wish = ["--network", "host", "--cpu-shares", "128", "--force-rm", "--build-arg", f"BASE={name}:base", *more]
            docker("build", *wish, "--file", "inference/Dockerfile", "--tag", f"{name}:{tag}", "-", given=context())
            kept.append(f"{name}:{tag}")
        yield Built(f"{name}:whole")
    finally:
        for tag in reversed(kept):
            docker("image", "rm", tag)


def context() -> bytes:
    """The checkout as a new clone has it."""
    parts = ["plugins", "inference", "dev/image_root.py"]
    listed = subprocess.run(["git", "ls-files", "-z", *parts], cwd=ROOT, capture_output=True, check=True).stdout
    out = io.BytesIO()
    # The engine takes a tar that begins with a header of pax for no tar.
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in listed.decode().strip("\0").split("\0"):
            tar.add(ROOT / path, path)
    return out.getvalue()


@pytest.fixture(scope="module")
def bundled(folder: Path) -> tuple[Mapping[str, Any], Members]:
    """What the bundle's image says, and all that its layer holds."""
    with tarfile.open(build_archive(folder)) as archive:
        (listed,) = json.loads(content(archive, "manifest.json"))
        layer = archive.extractfile(listed["Layers"][0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as members:
            return json.loads(content(archive, listed["Config"]))["config"], facts(members)


def content(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None, name
    return stream.read()


def facts(archive: tarfile.TarFile) -> Members:
    """Each member but for its date."""
    return {
        member.name.rstrip("/"): (
            member.type,
            # The engine writes the kind of file down here too.
            member.mode & 0o7777,
            member.uid,
            member.gid,
            member.linkname,
            hashlib.sha256(content(archive, member.name)).hexdigest() if member.isreg() else "",
        )
        for member in archive
    }


def test_the_image_holds_and_says_what_the_bundles_does(
    built: Built, bundled: tuple[Mapping[str, Any], Members], folder: Path
) -> None:
    docker("save", "--output", str(folder / "saved.tar"), built.name)
    found: dict[str, tuple[Any, ...]] = {}
    with tarfile.open(folder / "saved.tar") as archive:
        (listed,) = json.loads(content(archive, "manifest.json"))
        for name in listed["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(content(archive, name))) as members:
                found.update(facts(members))
        said = json.loads(content(archive, listed["Config"]))["config"]
    config, expected = bundled
    differing = {path: (found.get(path), facts) for path, facts in expected.items() if found.get(path) != facts}
    assert differing == {}, "the lists of apt differ perhaps: run apt-get update"
    assert found.keys() == expected.keys()
    for key in ("Entrypoint", "Cmd", "User", "WorkingDir"):
        assert said[key] == config[key]


def test_it_starts_with_a_root_that_is_read_only_and_answers(built: Built, folder: Path) -> None:
    work = folder / "pod"
    work.mkdir()
    folder.chmod(0o755)
    pod = Pod(built, make_model(folder), work)
    started = subprocess.run(built.command("--detach", [], pod.mounts), capture_output=True, text=True, check=True)
    container = started.stdout.strip()
    try:
        wait_until(lambda: pod.answers("/health/live"), START_SECONDS)
        wait_until(pod.ready, START_SECONDS)
        assert pod.ask(pod.port, pod.key).json()["choices"][0]["text"]
        assert pod.ask(pod.port, "wrong").status_code == 401
    finally:
        log = docker("logs", container).decode()
        docker("rm", "--force", container)
    assert "Traceback" not in log and "Read-only file system" not in log
