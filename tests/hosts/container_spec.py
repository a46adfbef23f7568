# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container host looks like to the engine: names, labels, rights and mounts."""

from __future__ import annotations

import hashlib
from typing import Any

from docker import APIClient
from docker.types import LogConfig, Mount

from .disks import DATA_FOLDERS, mount_point
from .model import Host, HostSet, Sizing

LABEL_SET = "holdfast.set"
LABEL_DIRECTORY = "holdfast.directory"
LABEL_HOST = "holdfast.host"

# Every capability that Docker Engine 20.10 knows by name but SYS_RESOURCE, which some build machines do not have to
# give. The same list is used where the engine could give all, so that a host is the same everywhere.
CAPABILITIES = (
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
)


def labels(host_set: HostSet) -> dict[str, str]:
    """Return the labels by which all of this set, and nothing else, is found again."""
    return {LABEL_SET: host_set.name, LABEL_DIRECTORY: str(host_set.directory)}


def own(host_set: HostSet) -> dict[str, Any]:
    """Return the engine's filter for these labels."""
    return {"label": [f"{key}={value}" for key, value in labels(host_set).items()]}


def network_name(host_set: HostSet) -> str:
    """Return the engine's name for the set's network; sets of two caches may have the same name."""
    return f"holdfast-{host_set.name}-{_place(host_set)[:6]}"


def container_name(host_set: HostSet, host: Host) -> str:
    """Return the engine's name for the host."""
    return f"holdfast-{host.name}-{_place(host_set)[:6]}"


def bridge_name(host_set: HostSet) -> str:
    """Return the interface name of the set's network on this machine; the kernel allows 15 characters."""
    return f"hf{_place(host_set)[:10]}"


def _place(host_set: HostSet) -> str:
    return hashlib.sha256(str(host_set.directory).encode()).hexdigest()


def create_options(
    api: APIClient, host_set: HostSet, host: Host, sizing: Sizing, image_name: str
) -> tuple[str, dict[str, Any]]:
    """Return the container's name and all else that the engine is told when it makes it."""
    point = mount_point(host_set, host)
    network = network_name(host_set)
    host_config = api.create_host_config(
        cap_drop=["ALL"],
        cap_add=list(CAPABILITIES),
        cgroupns="private",
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        devices=[f"{device}:{device}:rwm" for device in ("/dev/net/tun", "/dev/fuse", "/dev/kmsg")],
        tmpfs={"/run": "exec", "/tmp": "exec"},
        shm_size=f"{sizing.memory_mb // 2}m",
        mem_limit=f"{sizing.memory_mb}m",
        nano_cpus=sizing.cpus * 1_000_000_000,
        # A bind of a folder that is missing fails, so a host never boots on an unmounted disk.
        mounts=[Mount(f"/var/lib/{name}", str(point / name), type="bind") for name in DATA_FOLDERS],
        # A reboot from inside ends the first process with an error; a power loss from outside is not restarted.
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 0},
        log_config=LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
        network_mode=network,
    )
    # What "--security-opt systempaths=unconfined" means on the wire: nothing of /proc is masked or read-only.
    host_config.update(MaskedPaths=[], ReadonlyPaths=[])
    return container_name(host_set, host), {
        "image": image_name,
        "hostname": host.name,
        "labels": {**labels(host_set), LABEL_HOST: host.name},
        "environment": {"container": "docker", "HOLDFAST_GATEWAY": host_set.gateway},
        "stop_signal": "SIGRTMIN+3",
        "host_config": host_config,
        "networking_config": {"EndpointsConfig": {network: api.create_endpoint_config(ipv4_address=host.address)}},
    }
