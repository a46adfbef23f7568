# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: a kernel of their own, a TPM, every fault and the way back. Boots are emulated and few."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts import (
    Host,
    HostsError,
    HostSet,
    down,
    heal,
    inflict,
    run,
    session_set,
    sets,
    state,
    vm_image,
    vm_machine,
    vm_network,
    vm_processes,
    vm_recipe,
)
from tests.hosts.vm import VmTier
from tests.hosts.vm_accelerator import EMULATION, kvm_works

from .containers_support import boot_id, command, free_networks, leaving_packets, output, reachable

NAME = "it-vm"
OUTSIDE = "198.51.100.7"
"""An address of the block that is kept for documentation: nobody is there, and the way to it leads out."""
MEMORY_MB = 768


@pytest.fixture(scope="module")
def machines() -> Iterator[HostSet]:
    """Two machines that the tests of this file share; each test leaves them healed."""
    with session_set(NAME, count=2, tier="vm", network=free_networks(1)[0], memory_mb=MEMORY_MB) as host_set:
        network = vm_network.network_of(host_set)
        yield host_set
    assert traces(network, host_set) == []


@pytest.fixture
def first(machines: HostSet) -> Host:
    """The machine that tests break."""
    return machines.hosts[0]


def traces(network: vm_network.VmNetwork, host_set: HostSet) -> list[str]:
    """Return everything that is still there of a set."""
    found = [f"qemu {pid}" for pid in vm_processes.find(vm_machine.QEMU, f"guest={network.namespace}-")]
    found += [f"swtpm {pid}" for pid in vm_processes.find(vm_machine.SWTPM, f"dir={host_set.directory}/")]
    places = (Path("/run/netns"), Path("/run/holdfast"), Path("/sys/class/net"))
    found += [str(path) for path in (places[0] / network.namespace, places[1] / network.namespace) if path.exists()]
    found += [str(places[2] / network.outside)] if (places[2] / network.outside).exists() else []
    rules = subprocess.run(["ip", "rule", "show"], check=True, capture_output=True, text=True).stdout
    found += [f"rule {line}" for line in rules.splitlines() if network.outside in line]
    return found + ([str(host_set.directory)] if host_set.directory.exists() else [])


@contextmanager
def fault(host: Host, name: str, **options: str) -> Iterator[None]:
    """Do the fault twice, which must be the same as once, and undo it twice."""
    inflict(NAME, host.name, name, options)
    inflict(NAME, host.name, name, options)
    try:
        yield
    finally:
        heal(NAME, host.name)
        heal(NAME, host.name)


def states(host_set: HostSet) -> list[str]:
    """Return the state of each machine."""
    return list(VmTier().alive(host_set).values())


def megabits_each_way(host_set: HostSet, host: Host, megabytes: float) -> tuple[float, float]:
    """Return how fast bytes go to the machine and come from it."""
    count = int(megabytes * 1024)
    there = ["sh", "-c", f"head -c {count}k /dev/zero | {_ssh(host_set, host)} 'cat > /dev/null'"]
    back = ["sh", "-c", f"{_ssh(host_set, host)} 'head -c {count}k /dev/zero' > /dev/null"]
    return _rate(megabytes, there), _rate(megabytes, back)


def _ssh(host_set: HostSet, host: Host) -> str:
    options = "-F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o Compression=no"
    return f"ssh {options} -o UserKnownHostsFile={host_set.known_hosts} -i {host_set.key} root@{host.address}"


def _rate(megabytes: float, shell: list[str]) -> float:
    started = time.monotonic()
    subprocess.run(shell, check=True, timeout=120)
    return megabytes * 8 * 1.048576 / (time.monotonic() - started)


def test_machines_boot_a_kernel_of_their_own_with_no_failed_unit(machines: HostSet) -> None:
    for host in machines.hosts:
        said = run(machines, host, "systemctl is-system-running --wait; systemctl --failed --no-legend --plain")
        assert said.stdout.split() == ["running"]
        assert output(machines, host, "hostname") == host.name
        assert output(machines, host, "uname -r") != platform.release()
        assert output(machines, host, "systemd-detect-virt") in ("qemu", "kvm")
        kernel_log = output(machines, host, "dmesg")
        assert "BUG:" not in kernel_log
        assert "Call Trace" not in kernel_log
    for shell in ("cat /etc/machine-id", "cat /etc/ssh/ssh_host_*_key.pub", "cat /proc/sys/kernel/random/boot_id"):
        assert len({output(machines, host, shell) for host in machines.hosts}) == 2


