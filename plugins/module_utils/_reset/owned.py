# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixed list of what is Holdfast's on a node. Nothing that a caller says can make it longer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Folders that go with all that is in them. What is in the last one decides how the rest is put back, so it goes last.
TREES = (
    "/etc/holdfast",
    "/etc/rancher",
    "/usr/local/lib/holdfast",
    "/run/k3s",
    "/run/flannel",
    "/run/holdfast-etcd",
    "/run/holdfast-hardening",
    "/var/lib/cni",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/log/containers",
    "/var/log/pods",
    "/var/lib/holdfast",
)
# Of these, an operator may have made the folder itself a disk; it is emptied then, and stays mounted.
DISKS = ("/var/lib/etcd", "/var/lib/kubelet", "/var/lib/rancher", "/var/lib/rancher/k3s", "/var/lib/holdfast")
# What k3s and the kubelet mount themselves; it is unmounted, and what was mounted is left alone.
OURS_TO_UNMOUNT = (
    "/run/k3s",
    "/var/lib/kubelet/pods",
    "/var/lib/kubelet/plugins",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/k3s/data",
)
UNITS = ("k3s.service", "k3s-agent.service", "etcd.service")
# Units of packages: ours to stop only while a drop-in of ours points them to our configuration.
PACKAGED = ("keepalived.service", "haproxy.service")
# What units of ours wrote into a folder that others may use too.
NOTES = ("/run/holdfast/k3s.started", "/run/holdfast-etcd-may-begin")
BINARIES = "/usr/local/bin"
LIBRARY = "/usr/local/lib/holdfast"
# Folders of the system in which we write. Which files there are ours, the ledger tells, not their names: somebody may
# have put one with our name on the machine's image. Only what a killed run left half written is known by its name.
DROP_INS = (
    "/etc/apt/apt.conf.d",
    "/etc/audit/rules.d",
    "/etc/cron.d",
    "/etc/default",
    "/etc/logrotate.d",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/nftables.d",
    "/etc/profile.d",
    "/etc/security/limits.d",
    "/etc/ssh/sshd_config.d",
    "/etc/sudoers.d",
    "/etc/sysctl.d",
    "/etc/systemd/coredump.conf.d",
    "/etc/systemd/journald.conf.d",
    "/etc/systemd/logind.conf.d",
    "/etc/systemd/system",
    "/etc/systemd/system.conf.d",
    "/etc/systemd/timesyncd.conf.d",
    "/etc/sysusers.d",
    "/etc/tmpfiles.d",
)
LINKS = (
    "cni0",
    "holdfast-route",
    "holdfast-void",
    "flannel.1",
    "flannel-v6.1",
    "flannel-wg",
    "flannel-wg-v6",
    "kube-ipvs0",
    "kube-dummy-if",
    "nodelocaldns",
)
TABLES = (("inet", "holdfast"), ("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("inet", "kube-proxy"))
CHAINS = ("KUBE-", "CNI-", "FLANNEL", "flannel")
USERS = ("etcd",)
# Where a file may be that the ledger puts back; a ledger that names another place is not believed.
RESTORED = ("/boot/", "/etc/", "/home/", "/root/", "/usr/local/", "/usr/lib/", "/var/lib/", "/var/log/", "/var/spool/")


# Folders of the system that a kubelet makes; they go where nobody put anything into them.
EMPTIED = (
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/usr/libexec/kubernetes/kubelet-plugins/volume",
    "/usr/libexec/kubernetes/kubelet-plugins",
    "/usr/libexec/kubernetes",
)


def is_unit_of_ours(path: str) -> bool:
    """Whether a file below /etc/systemd/system is a unit of ours, a drop-in, or a link that starts one."""
    parts = path.split("/")
    return any(part.removesuffix(".d").removesuffix(".env") in UNITS or "holdfast" in part for part in parts)


def is_below(path: str, places: tuple[str, ...]) -> bool:
    """Whether the path is one of these or in one of them."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def unit_files(root: Path = Path("/")) -> Iterator[Path]:
    """Our units, their drop-ins, and the links that start them at boot."""
    top = root / "etc/systemd/system"
    for path in sorted(top.glob("*")):
        if path.name in UNITS or path.name.removesuffix(".d").removesuffix(".env") in UNITS or "holdfast" in path.name:
            yield path
    for path in sorted([*top.glob("*.wants/*"), *top.glob("*.requires/*")]):
        if path.is_symlink() and (path.name in UNITS or "holdfast" in path.name):
            yield path


def units(root: Path = Path("/")) -> tuple[str, ...]:
    """Our units as they are installed here, with the fixed ones even where only a piece of them is left."""
    endings = (".service", ".timer", ".socket", ".path", ".slice", ".target", ".mount")
    ours = {path.name for path in (root / "etc/systemd/system").glob("*holdfast*") if path.name.endswith(endings)}
    return (*UNITS, *sorted(ours))


def borrowed(root: Path = Path("/")) -> tuple[str, ...]:
    """Units of packages that run with configuration of ours."""
    top = root / "etc/systemd/system"
    return tuple(name for name in PACKAGED if any((top / f"{name}.d").glob("*holdfast*")))


def drop_ins(root: Path = Path("/")) -> Iterator[Path]:
    """Our drop-ins for units of others, and what a run that was killed left beside a file of the system."""
    for folder in DROP_INS:
        yield from sorted((root / folder.lstrip("/")).glob(".*.holdfast-new"))
    for beside in sorted((root / "etc/systemd/system").glob("*.d")):
        yield from sorted(beside.glob("*holdfast*"))


def commands(root: Path = Path("/")) -> Iterator[Path]:
    """Links in the folder of commands that lead to our programs, directly or through another such link."""
    folder = root / BINARIES.lstrip("/")
    links = {path: os.readlink(path) for path in sorted(folder.glob("*")) if path.is_symlink()}  # noqa: PTH115
    ours = {path.name for path, target in links.items() if is_below(target, (LIBRARY,))}
    ours |= {
        path.name
        for path, target in links.items()
        if Path(target).name in ours and Path(target).parent.name in ("", "bin")
    }
    yield from (path for path in links if path.name in ours)
