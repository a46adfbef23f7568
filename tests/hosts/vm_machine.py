# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One virtual machine: its disks, its TPM, its power switch."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from . import processes, vm_initrd, vm_processes, vm_qmp, vm_seed
from .files import write_atomically
from .model import Host, HostsError, HostSet, Sizing
from .paths import hosts_root
from .vm_image import VmImage
from .vm_network import inside, network_of, tap_of

QEMU = "qemu-system-x86_64"
SWTPM = "swtpm"
DATA_DISK_GB = 4
START_SECONDS = 20.0
INITRD_ADDRESS = 128 << 20
"""Above the unpacked kernel, which ends below 100 MB, and well within the least memory of a machine."""


@dataclass(frozen=True)
class Hardware:
    """What a machine was made with, so that it is switched on again as the same one."""

    image: str
    memory_mb: int
    cpus: int
    accelerator: tuple[str, ...]


def folder_of(host_set: HostSet, host: Host) -> Path:
    """Return the folder with all that is this machine's."""
    return host_set.directory / "vm" / host.name


def console_of(host_set: HostSet, host: Host) -> Path:
    """Return the log of everything that the machine's console ever said."""
    return folder_of(host_set, host) / "console.log"


def make(host_set: HostSet, host: Host, image: VmImage, sizing: Sizing, accelerator: tuple[str, ...]) -> None:
    """Make the machine's disks and identity if they are not there; the machine stays off."""
    folder = folder_of(host_set, host)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = folder / "machine.json"
    if not record.exists():
        # The disks of an interrupted start may stand on another image; nothing has ever run on them.
        for disk in ("root.qcow2", "data.qcow2"):
            (folder / disk).unlink(missing_ok=True)
        hardware = Hardware(str(image.folder), sizing.memory_mb, sizing.cpus, accelerator)
        write_atomically(record, json.dumps(asdict(hardware)) + "\n", mode=0o600)
    backing = VmImage(Path(_hardware(host_set, host).image)).disk
    _make_disk(folder / "root.qcow2", sizing.disk_gb, ["-b", str(backing), "-F", "raw"])
    _make_disk(folder / "data.qcow2", DATA_DISK_GB, [])
    (folder / "tpm").mkdir(mode=0o700, exist_ok=True)
    seed = vm_seed.ensure_seed(host_set, host, folder)
    scratch = folder / "initrd.new"
    scratch.touch(mode=0o600)
    first = VmImage(Path(_hardware(host_set, host).image)).initrd
    scratch.write_bytes(vm_initrd.with_seed(first.read_bytes(), seed.read_bytes()))
    scratch.replace(folder / "initrd")


def is_made(host_set: HostSet, host: Host) -> bool:
    """Return whether the machine exists, on or off."""
    return (folder_of(host_set, host) / "initrd").exists()


def is_on(host_set: HostSet, host: Host) -> bool:
    """Return whether the machine has power."""
    return bool(vm_processes.find(QEMU, _mark(host_set, host)))


def power_on(host_set: HostSet, host: Host) -> None:
    """Switch the machine on, with the disks and the TPM that it had; safe to repeat."""
    if is_on(host_set, host):
        return
    if not is_made(host_set, host):
        raise HostsError(f"{host.name}: the machine is gone. Run 'up' for the set {host_set.name} to make it again.")
    folder = folder_of(host_set, host)
    _power_tpm(host_set, host)
    hardware = _hardware(host_set, host)
    image = VmImage(Path(hardware.image))
    index = host_set.hosts.index(host)
    command = [
        QEMU,
        # Nothing of the user's own configuration, and no device that is not named here.
        *("-no-user-config", "-nodefaults", "-display", "none", "-name", _mark(host_set, host) + "debug-threads=off"),
        *("-machine", "pc", *hardware.accelerator, "-smp", str(hardware.cpus), "-m", str(hardware.memory_mb)),
        *("-kernel", str(image.kernel), *_initrd(folder / "initrd")),
        *_disk("root", folder / "root.qcow2"),
        *_disk("data", folder / "data.qcow2"),
        *("-netdev", f"tap,id=net,ifname={tap_of(host_set, host)},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=net,mac={_mac(host_set, index)}"),
        *("-device", "virtio-rng-pci", "-rtc", "base=utc,clock=host"),
        *("-chardev", f"socket,id=tpm,path={_socket(host_set, host, 'tpm')}"),
        *("-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm"),
        *("-chardev", f"file,id=console,append=on,path={_escaped(console_of(host_set, host))}"),
        *("-serial", "chardev:console"),
        *("-chardev", f"socket,id=qmp,server=on,wait=off,path={_socket(host_set, host, 'qmp')}"),
        *("-mon", "chardev=qmp,mode=control"),
    ]
    control = _socket(host_set, host, "qmp")
    # The one of the machine's last life has nobody behind it, and would be taken for this one's.
    control.unlink(missing_ok=True)
    _start(host, inside(network_of(host_set), command), folder / "qemu.log")
    _wait_for_socket(host_set, host, control, folder / "qemu.log")