def test_machines_have_what_containers_cannot_have(machines: HostSet, first: Host) -> None:
    output(machines, first, "modprobe -a wireguard dm_crypt softdog && rmmod softdog")
    output(machines, first, "ip link add wg9 type wireguard && ip link delete wg9")
    assert "apparmor" in output(machines, first, "cat /sys/kernel/security/lsm").split(",")
    assert output(machines, first, "stat -f -c %T /sys/fs/cgroup") == "cgroup2fs"
    assert output(machines, first, "cat /sys/class/tpm/tpm0/tpm_version_major") == "2"
    assert "sha256" in output(machines, first, "tpm2_pcrread sha256:0")
    assert output(machines, first, "lsblk --noheadings --nodeps --bytes --output SIZE /dev/vdb") == str(4 << 30)


def test_machines_got_the_size_and_the_addresses_that_were_asked_for(machines: HostSet) -> None:
    prefix = machines.network.rpartition(".")[0]
    assert [host.address for host in machines.hosts] == [f"{prefix}.11", f"{prefix}.12"]
    for host in machines.hosts:
        assert f"{host.address}/24" in output(machines, host, "ip -4 -brief address show eth0").split()
        assert output(machines, host, "ip -4 route show default").startswith(f"default via {prefix}.1 ")
        megabytes = int(output(machines, host, "awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo"))
        assert MEMORY_MB * 0.85 < megabytes < MEMORY_MB
        # The file system was made smaller than the disk, and grew to it at the first boot.
        assert int(output(machines, host, "df --output=size -BG / | tail -n 1").rstrip("G")) >= 7
        for peer in machines.hosts:
            output(machines, host, f"ping -c 1 -W 5 {peer.name}")


def test_nothing_that_a_machine_sends_leaves_the_machine_under_it(machines: HostSet, first: Host) -> None:
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    before = forwarding.read_text(encoding="ascii")
    with leaving_packets(OUTSIDE) as seen:
        # A container engine turns forwarding on; the machines must stay alone all the same.
        forwarding.write_text("1", encoding="ascii")
        try:
            assert run(machines, first, f"ping -c 2 -W 1 {OUTSIDE}").returncode == 1
            assert run(machines, first, f"timeout 2 bash -c '</dev/tcp/{OUTSIDE}/443'").returncode != 0
        finally:
            forwarding.write_text(before, encoding="ascii")
        assert seen() == 0
    assert run(machines, first, "getent hosts example.org").returncode == 2


def test_up_again_changes_nothing_and_the_command_lists_the_set(machines: HostSet) -> None:
    before = [boot_id(machines, host) for host in machines.hosts]
    outcome = sets.up(sets.Wish(name=NAME))
    assert not outcome.changed
    assert [boot_id(machines, host) for host in machines.hosts] == before
    listed = command("list")
    assert listed.returncode == 0
    assert NAME in listed.stdout


def test_a_paused_machine_is_silent_and_goes_on_in_the_same_boot(machines: HostSet, first: Host) -> None:
    before = boot_id(machines, first)
    with fault(first, "pause"):
        assert states(machines) == ["paused", "running"]
        assert not reachable(first)
    assert states(machines) == ["running", "running"]
    assert boot_id(machines, first) == before


def test_a_cut_machine_is_silent_and_does_not_notice_a_lost_link(machines: HostSet, first: Host) -> None:
    output(machines, first, "rm -f /run/carrier; cat /sys/class/net/eth0/carrier_changes > /run/carrier")
    with fault(first, "cut"):
        started = time.monotonic()
        assert not reachable(first, seconds=3)
        # A refusal would come at once; a pulled cable says nothing.
        assert time.monotonic() - started > 2
        assert reachable(machines.hosts[1], seconds=5)
    output(machines, first, "test $(cat /sys/class/net/eth0/carrier_changes) = $(cat /run/carrier)")


def test_a_slow_machine_is_slow_each_way_and_only_it(machines: HostSet, first: Host) -> None:
    with fault(first, "slow", rate="2mbit"):
        there, back = megabits_each_way(machines, first, 1)
        assert 0.5 < there < 2.6
        assert 0.5 < back < 2.6
    assert min(megabits_each_way(machines, first, 4)) > 3


