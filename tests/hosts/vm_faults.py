# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with a virtual machine, on demand, and the way back."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping

from . import ssh, vm_machine, vm_network
from .model import FAULTS, Host, HostsError, HostSet

FILLER = "/var/lib/holdfast-filler"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
ALLOWED_SKEW_SECONDS = 2
DEFAULTS = {"rate": "1mbit", "megabytes": "10", "seconds": "3600"}
RATE = re.compile(r"[0-9]+(\.[0-9]+)?([kmg]?bit|[kmg]?bps)", re.IGNORECASE)

ANSWER_SECONDS = 300.0
"""An emulated machine on a busy one may take minutes to boot."""


def inflict(host_set: HostSet, host: Host, fault: str, options: Mapping[str, str]) -> None:
    """Do that fault to the host; safe to repeat."""
    todo: dict[str, Callable[[], object]] = {
        "kill": lambda: vm_machine.power_off(host_set, host),
        "pause": lambda: vm_machine.pause(host_set, host),
        "cut": lambda: vm_network.cut(host_set, host),
        "slow": lambda: vm_network.slow(host_set, host, rate(options)),
        "fill": lambda: _fill(host_set, host, number(options, "megabytes", at_least=0)),
        "skew": lambda: _skew(host_set, host, number(options, "seconds")),
        "reboot": lambda: _reboot(host_set, host),
    }
    if fault not in todo:
        raise HostsError(f"There is no fault {fault}; a virtual machine knows {', '.join(FAULTS)}.")
    if not vm_machine.is_made(host_set, host):
        raise HostsError(f"{host.name}: the machine is gone. Run 'up' for the set {host_set.name} to make it again.")
    todo[fault]()


def heal(host_set: HostSet, host: Host) -> None:
    """Undo every fault and return when ssh answers; safe to repeat."""
    if not vm_network.is_up(host_set):
        # The machine under the test bed was started again; the network is made anew, and the hosts are as after a kill.
        vm_network.make(host_set)
    vm_network.restore(host_set, host)
    if vm_machine.state(host_set, host) == "stopped":
        # QEMU may also be there without running anything, after a fault of its own.
        vm_machine.power_off(host_set, host)
    vm_machine.power_on(host_set, host)
    if vm_machine.state(host_set, host) == "paused":
        vm_machine.resume(host_set, host)
    wait_until_it_answers(host_set, (host,))
    now = f"now={int(time.time())}; off=$(( $(date +%s) - now ))"
    _on(host_set, host, f'rm -f {FILLER}; {now}; [ "${{off#-}}" -le {ALLOWED_SKEW_SECONDS} ] || date -s "@$now"')


def wait_until_it_answers(host_set: HostSet, hosts: tuple[Host, ...]) -> None:
    """Return when ssh answers on each, and say what a silent one's console said last."""
    deadline = time.monotonic() + ANSWER_SECONDS
    waiting = list(hosts)
    while waiting:
        for host in list(waiting):
            if not vm_machine.is_on(host_set, host):
                raise HostsError(
                    f"{host.name}: the machine switched itself off while it booted; its last words: "
                    f"{vm_machine.last_words(host_set, host)} A copy of its console's log is "
                    f"{vm_machine.keep_console(host_set, host)}; read it, then run the same command again."
                )
            if ssh.answers(host_set, host):
                waiting.remove(host)
            elif time.monotonic() > deadline:
                raise HostsError(
                    f"{host.name}: ssh at {host.address} did not answer within {ANSWER_SECONDS:.0f} s; the console's "
                    f"last words: {vm_machine.last_words(host_set, host)} A copy of its log is "
                    f"{vm_machine.keep_console(host_set, host)}; read it, then run the same command again."
                )
        time.sleep(0.2)


def _fill(host_set: HostSet, host: Host, leave_megabytes: int) -> None:
    # Blocks that are only reserved fill the machine's disk and not the one under it.
    _on(
        host_set,
        host,
        f"rm -f {FILLER}; free=$(df --output=avail -B1048576 /var/lib | tail -n 1); "
        f'[ "$free" -le {leave_megabytes} ] || fallocate -l $((free - {leave_megabytes}))M {FILLER}',
    )


def _skew(host_set: HostSet, host: Host, seconds: int) -> None:
    # Counted from the true time, so that the same fault twice moves the clock once.
    _on(host_set, host, f"date -s @{int(time.time()) + seconds}")


def _reboot(host_set: HostSet, host: Host) -> None:
    before = _on(host_set, host, BOOT_ID)
    # The connection may go before the command can say that it worked.
    _on(host_set, host, "systemd-run --quiet --on-active=0.2s --timer-property=AccuracySec=50ms systemctl reboot")
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            done = ssh.run(host_set, host, BOOT_ID, timeout_seconds=15)
            if done.returncode == 0 and done.stdout.strip() not in ("", before):
                return
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() > deadline:
            raise HostsError(
                f"{host.name} did not come back within {ANSWER_SECONDS:.0f} s of its reboot; the console's last words: "
                f"{vm_machine.last_words(host_set, host)} Its log is {vm_machine.console_of(host_set, host)}. "
                "'heal' does not help against that; 'fault … kill' and then 'heal' switches it off and on."
            )
        time.sleep(0.3)


def _on(host_set: HostSet, host: Host, command: str) -> str:
    """Run a command on the host that must work."""
    try:
        done = ssh.run(host_set, host, command, timeout_seconds=60)
    except subprocess.TimeoutExpired:
        reason = "it did not answer within a minute"
    else:
        if done.returncode == 0:
            return done.stdout.strip()
        reason = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    raise HostsError(
        f"{host.name}: the command for this could not be run there ({reason}). 'heal' brings the host back; "
        "then run this again."
    )


def rate(options: Mapping[str, str]) -> str:
    """Return the wanted rate, in words that tc takes."""
    text = options.get("rate", DEFAULTS["rate"])
    if not RATE.fullmatch(text):
        raise HostsError(f"{text!r} is not a rate. Write a number with its unit, such as 1mbit or 256kbit.")
    return text


def number(options: Mapping[str, str], name: str, at_least: int | None = None) -> int:
    """Return the wanted number, or what is usual."""
    text = options.get(name, DEFAULTS[name])
    try:
        value = int(text)
    except ValueError:
        raise HostsError(f"{text} is not a number of {name}. Write a whole one, such as {DEFAULTS[name]}.") from None
    if at_least is not None and value < at_least:
        raise HostsError(f"{text} {name} is too few; {at_least} is the least.")
    return value
