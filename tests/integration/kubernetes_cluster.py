# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A one-node cluster made of nothing but what the bundle holds. It is a proof of the bundle, not a product."""

from __future__ import annotations

import json
import platform
import shlex
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import kubernetes.client
import kubernetes.config
import yaml
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from .kubernetes_certificates import Authority, signing_key
from .kubernetes_parts import (
    API_SERVICE,
    PROGRAMS,
    SECRETS,
    cni_config,
    commands,
    containerd_config,
    kubeconfig,
    kubelet_config,
    proxy_config,
)
from .kubernetes_remote import Content, Remote, wait_until

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
IMAGES = ("pause", "coredns", "probe", "metrics-server", "local-path-provisioner", "local-path-helper")
LANDING = "/opt/proof/images"


@dataclass(frozen=True)
class Parts:
    """The files of a bundle that a cluster needs, found by name; a missing one is named."""

    bundle: Path

    def program(self, name: str, file: str, version: str = "*") -> Path:
        """Return a program; the version may be a pattern but must leave one."""
        return self._one(f"{self._architecture}/bin/{name}/{version}/{file}")

    def programs(self, name: str, file: str) -> dict[str, Path]:
        """Return every version of a program."""
        return {path.parent.name: path for path in self.bundle.glob(f"{self._architecture}/bin/{name}/*/{file}")}

    def newest(self, name: str, file: str) -> Path:
        """Return the newest version of a program that the bundle holds in several."""
        programs = self.programs(name, file)
        return programs[max(programs, key=lambda version: [int(part) for part in version.split(".")])]

    def image(self, name: str) -> Path:
        """Return an image's archive."""
        return self._one(f"{self._architecture}/images/{name}-*.tar")

    def chart(self, name: str) -> Path:
        """Return a chart's archive."""
        return self._one(f"charts/{name}-*.tgz")

    @property
    def _architecture(self) -> str:
        return ARCHITECTURES[platform.machine()]

    def _one(self, pattern: str) -> Path:
        found = sorted(self.bundle.glob(pattern))
        assert len(found) == 1, f"{self.bundle}: {pattern} should be one file, but is {[str(path) for path in found]}"
        return found[0]


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its host, how to talk to its API, and the images it was given."""

    remote: Remote
    api: kubernetes.client.ApiClient
    images: dict[str, str]
    image_ids: dict[str, str]

    @property
    def core(self) -> kubernetes.client.CoreV1Api:
        """Return the API of pods and nodes."""
        return kubernetes.client.CoreV1Api(self.api)

    def journal(self, *parts: str) -> str:
        """Return the last lines of some parts' logs, for a test that fails."""
        units = " ".join(f"-u proof-{part}" for part in parts)
        return self.remote.attempt(f"journalctl --no-pager -o cat -n 60 {units}").stdout[-6000:]

    def helm(self, arguments: str, seconds: float = 240) -> str:
        """Run the bundle's helm on the host."""
        return self.remote.run(f"KUBECONFIG={SECRETS}/admin.conf {PROGRAMS}/helm {arguments}", seconds)

    def containers(self) -> str:
        """Return the ids of all containers that the runtime knows of."""
        return self.remote.run(f"{PROGRAMS}/ctr -n k8s.io containers ls -q")


def start_cluster(remote: Remote, bundle: Path) -> Cluster:
    """Bring the parts to the host, start them in order, and return when the node is ready."""
    parts = Parts(bundle)
    archives = {name: parts.image(name) for name in IMAGES}
    images = {name: _reference(archive) for name, archive in archives.items()}
    image_ids = {name: _image_id(archive) for name, archive in archives.items()}
    secrets = _secrets(remote.host.address, remote.host.name)
    secrets |= {
        f"{SECRETS}/containerd.toml": containerd_config(images["pause"]),
        f"{SECRETS}/kubelet-config.json": kubelet_config(),
        f"{SECRETS}/kube-proxy-config.json": proxy_config(),
        "/etc/cni/net.d/10-proof.conflist": cni_config(),
    }
    files: dict[str, Content] = {f"{LANDING}/{name}.tar": archive for name, archive in archives.items()}
    files[f"{LANDING}/coredns.tgz"] = parts.chart("coredns")
    remote.place(files | _programs(parts) | secrets)
    links = " && ".join(f"ln -sf kubernetes {PROGRAMS}/{component}" for component in COMPONENTS)
    remote.run(links)

    command_lines = commands(remote.host.address, remote.host.name)
    _start_unit(remote, "containerd", command_lines.pop("containerd"))
    ctr = f"{PROGRAMS}/ctr -n k8s.io"
    wait_until("containerd answers", lambda: remote.attempt(f"{ctr} version").returncode == 0)
    for name in IMAGES:
        remote.run(f"{ctr} images import {LANDING}/{name}.tar")
    for part, arguments in command_lines.items():
        _start_unit(remote, part, arguments)

    admin = yaml.safe_load(secrets[f"{SECRETS}/admin.conf"])
    cluster = Cluster(remote, _client(admin), images, image_ids)
    wait_until(
        "the node is ready",
        lambda: _ready(cluster.core, remote.host.name),
        seconds=120,
        journal=lambda: cluster.journal("etcd", "kube-apiserver", "kubelet"),
    )
    return cluster


