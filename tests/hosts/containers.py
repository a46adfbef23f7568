# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container tier: hosts that boot systemd in containers, at native speed."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container

from . import container_faults, container_network, disks, engine, image, image_build, kernel_limits, ssh
from .container_spec import LABEL_HOST, create_options, own
from .distribution import DEFAULT_DISTRIBUTION, load
from .model import Host, HostsError, HostSet, Report, Sizing
from .paths import cache_root

BOOT_SECONDS = 60.0
MEMORY_FLOOR_MB = 256
PROGRAMS = {"ip": "iproute2", "tc": "iproute2", "nsenter": "util-linux", "ssh": "openssh-client"}


class ContainerTier:
    """Makes, breaks, heals and removes hosts in containers. See model.Tier for what each method promises."""

    def __init__(self, distribution: str = DEFAULT_DISTRIBUTION) -> None:
        """Choose what the hosts are made of."""
        self.distribution = load(distribution)

    @property
    def name(self) -> str:
        """Return the word that ``--tier`` takes."""
        return "container"

    @property
    def default_sizing(self) -> Sizing:
        """Return what a small edge box has, within what this machine has."""
        return Sizing(memory_mb=2048, cpus=min(2, os.cpu_count() or 1), disk_gb=8)

    def check(self, count: int, sizing: Sizing) -> None:
        """Raise HostsError when this machine cannot carry that many hosts."""
        _check_programs()
        _check_size(count, sizing)
        engine.refuse_unless_startable()
        if os.geteuid() != 0:
            raise HostsError(
                "Container hosts need root on this machine: their disks are mounted and their network cables pulled "
                "here. Run the same command with sudo."
            )
        if not image.cached(self.distribution):
            image_build.require_builder(self.distribution)

    def prepare(self, report: Report) -> None:
        """Make the engine and the image ready."""
        kernel_limits.raise_limits(report)
        image.ensure_image(engine.ensure(report), self.distribution, report)

    def start(self, host_set: HostSet, sizing: Sizing, report: Report) -> None:
        """Boot all hosts and return when ssh answers on each."""
        client = engine.ensure(report)
        image_name = image.ensure_image(client, self.distribution, report)
        report(f"Booting {len(host_set.hosts)} container hosts in {host_set.network} (usually 3 to 8 s).")
        container_network.make(client, host_set)

        def boot(host: Host) -> str:
            disks.ensure_disk(host_set, host, sizing.disk_gb)
            container = _create(client, host_set, host, sizing, image_name)
            container.put_archive("/", _first_files(host_set, host))
            container_faults.power_on(host, container)
            return container_faults.read_host_key(host, container)

        with ThreadPoolExecutor(max_workers=min(8, len(host_set.hosts))) as pool:
            keys = list(pool.map(boot, host_set.hosts))
        ssh.pin_host_keys(host_set, {host.name: key for host, key in zip(host_set.hosts, keys, strict=True)})
        ssh.wait_for_ssh(host_set, host_set.hosts, BOOT_SECONDS)

    def destroy(self, host_set: HostSet) -> None:
        """Remove the set's containers, network and disks, found by their labels and places; nothing else."""
        client = engine.ensure(lambda _line: None)
        try:
            containers = client.containers.list(all=True, filters=own(host_set), ignore_removed=True)
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(_remove, containers))
            container_network.remove(client, host_set)
        except DockerException as error:
            raise HostsError(
                f"{host_set.name}: the container engine did not remove everything: {engine.words(error)}. "
                f"Run 'down {host_set.name}' again."
            ) from error
        disks.release_all(host_set)
        for folder in ("data", "disks"):
            shutil.rmtree(host_set.directory / folder, ignore_errors=True)

    def alive(self, host_set: HostSet) -> dict[str, str]:
        """Return the state of each host; no engine means that nothing runs."""
        states = dict.fromkeys((host.name for host in host_set.hosts), "missing")
        if not engine.answers():
            return states | dict.fromkeys(states, "stopped")
        for container in engine.connect().containers.list(all=True, filters=own(host_set), ignore_removed=True):
            name = container.labels.get(LABEL_HOST, "")
            if name in states:
                states[name] = {"running": "running", "paused": "paused"}.get(container.status, "stopped")
        return states

    def inflict(self, host_set: HostSet, host: Host, fault: str, options: Mapping[str, str]) -> None:
        """Do one fault to one host."""
        container_faults.inflict(host_set, host, _find(host_set, host), fault, options)

    def heal(self, host_set: HostSet, host: Host) -> None:
        """Undo every fault of one host."""
        container_faults.heal(host_set, host, _find(host_set, host))
        ssh.wait_for_ssh(host_set, [host], BOOT_SECONDS)


