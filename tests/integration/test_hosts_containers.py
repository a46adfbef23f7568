# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container hosts: they boot, they are what was asked for, and they are alone."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ansible_runner
import pytest

from tests.hosts import run

from .containers_support import (
    Live,
    boot_id,
    command,
    leaving_packets,
    live_set,
    output,
    wait_until,
)

OUTSIDE = "198.51.100.7"
"""An address of the block that is kept for documentation: nobody is there, and the way to it leads out."""


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Three hosts that the tests of this file share."""
    with live_set("it-hosts") as made:
        yield made


def test_three_hosts_answer_ssh_within_fifteen_seconds_of_a_cached_image(live: Live) -> None:
    assert live.seconds < 15
    assert [output(live.host_set, host, "hostname") for host in live.host_set.hosts] == [
        "it-hosts-1",
        "it-hosts-2",
        "it-hosts-3",
    ]


def test_every_host_runs_systemd_with_no_failed_unit(live: Live) -> None:
    for host in live.host_set.hosts:
        # "degraded" is an error status, and its reason is worth more than the word.
        said = run(live.host_set, host, "systemctl is-system-running --wait; systemctl --failed --no-legend --plain")
        assert said.stdout.split() == ["running"]
        assert output(live.host_set, host, "cat /proc/1/comm") == "systemd"


def test_hosts_have_the_addresses_names_and_route_that_were_asked_for(live: Live) -> None:
    prefix = live.host_set.network.rpartition(".")[0]
    assert [host.address for host in live.host_set.hosts] == [f"{prefix}.{last}" for last in (11, 12, 13)]
    for host in live.host_set.hosts:
        assert f"{host.address}/24" in output(live.host_set, host, "ip -4 -brief address show eth0").split()
        assert output(live.host_set, host, "ip -4 route show default").startswith(f"default via {prefix}.1 ")
        for peer in live.host_set.hosts:
            assert output(live.host_set, host, f"getent ahostsv4 {peer.name}").split()[0] == peer.address
            output(live.host_set, host, f"ping -c 1 -W 2 {peer.name}")


def test_hosts_share_no_identity(live: Live) -> None:
    for shell in ("cat /etc/machine-id", "cat /etc/ssh/ssh_host_*_key.pub", "cat /proc/sys/kernel/random/boot_id"):
        assert len({output(live.host_set, host, shell) for host in live.host_set.hosts}) == 3


def test_only_the_key_of_the_set_opens_a_host(live: Live, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    for key, wanted in ((live.host_set.key, 0), (stranger, 255)):
        options = ["-F", "/dev/null", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={live.host_set.known_hosts}"]
        options += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", str(key)]
        done = subprocess.run(
            ["ssh", *options, f"root@{live.first.address}", "true"], check=False, capture_output=True, text=True
        )
        assert done.returncode == wanted, done.stderr
    assert "passwordauthentication no" in output(live.host_set, live.first, "sshd -T")


def test_nothing_that_a_host_sends_leaves_the_machine(live: Live) -> None:
    attempt = (
        f"timeout 1 bash -c '</dev/tcp/{OUTSIDE}/443'; echo x > /dev/udp/{OUTSIDE}/53; ping -c 2 -W 1 {OUTSIDE}; true"
    )
    with leaving_packets(OUTSIDE) as seen:
        # First the proof that such a packet would be seen: this machine itself sends one.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", (OUTSIDE, 53))
        wait_until(lambda: seen() == 1, "the machine's own packet leaving", 5)
        said = run(live.host_set, live.first, f"bash -c {json.dumps(attempt)}")
        assert "0 received" in said.stdout
        time.sleep(0.5)
        assert seen() == 1


def test_hosts_cannot_reach_out_nor_resolve_a_name(live: Live) -> None:
    started = time.monotonic()
    assert run(live.host_set, live.first, "getent hosts example.org").returncode == 2
    assert time.monotonic() - started < 5
    assert run(live.host_set, live.first, f"timeout 2 bash -c '</dev/tcp/{OUTSIDE}/443'").returncode != 0


def test_each_host_sees_only_its_own_control_groups(live: Live) -> None:
    one, two, _three = live.host_set.hosts
    root = output(live.host_set, one, "test -d /sys/fs/cgroup/pids && echo /sys/fs/cgroup/pids || echo /sys/fs/cgroup")
    probe = f"{root}/holdfast-probe"
    output(live.host_set, one, f"mkdir {probe}")
    try:
        assert run(live.host_set, two, f"test -e {probe}").returncode == 1
        assert not Path(probe).exists()
        assert all(line.endswith(":/") for line in output(live.host_set, one, "cat /proc/1/cgroup").split("\n")) or (
            "/init.scope" in output(live.host_set, one, "cat /proc/1/cgroup")
        )
    finally:
        output(live.host_set, one, f"rmdir {probe}")


def test_a_host_is_limited_to_its_memory(live: Live) -> None:
    limit = output(
        live.host_set,
        live.first,
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max",
    )
    assert int(limit) == live.record.sizing.memory_mb << 20


def test_ansible_reaches_and_reboots_a_host_through_the_inventory(live: Live, tmp_path: Path) -> None:
    before = boot_id(live.host_set, live.first)
    for module in ("ansible.builtin.ping", "ansible.builtin.reboot"):
        done = ansible_runner.run(
            private_data_dir=str(tmp_path),
            host_pattern="edge" if module.endswith("ping") else live.first.name,
            inventory=str(live.host_set.inventory),
            module=module,
            # Ansible is in this virtual environment, which need not be on the path of whoever runs the tests.
            envvars={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            quiet=True,
        )
        assert done.rc == 0, done.stdout.read()
    assert boot_id(live.host_set, live.first) != before
    assert int(output(live.host_set, live.first, "journalctl --list-boots --no-pager | grep -c UTC")) >= 2


def test_up_again_changes_nothing_and_is_fast(live: Live) -> None:
    boots = [boot_id(live.host_set, host) for host in live.host_set.hosts]
    started = time.monotonic()
    said = command("up", "--name", live.host_set.name, "--count", "3", "--json")
    assert time.monotonic() - started < 5
    assert said.returncode == 0, said.stderr
    facts = json.loads(said.stdout)
    assert facts["changed"] is False
    assert facts["inventory"] == str(live.host_set.inventory)
    assert [boot_id(live.host_set, host) for host in live.host_set.hosts] == boots


def test_up_writes_a_copy_of_the_inventory_where_it_is_asked_to(live: Live, tmp_path: Path) -> None:
    copy = tmp_path / "hosts.yml"
    said = command("up", "--name", live.host_set.name, "--quiet", "--inventory-file", str(copy))
    assert said.stdout.startswith("unchanged: ")
    assert said.stderr == ""
    assert copy.read_text(encoding="utf-8") == live.host_set.inventory.read_text(encoding="utf-8")


def test_list_and_ssh_show_what_is_there(live: Live) -> None:
    listed = command("list").stdout
    for host in live.host_set.hosts:
        assert re.search(rf"{host.name} +{re.escape(host.address)} +running +-", listed)
    said = command("ssh", live.host_set.name, live.first.name, "echo one two; exit 3")
    assert (said.stdout, said.returncode) == ("one two\n", 3)
