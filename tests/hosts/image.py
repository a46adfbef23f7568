# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of container hosts: in the engine, else from the tar in the cache, else made now."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import AbstractContextManager
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from . import image_build
from .distribution import Distribution, recipe_hash
from .engine import IMAGE_REPOSITORY, words
from .files import write_atomically
from .locks import lock
from .model import HostsError, Report
from .paths import images_root

PARTIAL = ".partial"


def image_name(distribution: Distribution) -> str:
    """Return the image's name in the engine; another recipe has another name."""
    return f"{IMAGE_REPOSITORY}:{distribution.key}-{recipe_hash(distribution)}"


def ensure_image(client: docker.DockerClient, distribution: Distribution, report: Report) -> str:
    """Return the name of an image that the engine has."""
    name = image_name(distribution)
    if _in_engine(client, name):
        return name
    with _alone(distribution) as descriptor:
        # Whoever held the lock before may have made it.
        if _in_engine(client, name):
            return name
        tar = _cached_tar(distribution, report) or _build(distribution, report, descriptor)
        report(f"Importing the image of {distribution.title} hosts (usually 3 s).")
        _import(client, tar, name)
        _prune(client, distribution)
    return name


def ensure_tar(distribution: Distribution, report: Report) -> Path:
    """Return the verified root file system in the cache, made now if it must be; this needs no engine."""
    with _alone(distribution) as descriptor:
        return _cached_tar(distribution, report) or _build(distribution, report, descriptor)


def cached(distribution: Distribution) -> bool:
    """Return whether the tar of this recipe is in the cache."""
    return (_folder(distribution) / "manifest.json").exists()


def _alone(distribution: Distribution) -> AbstractContextManager[int]:
    busy = f"Another command has been making the image of {distribution.title} hosts for ten minutes."
    return lock("image", busy=busy, wait_seconds=600)


def _folder(distribution: Distribution) -> Path:
    return images_root() / f"container-{distribution.key}-{recipe_hash(distribution)}"


def _in_engine(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _cached_tar(distribution: Distribution, report: Report) -> Path | None:
    folder = _folder(distribution)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        tar = folder / "rootfs.tar"
        if tar.stat().st_size == manifest["size"] and _sha256(tar) == manifest["sha256"]:
            return tar
        report(f"The cached image {tar} was changed since it was made; it is made again.")
    except FileNotFoundError:
        pass
    except (ValueError, KeyError):
        report(f"The cached image in {folder} has no readable manifest; it is made again.")
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _build(distribution: Distribution, report: Report, descriptor: int) -> Path:
    image_build.require_builder(distribution)
    report(f"Making the image of {distribution.title} hosts (usually 25 to 75 s, once).")
    images_root().mkdir(parents=True, exist_ok=True)
    for left in images_root().glob(f"container-*{PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)
    folder = _folder(distribution)
    partial = folder.with_name(folder.name + PARTIAL)
    partial.mkdir()
    try:
        started = time.monotonic()
        tar = image_build.build_tar(distribution, partial, descriptor)
        for scrap in ("rootfs", "installed", "tmp"):
            shutil.rmtree(partial / scrap, ignore_errors=True)
        manifest = {
            "distribution": distribution.key,
            "size": tar.stat().st_size,
            "sha256": _sha256(tar),
            "seconds": round(time.monotonic() - started, 1),
        }
        with tar.open("rb") as stream:
            os.fsync(stream.fileno())
        write_atomically(partial / "manifest.json", json.dumps(manifest) + "\n")
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder / "rootfs.tar"


def _import(client: docker.DockerClient, tar: Path, name: str) -> None:
    repository, _, tag = name.partition(":")
    changes = ['CMD ["/usr/local/sbin/holdfast-init"]', f"LABEL holdfast.image={tag}"]
    try:
        client.api.import_image_from_file(str(tar), repository=repository, tag=tag, changes=changes)
        client.images.get(name)
    except (DockerException, OSError) as error:
        raise HostsError(
            f"The container engine refused the image {tar}: {words(error)}. The image is kept; look at the "
            "engine's disk space and log, then run this again."
        ) from error


def _prune(client: docker.DockerClient, distribution: Distribution) -> None:
    # Images of earlier recipes only fill the disk; one that hosts still run from is kept by the engine itself.
    keep = _folder(distribution)
    for folder in images_root().glob(f"container-{distribution.key}-*"):
        if folder != keep and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
    for image in client.images.list(name=IMAGE_REPOSITORY):
        for tag in image.tags:
            if tag.startswith(f"{IMAGE_REPOSITORY}:{distribution.key}-") and tag != image_name(distribution):
                try:
                    client.images.remove(tag)
                except DockerException:
                    continue


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