def power_off(host_set: HostSet, host: Host) -> bool:
    """Take the power away, at once; return whether there was any. The TPM loses its power too."""
    was_on = vm_processes.kill(QEMU, _mark(host_set, host))
    vm_processes.kill(SWTPM, _tpm_state(host_set, host))
    return was_on


def state(host_set: HostSet, host: Host) -> str:
    """Return one of model.ALIVE_STATES."""
    if not is_made(host_set, host):
        return "missing"
    if not is_on(host_set, host):
        return "stopped"
    try:
        status = str(vm_qmp.execute(_socket(host_set, host, "qmp"), "query-status").get("status"))
    except vm_qmp.QmpError:
        # It may have ended between the two questions.
        return "running" if is_on(host_set, host) else "stopped"
    return {"running": "running", "paused": "paused"}.get(status, "stopped")


def pause(host_set: HostSet, host: Host) -> None:
    """Stop the machine between two instructions; safe to repeat."""
    _command(host_set, host, "stop")


def resume(host_set: HostSet, host: Host) -> None:
    """Let it go on; safe to repeat."""
    _command(host_set, host, "cont")


def remove(host_set: HostSet) -> None:
    """Take the power of all machines of the set away and remove all that is theirs, also half-made ones."""
    # By the set's own marks and not by its hosts' names: the record of those may be what was lost.
    vm_processes.kill(QEMU, f"guest={network_of(host_set).namespace}-")
    vm_processes.kill(SWTPM, f"dir={host_set.directory / 'vm'}/")
    shutil.rmtree(host_set.directory / "vm", ignore_errors=True)
    shutil.rmtree(_runtime(host_set), ignore_errors=True)


def last_words(host_set: HostSet, host: Host) -> str:
    """Return what the machine, or QEMU, said last: for a sentence about why it does not answer."""
    for path in (folder_of(host_set, host) / "qemu.log", console_of(host_set, host)):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        lines = [line.strip() for line in text.splitlines() if line.strip() and "warning:" not in line]
        own = [line for line in lines if line.startswith("holdfast:")]
        if lines:
            return (own or lines)[-1]
    return "nothing"


def keep_console(host_set: HostSet, host: Host) -> Path:
    """Copy the console's log to where it outlives the set, and return that place."""
    kept = hosts_root() / f"{host.name}-console.log"
    with contextlib.suppress(OSError):
        shutil.copyfile(console_of(host_set, host), kept)
    return kept


def _command(host_set: HostSet, host: Host, command: str) -> None:
    if not is_on(host_set, host):
        raise HostsError(f"{host.name} has no power, so nothing was done. 'heal' switches it on.")
    try:
        vm_qmp.execute(_socket(host_set, host, "qmp"), command)
    except vm_qmp.QmpError as error:
        raise HostsError(f"{host.name}: {error}. The machine is as it was; run this again.") from error


def _power_tpm(host_set: HostSet, host: Host) -> None:
    control = _socket(host_set, host, "tpm")
    _runtime(host_set).mkdir(mode=0o700, parents=True, exist_ok=True)
    # One left over belongs to a power cut that was itself cut short.
    vm_processes.kill(SWTPM, _tpm_state(host_set, host))
    control.unlink(missing_ok=True)
    command = [SWTPM, "socket", "--tpm2", "--terminate", "--tpmstate", _tpm_state(host_set, host)]
    log = folder_of(host_set, host) / "swtpm.log"
    _start(host, [*command, "--ctrl", f"type=unixio,path={control}"], log)
    _wait_for_socket(host_set, host, control, log)


