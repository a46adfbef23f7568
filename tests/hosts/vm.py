# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tier of virtual machines: a whole kernel, disks that survive a power cut, a TPM, a clock of its own."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from . import ssh, vm_accelerator, vm_faults, vm_image, vm_machine, vm_network, vm_recipe, vm_seed
from .locks import lock
from .model import Host, HostsError, HostSet, Report, Sizing
from .paths import hosts_root

PROGRAMS = {
    "ip": "iproute2",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "ssh-keygen": "openssh-client",
    "swtpm": "swtpm",
    "tc": "iproute2",
}
"""Each program that is run, with the Debian package that brings it."""

LEAST_MEMORY_MB = 384
MEMORY_BESIDE_MB = 150
"""What QEMU and the TPM take for each machine beside the machine's own memory."""
IMAGE_GB = 4
"""What making the image takes for a moment; it ends as 1 GB."""
LEAST_DISK_GB = 3


class VmTier:
    """Machines of QEMU on a network of their own; emulated, unless KVM is seen to work."""

    name = "vm"
    default_sizing = Sizing(memory_mb=1024, cpus=1, disk_gb=8)

    def check(self, count: int, sizing: Sizing) -> None:
        """Refuse what this machine cannot carry, with what is missing and how to get it."""
        if os.geteuid() != 0:
            raise HostsError("Virtual machines need networks of their own, which takes root: run this with sudo.")
        if platform.machine() != "x86_64":
            raise HostsError(
                f"Virtual machines are x86-64 ones, and this machine is {platform.machine()}, where they were never "
                "tried. Take --tier container."
            )
        if not Path("/dev/net/tun").exists():
            raise HostsError("There is no /dev/net/tun, which carries the machines' network: run 'modprobe tun'.")
        missing = _missing_packages()
        if missing and shutil.which("apt-get") is None:
            raise HostsError(f"Programs are missing, and there is no apt-get to install {' '.join(missing)} with.")
        check_memory(count, sizing)
        check_disk(count, sizing)

    def prepare(self, report: Report) -> None:
        """Install the programs that are missing, make the image, and find out about KVM."""
        _install(_missing_packages(), report)
        vm_accelerator.choose(vm_image.ensure_image(vm_recipe.load(), report), report)

    def start(self, host_set: HostSet, sizing: Sizing, report: Report) -> None:
        """Make and switch on the machines that are not there, and return when ssh answers on each."""
        image = vm_image.ensure_image(vm_recipe.load(), report)
        accelerator = vm_accelerator.choose(image, report)
        vm_network.make(host_set)
        for host in host_set.hosts:
            vm_machine.make(host_set, host, image, sizing, accelerator)
        keys = {host.name: vm_seed.public_host_key(vm_machine.folder_of(host_set, host)) for host in host_set.hosts}
        ssh.pin_host_keys(host_set, keys)
        usual = "a few seconds" if accelerator == vm_accelerator.KVM else "15 to 40 s, minutes on a busy processor"
        report(f"Booting {len(host_set.hosts)} machine(s) of {sizing.memory_mb} MB (usually {usual}).")
        for host in host_set.hosts:
            vm_machine.power_on(host_set, host)
        vm_faults.wait_until_it_answers(host_set, host_set.hosts)

    def destroy(self, host_set: HostSet) -> None:
        """Take away every machine, disk and network of this set, and nothing else."""
        vm_machine.remove(host_set)
        vm_network.destroy(host_set)

    def alive(self, host_set: HostSet) -> dict[str, str]:
        """Return the state of each machine."""
        return {host.name: vm_machine.state(host_set, host) for host in host_set.hosts}

    def inflict(self, host_set: HostSet, host: Host, fault: str, options: Mapping[str, str]) -> None:
        """Do the fault to the machine."""
        vm_faults.inflict(host_set, host, fault, options)

    def heal(self, host_set: HostSet, host: Host) -> None:
        """Undo every fault of the machine."""
        vm_faults.heal(host_set, host)


def check_memory(count: int, sizing: Sizing) -> None:
    """Refuse machines that are too small, or too many for the memory that is free."""
    if sizing.memory_mb < LEAST_MEMORY_MB:
        raise HostsError(
            f"{sizing.memory_mb} MB is too little memory for a virtual machine to boot; {LEAST_MEMORY_MB} is the "
            "least, and nothing was made."
        )
    needed = count * (sizing.memory_mb + MEMORY_BESIDE_MB)
    free = _available_memory_mb()
    if needed > free:
        raise HostsError(
            f"{count} virtual machine(s) of {sizing.memory_mb} MB need {needed} MB of memory and {free} MB are free, "
            "so nothing was made. Take fewer, or less --memory, or take another set down."
        )


def check_disk(count: int, sizing: Sizing) -> None:
    """Refuse disks that are too small, or too many for the room that is free."""
    if sizing.disk_gb < LEAST_DISK_GB:
        raise HostsError(
            f"{sizing.disk_gb} GB is too small a disk for a virtual machine; {LEAST_DISK_GB} is the least. "
            "Nothing was made."
        )
    place = hosts_root()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free >> 30
    needed = count * (sizing.disk_gb + vm_machine.DATA_DISK_GB) + IMAGE_GB
    if needed > free:
        raise HostsError(
            f"{count} virtual machine(s) may come to need {needed} GB of disk and {free} GB are free at {place}, so "
            "nothing was made. Take fewer, or less --disk, or let HOLDFAST_CACHE name a place with more room."
        )


def _available_memory_mb() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    raise HostsError("/proc/meminfo does not say how much memory is available, so nothing was made.")


def _missing_packages() -> list[str]:
    # /usr/sbin is where some of them are, and not in every user's path.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program, path=path) is None})


def _install(packages: list[str], report: Report) -> None:
    if not packages:
        return
    report(f"Installing {', '.join(packages)} (usually under a minute).")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    busy = "Another command has been installing packages for ten minutes."
    with lock("vm-install", busy=busy, wait_seconds=600):
        for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
            command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *words]
            done = subprocess.run(
                command, check=False, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
            )
            if done.returncode != 0:
                lines = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
                raise HostsError(
                    f"The programs for virtual machines could not be installed: '{' '.join(command)}' said: "
                    f"{lines[-1]} Put that right, or install {' '.join(packages)} yourself, then run this again."
                )
