# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a container image of one layer, in one archive that is an OCI layout and that `docker load` takes too."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from .catalogue import Artifact, Image
from .files import sha256_of
from .tarballs import add_bytes, add_file, add_folder, entry

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
# Not compressed: then the bytes do not hang on the version of a compression library.
LAYER = "application/vnd.oci.image.layer.v1.tar"
# Any fixed moment does; the first second is the custom.
CREATED = "1970-01-01T00:00:00Z"
FORMAT = 1


def recipe_facts(artifact: Artifact, image: Image, architecture: str, contents: Mapping[str, str]) -> dict[str, Any]:
    """All that decides the archive's bytes; `contents` has the digest of each file that goes in."""
    return {
        "how": "image",
        "format": FORMAT,
        "architecture": architecture,
        "config": _config(artifact, image, architecture, "none"),
        "reference": image.reference,
        "files": {target: contents[name] for target, name in image.files.items()},
        **({"root": contents[image.root]} if image.root else {}),
    }


def make(artifact: Artifact, image: Image, architecture: str, files: Mapping[str, Path], to: Path) -> Path:
    """Write the archive below `to`."""
    layer = files[image.root] if image.root else _write_layer(image, files, to / "layer.tar")
    layer_digest = sha256_of(layer)
    config = _json(_config(artifact, image, architecture, layer_digest))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [{"mediaType": LAYER, "digest": f"sha256:{layer_digest}", "size": layer.stat().st_size}],
        }
    )
    archive_path = to / "image.tar"
    with tarfile.open(archive_path, "w", format=tarfile.USTAR_FORMAT) as archive:
        add_bytes(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        add_bytes(archive, "index.json", _json(_index(image, architecture, manifest)))
        # What docker reads; the paths are the same blobs.
        listed = {
            "Config": f"blobs/sha256/{_sha256(config)}",
            "RepoTags": [image.reference],
            "Layers": [f"blobs/sha256/{layer_digest}"],
        }
        add_bytes(archive, "manifest.json", _json([listed]))
        add_folder(archive, "blobs")
        add_folder(archive, "blobs/sha256")
        add_bytes(archive, f"blobs/sha256/{_sha256(manifest)}", manifest)
        add_bytes(archive, f"blobs/sha256/{_sha256(config)}", config)
        add_file(archive, f"blobs/sha256/{layer_digest}", layer)
    if not image.root:
        layer.unlink()
    return archive_path


def merge_facts() -> dict[str, Any]:
    """All that decides the bytes of an archive of several images, but the images."""
    return {"how": "images", "format": FORMAT}


def merge(archives: Sequence[Path], to: Path) -> Path:
    """Write one archive that holds what several archives of `make` hold, each blob once."""
    described: list[Any] = []
    listed: list[Any] = []
    blobs: dict[str, Path] = {}
    for path in archives:
        with tarfile.open(path) as one:
            described += _read(one, "index.json")["manifests"]
            listed += _read(one, "manifest.json")
            blobs.update((name, path) for name in one.getnames() if name.startswith("blobs/sha256/"))
    merged = to / "images.tar"
    with tarfile.open(merged, "w", format=tarfile.USTAR_FORMAT) as archive:
        add_bytes(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        add_bytes(archive, "index.json", _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": described}))
        add_bytes(archive, "manifest.json", _json(listed))
        add_folder(archive, "blobs")
        add_folder(archive, "blobs/sha256")
        for path in archives:
            with tarfile.open(path) as one:
                for member in one:
                    if blobs.get(member.name) == path and (stream := one.extractfile(member)):
                        archive.addfile(entry(member.name, member.size), stream)
    return merged


def _read(archive: tarfile.TarFile, name: str) -> Any:
    stream = archive.extractfile(name)
    return json.load(stream) if stream else None


def _write_layer(image: Image, files: Mapping[str, Path], path: Path) -> Path:
    folders = {str(parent) for target in image.files for parent in PurePosixPath(target).parents if str(parent) != "/"}
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in sorted(folders):
            add_folder(archive, folder.lstrip("/"))
        for target, name in sorted(image.files.items()):
            add_file(archive, target.lstrip("/"), files[name], mode=0o755)
    return path


def _config(artifact: Artifact, image: Image, architecture: str, layer_digest: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "User": image.user,
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *(f"{name}={value}" for name, value in sorted(image.environment.items())),
        ],
        "Entrypoint": list(image.entrypoint),
        "WorkingDir": "/",
        "Labels": {
            "org.opencontainers.image.title": artifact.name,
            "org.opencontainers.image.version": artifact.version,
            "org.opencontainers.image.licenses": artifact.licence,
            "org.opencontainers.image.source": artifact.origin,
        },
    }
    if image.command:
        settings["Cmd"] = list(image.command)
    return {
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": CREATED, "created_by": "holdfast bundle"}],
    }


def _index(image: Image, architecture: str, manifest: bytes) -> dict[str, Any]:
    described = {
        **_descriptor(MANIFEST, manifest),
        "platform": {"os": "linux", "architecture": architecture},
        # The first is containerd's name for the image, the second what the OCI layout calls its tag.
        "annotations": {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
        },
    }
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]}


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{_sha256(content)}", "size": len(content)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