def _wait_for_socket(host_set: HostSet, host: Host, control: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not control.exists():
        if time.monotonic() > deadline:
            said = last_words(host_set, host)
            power_off(host_set, host)
            raise HostsError(
                f"{host.name} could not be switched on within {START_SECONDS:.0f} s; the last words in {log.name} or "
                f"on the console: {said} It is off and its disks are safe; run the same command again."
            )
        time.sleep(0.02)


def _start(host: Host, command: list[str], log: Path) -> None:
    try:
        processes.start_detached(command, log)
    except OSError as error:
        raise HostsError(f"{host.name}: {error}. The machine is off, its disks are safe; run this again.") from error


def _make_disk(disk: Path, size_gb: int, backing: list[str]) -> None:
    if disk.exists():
        return
    scratch = disk.with_suffix(".new")
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(scratch), f"{size_gb}G"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        scratch.unlink(missing_ok=True)
        raise HostsError(f"The disk {disk} could not be made: {done.stderr.strip()} Nothing half-made was kept.")
    scratch.replace(disk)


def _initrd(path: Path) -> tuple[str, ...]:
    # QEMU 7.2 lays its own -initrd over the ACPI tables, which a TPM makes longer than it reckons with; the kernel then
    # sees no ACPI, and so no TPM. We put it elsewhere and say where. The kernel reads that too late to keep the
    # place free, so the place is taken out of its memory as well.
    loader = f"loader,file={_escaped(path)},addr={INITRD_ADDRESS:#x},force-raw=on"
    size = path.stat().st_size
    whole = -(-size // (1 << 20)) << 20
    place = f"initrdmem={INITRD_ADDRESS:#x},{size:#x} memmap={whole:#x}${INITRD_ADDRESS:#x}"
    return ("-device", loader, "-append", f"console=ttyS0 rw net.ifnames=0 panic=10 {place}")


def _disk(name: str, path: Path) -> tuple[str, ...]:
    # With writeback, and only with what is stricter, a power cut is an honest one: what the machine was told is on the
    # disk is there after QEMU was killed, and what it was not told may be lost.
    drive = f"if=none,id={name},format=qcow2,cache=writeback,discard=unmap,file={_escaped(path)}"
    return ("-drive", drive, "-device", f"virtio-blk-pci,drive={name},serial={name}")


def _hardware(host_set: HostSet, host: Host) -> Hardware:
    data = json.loads((folder_of(host_set, host) / "machine.json").read_text(encoding="utf-8"))
    return Hardware(
        image=str(data["image"]),
        memory_mb=int(data["memory_mb"]),
        cpus=int(data["cpus"]),
        accelerator=tuple(data["accelerator"]),
    )


def _mark(host_set: HostSet, host: Host) -> str:
    # The comma ends the name, so that demo-1 is not taken for demo-11.
    return f"guest={network_of(host_set).namespace}-{host.name},"


def _tpm_state(host_set: HostSet, host: Host) -> str:
    return f"dir={folder_of(host_set, host) / 'tpm'}"


def _runtime(host_set: HostSet) -> Path:
    # A socket's path may have 107 letters, and the cache may lie deep.
    return Path("/run/holdfast") / network_of(host_set).namespace


def _socket(host_set: HostSet, host: Host, what: str) -> Path:
    return _runtime(host_set) / f"{host_set.hosts.index(host)}.{what}"


def _mac(host_set: HostSet, index: int) -> str:
    digest = bytes.fromhex(network_of(host_set).namespace.rpartition("-")[2])
    # The first byte says: made up locally, one receiver.
    return ":".join(f"{byte:02x}" for byte in (0x52, *digest[:3], index >> 8, index & 255))


def _escaped(path: Path) -> str:
    # QEMU parts its options at commas.
    return os.fspath(path).replace(",", ",,")