def test_a_full_disk_leaves_as_much_as_was_asked_for(machines: HostSet, first: Host) -> None:
    free = "df --output=avail -B1048576 /var/lib | tail -n 1"
    before = int(output(machines, first, free))
    with fault(first, "fill", megabytes="20"):
        assert 10 <= int(output(machines, first, free)) <= 20
        write = "dd if=/dev/zero of=/var/lib/more bs=1M count=40; status=$?; rm -f /var/lib/more; exit $status"
        full = run(machines, first, write)
        assert full.returncode == 1
        assert "No space left on device" in full.stderr
    assert abs(int(output(machines, first, free)) - before) < 20


def test_a_skewed_clock_is_off_by_that_much_once_and_is_set_right(machines: HostSet, first: Host) -> None:
    with fault(first, "skew", seconds="-7200"):
        assert abs(time.time() - int(output(machines, first, "date +%s")) - 7200) < 20
    assert abs(time.time() - int(output(machines, first, "date +%s"))) < 10


def test_a_rebooted_machine_is_back_in_another_boot_with_its_disk(machines: HostSet, first: Host) -> None:
    before = boot_id(machines, first)
    output(machines, first, "echo kept > /var/lib/kept; date +%s > /dev/shm/lost")
    inflict(NAME, first.name, "reboot")
    assert boot_id(machines, first) != before
    assert output(machines, first, "cat /var/lib/kept") == "kept"
    assert run(machines, first, "test -e /dev/shm/lost").returncode == 1


def test_a_power_cut_keeps_what_was_synced_and_what_the_tpm_holds(machines: HostSet, first: Host) -> None:
    before = boot_id(machines, first)
    output(machines, first, "head -c 3M /dev/urandom > /var/lib/synced && sync /var/lib/synced /var/lib")
    digest = output(machines, first, "sha256sum /var/lib/synced")
    output(machines, first, "tpm2_nvdefine -C o -s 5 0x1500016 && printf seals | tpm2_nvwrite -C o -i - 0x1500016")
    with fault(first, "kill"):
        assert states(machines) == ["stopped", "running"]
        assert not reachable(first)
        with pytest.raises(HostsError, match="has no power"):
            inflict(NAME, first.name, "pause")
    assert boot_id(machines, first) != before
    assert output(machines, first, "sha256sum /var/lib/synced") == digest
    assert output(machines, first, "tpm2_nvread -C o -s 5 0x1500016") == "seals"


def test_a_half_made_set_is_removed_whole(tmp_path: Path) -> None:
    image = vm_image.image_of(vm_recipe.load())
    network = free_networks(1)[0]
    directory = state.directory("it-vm-half")
    key = directory / "id_ed25519"
    host = Host("it-vm-half-1", network.replace(".0/24", ".11"), "vm", "it-vm-half")
    half = HostSet("it-vm-half", "vm", network, (host,), directory, key)
    directory.mkdir(parents=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    tier = VmTier()
    try:
        vm_network.make(half)
        vm_machine.make(half, host, image, tier.default_sizing, EMULATION)
        assert states(half) == ["stopped"]
        # As after an 'up' that was killed the moment it had switched the machine on.
        vm_machine.power_on(half, host)
        # The record of its hosts may be what was lost.
        tier.destroy(HostSet(half.name, "vm", network, (), directory, key))
        assert states(half) == ["missing"]
    finally:
        tier.destroy(half)
        down("it-vm-half")
    assert traces(vm_network.network_of(half), half) == []


def test_the_probe_says_yes_where_a_kernel_runs_and_no_in_time_where_it_hangs() -> None:
    image = vm_image.image_of(vm_recipe.load())
    assert kvm_works(image, 90, EMULATION)
    started = time.monotonic()
    # Nothing comes to its first program that fast.
    assert not kvm_works(image, 0.5, EMULATION)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        (("--memory", "100"), "384 is the least"),
        (("--count", "9", "--memory", "900000"), "MB are free"),
        (("--disk", "900000"), "GB are free"),
    ],
)
def test_too_little_memory_or_disk_is_one_sentence_and_leaves_nothing(wish: tuple[str, str], sentence: str) -> None:
    done = command("up", "--name", "it-vm-greedy", "--tier", "vm", *wish)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not state.directory("it-vm-greedy").exists()