def _programs(parts: Parts) -> dict[str, Content]:
    found = {"etcd": parts.program("etcd", "etcd", "3.6.*")}
    for name in ("containerd", "containerd-shim-runc-v2", "ctr"):
        found[name] = parts.program("containerd", name)
    for name in ("bandwidth", "bridge", "host-local", "loopback", "portmap"):
        found[name] = parts.program("cni-plugins", name)
    for name in ("runc", "helm"):
        found[name] = parts.program(name, name)
    found["kubernetes"] = parts.newest("kubernetes", "kubernetes")
    return {f"{PROGRAMS}/{name}": path for name, path in found.items()}


def _secrets(address: str, node: str) -> dict[str, bytes]:
    """Return every certificate, key and kubeconfig under the name where the host keeps it."""
    authority = Authority()
    files = {f"{SECRETS}/ca.crt": authority.certificate, f"{SECRETS}/service-accounts.key": signing_key()}
    server = f"https://{address}:6443"
    local = ["127.0.0.1", "localhost"]
    api_names = [address, *local, API_SERVICE, "kubernetes.default.svc"]
    for name, issued in {
        "etcd": authority.issue("etcd", names=local),
        "etcd-client": authority.issue("kube-apiserver-etcd-client"),
        "kube-apiserver": authority.issue("kube-apiserver", names=api_names),
        "kubelet": authority.issue(f"system:node:{node}", "system:nodes", names=[node, address]),
        "admin": authority.issue("admin", "system:masters"),
        "kube-controller-manager": authority.issue("system:kube-controller-manager"),
        "kube-scheduler": authority.issue("system:kube-scheduler"),
        "kube-proxy": authority.issue("system:kube-proxy"),
    }.items():
        files[f"{SECRETS}/{name}.crt"] = issued.certificate
        files[f"{SECRETS}/{name}.key"] = issued.key
        files[f"{SECRETS}/{name}.conf"] = kubeconfig(server, authority.certificate, issued)
    return files


def _start_unit(remote: Remote, part: str, arguments: list[str]) -> None:
    """Let systemd keep one part running: those that wait for another simply try again."""
    properties = ["Restart=always", "RestartSec=1", "StartLimitIntervalSec=0", "Delegate=yes", "KillMode=process"]
    options = " ".join(f"--property={one}" for one in properties)
    path = f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin"
    command = shlex.join([f"{PROGRAMS}/{part}", *arguments])
    remote.run(f"systemd-run --quiet --unit=proof-{part} {options} --setenv=PATH={path} {command}")


def _client(configuration: dict[str, Any]) -> kubernetes.client.ApiClient:
    # The loader has no types, so it is called as one that takes and gives anything.
    load: Callable[..., Any] = kubernetes.config.new_client_from_config_dict
    return cast("kubernetes.client.ApiClient", load(configuration))


def _ready(core: kubernetes.client.CoreV1Api, node: str) -> bool:
    try:
        status = core.read_node(node, _request_timeout=5).to_dict()["status"]
    except (ApiException, HTTPError):
        # The apiserver is not up yet, or is up and the node has not come.
        return False
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status["conditions"] or [])


def _reference(archive: Path) -> str:
    return str(_manifest(archive)["RepoTags"][0])


def _image_id(archive: Path) -> str:
    # Either "<digest>.json" or "blobs/sha256/<digest>", as the archive's writer likes.
    return "sha256:" + Path(str(_manifest(archive)["Config"])).name.removesuffix(".json")


def _manifest(archive: Path) -> dict[str, Any]:
    with tarfile.open(archive) as opened:
        member = opened.extractfile("manifest.json")
        assert member is not None, f"{archive}: manifest.json is not a file"
        entries = json.load(member)
    assert len(entries) == 1, f"{archive}: holds {len(entries)} images instead of one"
    return dict(entries[0])
