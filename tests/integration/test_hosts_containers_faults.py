# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container hosts break in every way that they promise, heal from it, and may be broken again."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.hosts import HostsError, HostSet, Wish, heal, inflict, run, up

from .containers_support import (
    Live,
    boot_id,
    command,
    live_set,
    output,
    reachable,
)

TWICE = 2
"""Each fault and each heal is done twice in a row: the second time must change nothing."""


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Three hosts that the tests of this file share."""
    with live_set("it-faults") as made:
        yield made


def test_a_killed_host_is_silent_at_once_and_comes_back_as_itself(live: Live) -> None:
    host_set, host = live.host_set, live.first
    identity = output(host_set, host, "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub")
    output(host_set, host, "echo kept > /var/lib/holdfast/kept; sync")
    before = boot_id(host_set, host)
    for _ in range(TWICE):
        inflict(host_set.name, host.name, "kill")
    assert not reachable(host)
    assert reachable(host_set.hosts[1])
    assert f"{host.name}" in command("list").stdout
    for _ in range(TWICE):
        heal(host_set.name, host.name)
    assert output(host_set, host, "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub") == identity
    assert output(host_set, host, "cat /var/lib/holdfast/kept") == "kept"
    assert boot_id(host_set, host) != before
    assert output(host_set, host, "ip -4 route show default") != ""


def test_a_paused_host_hangs_and_goes_on_where_it_was(live: Live) -> None:
    host_set, host = live.host_set, live.first
    before = boot_id(host_set, host)
    for _ in range(TWICE):
        inflict(host_set.name, host.name, "pause")
    assert not reachable(host)
    for _ in range(TWICE):
        heal(host_set.name, host.name)
    assert boot_id(host_set, host) == before


def test_a_cut_host_loses_packets_in_silence_and_finds_back(live: Live) -> None:
    host_set, host = live.host_set, live.first
    before = boot_id(host_set, host)
    with socket.create_connection((host.address, 22), timeout=5) as open_before:
        assert open_before.recv(4) == b"SSH-"
        open_before.recv(1000)
        for _ in range(TWICE):
            inflict(host_set.name, host.name, "cut")
        assert not reachable(host)
        # A pulled cable sends no reset: who was connected hears nothing at all.
        open_before.settimeout(1)
        open_before.sendall(b"SSH-2.0-probe\r\n")
        with pytest.raises(TimeoutError):
            open_before.recv(1)
    said = run(host_set, host_set.hosts[1], f"timeout 1 bash -c '</dev/tcp/{host.address}/22'")
    assert said.returncode == 124
    for _ in range(TWICE):
        heal(host_set.name, host.name)
    assert boot_id(host_set, host) == before
    assert output(host_set, host, "ip -4 route show default") != ""


def test_a_slow_host_is_slow_both_ways_and_fast_again(live: Live) -> None:
    host_set, host = live.host_set, live.first
    output(host_set, host, "head -c 400000 /dev/zero > /tmp/blob")

    def transfer_seconds(shell: str) -> float:
        started = time.monotonic()
        output(host_set, host_set.hosts[1], shell)
        return time.monotonic() - started

    port = 9000
    units = "systemd-run --quiet --collect"
    output(host_set, host, f"{units} socat -u TCP-LISTEN:{port},fork,reuseaddr OPEN:/dev/null")
    output(host_set, host, f"{units} socat -U TCP-LISTEN:{port + 10},fork,reuseaddr FILE:/tmp/blob")
    # Far more than the buffers on both sides hold, so that the sender feels the link.
    into = f"head -c 8000000 /dev/zero | timeout 3 socat -u STDIN TCP:{host.address}:{port}; true"
    out_of = f"timeout 30 socat -u TCP:{host.address}:{port + 10} STDOUT | wc -c"
    for _ in range(TWICE):
        inflict(host_set.name, host.name, "slow", {"rate": "2mbit"})
    try:
        # 400 kB at 2 Mbit/s take 1.6 s, less the bucket.
        assert transfer_seconds(out_of) > 1.0
        assert transfer_seconds(into) > 2.5
    finally:
        for _ in range(TWICE):
            heal(host_set.name, host.name)
    assert transfer_seconds(out_of) < 1.0
    assert transfer_seconds(into) < 2.5


def test_a_filled_disk_refuses_writes_while_the_machine_keeps_its_space(live: Live) -> None:
    host_set, host = live.host_set, live.first
    write = "dd if=/dev/zero of=/var/lib/etcd/probe bs=1M count=30 conv=fsync"
    before = engine_disk_free(host_set)
    for _ in range(TWICE):
        inflict(host_set.name, host.name, "fill", {"megabytes": "20"})
    said = run(host_set, host, write)
    assert said.returncode == 1
    assert "No space left on device" in said.stderr
    assert before - engine_disk_free(host_set) < 200 << 20
    for _ in range(TWICE):
        heal(host_set.name, host.name)
    output(host_set, host, f"{write} && rm /var/lib/etcd/probe")
    free = int(output(host_set, host, "df --output=avail -B1 /var/lib/holdfast | tail -1"))
    assert free > (live.record.sizing.disk_gb - 1) << 30


def engine_disk_free(host_set: HostSet) -> int:
    """Return what is free on the machine's own disk."""
    return int(
        subprocess.run(
            ["df", "--output=avail", "-B1", str(host_set.directory)], check=True, capture_output=True, text=True
        ).stdout.split()[-1]
    )


def test_a_rebooted_host_keeps_its_slow_cable(live: Live) -> None:
    host_set, host = live.host_set, live.first
    before = boot_id(host_set, host)
    inflict(host_set.name, host.name, "slow", {"rate": "4mbit"})
    try:
        for _ in range(2):
            inflict(host_set.name, host.name, "reboot")
        assert boot_id(host_set, host) != before
        assert "tbf" in output(host_set, host, "tc qdisc show dev eth0")
    finally:
        heal(host_set.name, host.name)
    assert "tbf" not in output(host_set, host, "tc qdisc show dev eth0")


def test_faults_work_on_the_new_cable_after_a_kill_and_one_heal_undoes_all(live: Live) -> None:
    host_set, host = live.host_set, live.first
    inflict(host_set.name, host.name, "kill")
    with pytest.raises(HostsError, match="it has no power"):
        inflict(host_set.name, host.name, "cut")
    heal(host_set.name, host.name)
    for fault in ("fill", "slow", "cut", "pause"):
        inflict(host_set.name, host.name, fault)
    assert re.search(rf"{host.name} +{re.escape(host.address)} +paused +cut fill pause slow", command("list").stdout)
    assert not reachable(host)
    heal(host_set.name)
    assert reachable(host)
    assert "tbf" not in output(host_set, host, "tc qdisc show dev eth0")
    output(host_set, host, "dd if=/dev/zero of=/var/lib/etcd/probe bs=1M count=30 && rm /var/lib/etcd/probe")


def test_up_heals_a_set_with_a_dead_host_and_leaves_the_others_alone(live: Live) -> None:
    host_set, host = live.host_set, live.first
    others = [boot_id(host_set, other) for other in host_set.hosts[1:]]
    inflict(host_set.name, host.name, "kill")
    outcome = up(Wish(name=host_set.name))
    assert outcome.changed
    assert "it-faults-1 healed" in outcome.sentence
    assert reachable(host)
    assert [boot_id(host_set, other) for other in host_set.hosts[1:]] == others
