# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaking and healing container hosts: power, cable, link speed, disk."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from docker.errors import APIError
from docker.models.containers import Container

from . import disks, ssh
from .engine import words
from .model import FAULTS, Host, HostsError, HostSet

DEFAULT_RATE = "1mbit"
RATE = re.compile(r"[1-9][0-9]*(bit|kbit|mbit|gbit)")
BOOT_SECONDS = 60.0
STOP_SECONDS = 20
FREEZE_TRIES = 5


def inflict(host_set: HostSet, host: Host, container: Container, fault: str, options: Mapping[str, str]) -> None:
    """Do the fault; doing it twice is the same as doing it once, with the newer options."""
    actions: dict[str, Callable[[], None]] = {
        "kill": lambda: _kill(container),
        "pause": lambda: _pause(host, container),
        "cut": lambda: _cut(host, container),
        "slow": lambda: _slow(host, container, options.get("rate", DEFAULT_RATE)),
        "fill": lambda: _fill(host_set, host, options.get("megabytes", "0")),
        "reboot": lambda: _reboot(host_set, host, container),
    }
    if fault == "skew":
        raise HostsError(
            f"{host.name}: a container shares the machine's clock, so it cannot be skewed alone; nothing was changed. "
            "Use a set of the tier vm."
        )
    if fault not in actions:
        raise HostsError(f"There is no fault {fault}; the test bed knows {', '.join(FAULTS)}.")
    try:
        actions[fault]()
    except APIError as error:
        raise HostsError(
            f"{host.name}: the engine did not do '{fault}': {words(error)}. Run 'heal' to be sure."
        ) from error


def heal(host_set: HostSet, host: Host, container: Container) -> None:
    """Undo every fault: space first, so that what boots finds some."""
    disks.unfill(host_set, host)
    status = _status(container)
    try:
        if status == "paused":
            container.unpause()
        elif status != "running":
            disks.mount_disk(host_set, host)
            power_on(host, container)
    except APIError as error:
        raise HostsError(
            f"{host.name}: the engine did not start it again: {words(error)}. Take the set down."
        ) from error
    veth = _veth(host, container)
    _run(host, ["ip", "link", "set", "dev", veth, "up"])
    for prefix, device in _both_ends(container, veth):
        # There is nothing to remove when the link was not slow.
        subprocess.run([*prefix, "tc", "qdisc", "del", "dev", device, "root"], check=False, capture_output=True)


def power_on(host: Host, container: Container) -> None:
    """Start the container; what the engine says when it cannot is passed on."""
    try:
        container.start()
    except APIError as error:
        raise HostsError(f"{host.name}: the container engine did not start it: {words(error)}.") from error


def read_host_key(host: Host, container: Container) -> str:
    """Return the ssh host key that the host made at its first boot, read through the engine and not the network."""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        key = _read_key(container)
        if key:
            return key
        if _status(container) not in ("running", "created"):
            break
        time.sleep(0.1)
    log = _last_words(container)
    raise HostsError(f"{host.name}: it did not boot; its first process said: {log or '(nothing)'}.")


def _last_words(container: Container) -> str:
    return b"".join(container.logs(tail=5, stream=True, follow=False)).decode("utf-8", "replace").strip()


def _read_key(container: Container) -> str:
    try:
        done = container.exec_run(["cat", "/etc/ssh/ssh_host_ed25519_key.pub"], stderr=False)
    except APIError:
        # The container is between two states; the caller looks at which.
        return ""
    if done.exit_code != 0 or not isinstance(done.output, bytes):
        return ""
    return done.output.decode("utf-8", "replace").strip()


def _kill(container: Container) -> None:
    if _status(container) in ("running", "paused"):
        container.kill()
        container.wait()


def _pause(host: Host, container: Container) -> None:
    if _powered(host, container) != "paused":
        freeze(container)