def _check_programs() -> None:
    missing = {program: package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing |= disks.missing_programs()
    if missing:
        raise HostsError(
            f"Container hosts need {', '.join(sorted(missing))} on this machine, which is missing. "
            f"Run: apt-get install {' '.join(sorted(set(missing.values())))}, then run this again."
        )


def _check_size(count: int, sizing: Sizing) -> None:
    if sizing.memory_mb < MEMORY_FLOOR_MB:
        raise HostsError(f"A container host needs {MEMORY_FLOOR_MB} MB of memory; {sizing.memory_mb} MB is too little.")
    if sizing.disk_gb < 1:
        raise HostsError(f"A container host needs a disk of 1 GB; {sizing.disk_gb} GB is too little.")
    processors = os.cpu_count() or 1
    if not 1 <= sizing.cpus <= processors:
        raise HostsError(f"This machine has {processors} processors; a host cannot have {sizing.cpus} of them.")
    available = _available_memory_mb()
    if count * sizing.memory_mb > available:
        raise HostsError(
            f"{count} hosts of {sizing.memory_mb} MB need {count * sizing.memory_mb} MB of memory, and this machine "
            f"has {available} MB free. Nothing was made. Ask for fewer hosts, or for less with --memory."
        )
    place = cache_root()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free >> 30
    if count * sizing.disk_gb > free:
        raise HostsError(
            f"{count} hosts with disks of {sizing.disk_gb} GB need {count * sizing.disk_gb} GB at {place}, and "
            f"{free} GB are free there. Nothing was made. Ask for less with --disk, or set HOLDFAST_CACHE elsewhere."
        )


def _available_memory_mb() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    raise HostsError("The kernel of this machine does not say how much memory is free (/proc/meminfo).")


def _create(client: docker.DockerClient, host_set: HostSet, host: Host, sizing: Sizing, image_name: str) -> Container:
    name, options = create_options(client.api, host_set, host, sizing, image_name)
    for last in (False, True):
        try:
            created = client.api.create_container(name=name, **options)
            return client.containers.get(created["Id"])
        except APIError as error:
            # A command that was killed may leave a request with the engine, which finishes it a moment later.
            leftovers = client.containers.list(
                all=True, filters={**own(host_set), "name": f"^/{name}$"}, ignore_removed=True
            )
            if last or not leftovers:
                raise HostsError(
                    f"{host.name}: the container engine did not make it: {engine.words(error)}. "
                    f"'down {host_set.name}' removes what was made."
                ) from error
            for leftover in leftovers:
                _remove(leftover)
    raise AssertionError("the loop above returns or raises")


def _first_files(host_set: HostSet, host: Host) -> bytes:
    peers = "".join(f"{peer.address}\t{peer.name}\n" for peer in host_set.hosts)
    public_key = host_set.key.with_name(f"{host_set.key.name}.pub").read_text(encoding="utf-8")
    files = {
        "etc/hostname": (f"{host.name}\n", 0o644),
        "etc/hosts": (f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{peers}", 0o644),
        # Nobody listens there: a site without its uplink resolves only what it knows itself.
        "etc/resolv.conf": (f"nameserver {host_set.gateway}\noptions timeout:1 attempts:1\n", 0o644),
        "root/.ssh/authorized_keys": (public_key, 0o600),
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        folder = tarfile.TarInfo("root/.ssh")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        for path, (text, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def _find(host_set: HostSet, host: Host) -> Container:
    for container in engine.connect().containers.list(all=True, filters=own(host_set), ignore_removed=True):
        if container.labels.get(LABEL_HOST) == host.name:
            return container
    raise HostsError(
        f"{host.name}: its container is gone, and nothing was changed. Run 'up --name {host_set.name}' to make the set "
        "again."
    )


def _remove(container: Container) -> None:
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        # "Removal is already in progress" is what we wanted, only slower.
        if error.status_code != 409:
            raise
        container.wait(condition="removed")