def freeze(container: Container) -> None:
    """Stop all its processes; the engine gives up where new ones are born while it does, and then says so."""
    for tries_left in reversed(range(FREEZE_TRIES)):
        try:
            container.pause()
            return
        except APIError as error:
            if not tries_left or "unable to freeze" not in words(error):
                raise


def _cut(host: Host, container: Container) -> None:
    _powered(host, container)
    _run(host, ["ip", "link", "set", "dev", _veth(host, container), "down"])


def _slow(host: Host, container: Container, rate: str) -> None:
    if not RATE.fullmatch(rate):
        raise HostsError(f"{host.name}: {rate} is not a rate; write one such as 256kbit or 1mbit. Nothing was changed.")
    _powered(host, container)
    for prefix, device in _both_ends(container, _veth(host, container)):
        # A bucket of one large packet, and a queue of half a second: a thin line, not a broken one.
        shape = ["root", "tbf", "rate", rate, "burst", "32kbit", "latency", "500ms"]
        _run(host, [*prefix, "tc", "qdisc", "replace", "dev", device, *shape])


def _fill(host_set: HostSet, host: Host, megabytes: str) -> None:
    if not megabytes.isdecimal():
        raise HostsError(f"{host.name}: {megabytes} is not a number of megabytes to leave free. Nothing was changed.")
    disks.fill(host_set, host, int(megabytes) << 20)


def _reboot(host_set: HostSet, host: Host, container: Container) -> None:
    status = _powered(host, container)
    veth = _veth(host, container)
    cut, rate = _is_cut(veth), _rate(veth)
    if status == "paused":
        container.unpause()
    container.restart(timeout=STOP_SECONDS)
    # The host has a new cable now. What was wrong with the old one was not the host's to repair by booting.
    if rate:
        _slow(host, container, rate)
    if cut:
        _cut(host, container)
    else:
        ssh.wait_for_ssh(host_set, [host], BOOT_SECONDS)


def _status(container: Container) -> str:
    container.reload()
    return str(container.status)


def _powered(host: Host, container: Container) -> str:
    status = _status(container)
    if status not in ("running", "paused"):
        raise HostsError(f"{host.name}: it has no power ({status}), so nothing was changed. Heal it first.")
    return status


def _process(container: Container) -> int:
    container.reload()
    return int(container.attrs["State"]["Pid"])


def _veth(host: Host, container: Container) -> str:
    """Return the machine's end of the host's network cable."""
    link = Path(f"/proc/{_process(container)}/root/sys/class/net/eth0/iflink")
    try:
        index = link.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise HostsError(f"{host.name}: it went down just now, so its cable was not touched. Heal it first.") from error
    for interface in Path("/sys/class/net").iterdir():
        if (interface / "ifindex").read_text(encoding="utf-8").strip() == index:
            return interface.name
    raise HostsError(f"{host.name}: the machine's end of its cable is not here. Is the engine in another namespace?")


def _both_ends(container: Container, veth: str) -> list[tuple[list[str], str]]:
    # A shaper only delays what leaves through its device, so each direction needs the other end's.
    return [([], veth), (["nsenter", "--net", f"--target={_process(container)}"], "eth0")]


def _is_cut(veth: str) -> bool:
    flags = int(Path(f"/sys/class/net/{veth}/flags").read_text(encoding="utf-8"), 16)
    return not flags & 1


def _rate(veth: str) -> str:
    done = subprocess.run(["tc", "-json", "qdisc", "show", "dev", veth], check=False, capture_output=True, text=True)
    for qdisc in json.loads(done.stdout or "[]"):
        if qdisc.get("kind") == "tbf":
            return f"{int(qdisc['options']['rate']) * 8}bit"
    return ""


def _run(host: Host, command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise HostsError(
            f"{host.name}: '{' '.join(command)}' failed: {done.stderr.strip() or done.returncode}. "
            f"Run 'heal {host.set_name} {host.name}' to be sure of its state."
        )
