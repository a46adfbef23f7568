# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hardening on three container hosts: what gets in and what does not, and that nobody is ever locked out."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.hosts import inflict, ssh_command
from tests.site import Site, site_hosts

from .containers_support import free_networks
from .hardening_support import (
    LISTEN,
    RECEIVE,
    SEND,
    STRANGER,
    background,
    fingerprint,
    harden,
    must,
    pod,
    python,
    reached,
    scratch_playbook,
    ways_in,
)

PORTS = (22, 2379, 2380, 2381, 6443, 7443, 9100, 10250, 8080)
TASKS_OF_A_QUIET_RUN = 8


@pytest.fixture(scope="module")
def blank() -> Iterator[Site]:
    """Two servers and a worker, as they come."""
    with site_hosts("it-harden", servers=2, workers=1, network=free_networks(1)[0]) as site:
        yield site


@pytest.fixture(scope="module")
def site(blank: Site) -> Site:
    """The same, hardened; one host has a firewall of somebody else too."""
    first = blank.hosts[0]
    blank.ssh(first, "nft add table inet other; nft add chain inet other kept")
    before = [fingerprint(blank, host) for host in blank.hosts]
    told = must(harden(blank, cmdline="--check --diff"))
    assert all(told.changed.get(host.name, 0) > 0 for host in blank.hosts)
    assert "+PasswordAuthentication no" in told.stdout
    assert [fingerprint(blank, host) for host in blank.hosts] == before, "a check changed something"
    must(harden(blank))
    for host in blank.hosts:
        background(blank, host, "listen", python(LISTEN, *(port for port in PORTS if port != 22)))
    blank.ssh(blank.hosts[2], f"ip address add {stranger(blank)}/24 dev eth0")
    return blank


def stranger(site: Site) -> str:
    return f"{site.host_set.network.rpartition('.')[0]}.{STRANGER}"


def test_a_second_run_changes_nothing_in_a_few_tasks(site: Site) -> None:
    again = must(harden(site))
    assert [again.changed.get(host.name, 0) for host in site.hosts] == [0, 0, 0]
    assert max(again.ok.values()) <= TASKS_OF_A_QUIET_RUN
    assert must(harden(site, cmdline="--check")).changed.get(site.hosts[0].name, 0) == 0


def test_what_a_killed_run_wrote_is_read_in_the_next(site: Site) -> None:
    host, path = site.hosts[1], "/etc/systemd/journald.conf.d/50-holdfast.conf"
    begun = "systemctl show --value --property=ActiveEnterTimestampMonotonic systemd-journald"
    before = site.ssh(host, begun)
    # As if it had ended right after it wrote the file.
    site.ssh(host, f"cp -p {path} {path}.new && mv {path}.new {path}")
    told = must(harden(site, cmdline="--check --diff"))
    assert [told.changed.get(one.name, 0) for one in site.hosts] == [0, 1, 0]
    assert "+run systemctl restart systemd-journald.service" in told.stdout
    assert site.ssh(host, begun) == before
    assert must(harden(site)).changed.get(host.name, 0) == 1
    assert site.ssh(host, begun) != before
    assert must(harden(site)).changed.get(host.name, 0) == 0


def test_each_gets_what_it_needs_and_no_more(site: Site) -> None:
    server, other, worker = site.hosts
    open_to_site = {22, 2381, 6443, 7443, 9100, 10250}
    assert reached(site, other, other.address, server.address, PORTS) == open_to_site | {2379, 2380}
    assert reached(site, worker, worker.address, server.address, PORTS) == open_to_site
    assert reached(site, worker, stranger(site), server.address, PORTS) == {22, 6443, 7443}
    assert reached(site, server, server.address, server.address, PORTS) == set(PORTS)


def test_only_servers_are_heard_when_they_share_an_address(site: Site) -> None:
    server, other, worker = site.hosts
    background(site, server, "receive", python(RECEIVE, 112, 60, "/run/heard"))
    site.ssh(server, "for i in $(seq 400); do test -e /run/heard && exit 0; sleep 0.05; done; exit 1")
    for host, source in ((worker, worker.address), (worker, stranger(site)), (other, other.address)):
        site.ssh(host, python(SEND, 112, source, server.address))
    site.ssh(server, f"for i in $(seq 400); do grep -q {other.address} /run/heard && exit 0; sleep 0.05; done; exit 1")
    assert set(site.ssh(server, "cat /run/heard").split()) == {other.address}


def test_pods_reach_each_other_across_nodes_and_strangers_do_not_reach_them(site: Site) -> None:
    server, other, worker = site.hosts
    here = pod(site, server, 1, {2: other})
    there = pod(site, other, 2, {1: server})
    background(site, other, "listen-in-pod", python(LISTEN, 8080, prefix="ip netns exec pod"))
    site.ssh(server, f"ip netns exec pod ping -c 1 -W 3 {there}")
    assert reached(site, server, here, there, [8080], prefix="ip netns exec pod") == {8080}
    assert reached(site, server, server.address, there, [8080]) == {8080}
    # A pod reaches the API and the kubelet of its node, and not its datastore.
    assert reached(site, server, here, "10.42.1.1", PORTS, prefix="ip netns exec pod") == {
        2381,
        6443,
        7443,
        9100,
        10250,
        22,
    }
    site.ssh(worker, f"ip route add 10.42.2.0/24 via {other.address}")
    assert reached(site, worker, worker.address, there, [8080]) == {8080}
    assert reached(site, worker, stranger(site), there, [8080]) == set()


def test_a_node_port_is_let_through_to_its_pod_and_nothing_else_of_it(site: Site) -> None:
    server, other, worker = site.hosts
    rule = f"ip daddr {other.address} tcp dport {{ 30080, 8081 }} dnat to 10.42.2.2:8080"
    site.ssh(
        other,
        "nft add table ip services && nft 'add chain ip services in { type nat hook prerouting priority dstnat; }'"
        f" && nft 'add rule ip services in {rule}'",
    )
    assert reached(site, worker, stranger(site), other.address, [30080, 8081]) == {30080}
    site.ssh(other, "nft delete table ip services")
    assert server.address


@pytest.mark.parametrize(
    "variables",
    [{"hardening_ssh_settings": {"AllowUsers": "nobody"}}, {"hardening_ssh_ports": [2222]}],
    ids=["ssh", "firewall"],
)
def test_a_configuration_that_lets_nobody_in_is_taken_back(site: Site, variables: dict[str, object]) -> None:
    first = site.hosts[0]
    before = ways_in(site, first)
    run = harden(site, cmdline=f"--limit {first.name}", **variables)
    assert run.rc != 0
    assert any(
        "did not let a fresh login in" in text and "The old one is back in place" in text for text in run.failures
    )
    assert ways_in(site, first) == before
    assert site.ssh(first, "ls /var/lib/holdfast/dead-man-switch; ls /etc/systemd/system | grep restore; true") == ""
    must(harden(site, cmdline=f"--limit {first.name}"))


def test_a_setting_that_sshd_does_not_know_never_gets_to_it(site: Site) -> None:
    first = site.hosts[0]
    before = ways_in(site, first)
    run = harden(site, cmdline=f"--limit {first.name}", hardening_ssh_settings={"PermitRootLogins": "no"})
    assert any("Bad configuration option: PermitRootLogins" in text for text in run.failures)
    assert ways_in(site, first) == before


def test_a_setting_that_another_file_overrides_is_told(site: Site) -> None:
    first = site.hosts[0]
    site.ssh(first, "echo 'X11Forwarding yes' > /etc/ssh/sshd_config.d/00-a.conf")
    run = harden(site, cmdline=f"--limit {first.name}")
    site.ssh(first, "rm /etc/ssh/sshd_config.d/00-a.conf")
    assert any("other settings come first: X11Forwarding is yes" in text for text in run.failures)


def test_a_node_whose_controller_vanishes_puts_the_old_ways_back_by_itself(site: Site) -> None:
    first = site.hosts[0]
    before = ways_in(site, first)
    playbook = scratch_playbook(
        site.folder,
        """
        - name: Arm
          holdfast.edge.dead_man_switch:
            name: ways-in
            state: armed
            seconds: 15
            files: [/etc/ssh/sshd_config.d/00-holdfast.conf, /etc/ssh/sshd_config.d/01-new.conf]
            commands: [systemctl reload ssh]
        - name: Close the door, and vanish
          ansible.builtin.shell: |
            test -e /var/lib/holdfast/dead-man-switch/ways-in/restore || exit 1
            echo 'AllowUsers nobody' | tee /etc/ssh/sshd_config.d/01-new.conf > /etc/ssh/sshd_config.d/00-holdfast.conf
            systemctl reload ssh
          changed_when: true
        """,
    )
    must(site.run(playbook))
    assert not _gets_in(site)
    deadline = time.monotonic() + 60
    while not _gets_in(site):
        assert time.monotonic() < deadline, "the node never put its ways in back"
        time.sleep(0.2)
    assert ways_in(site, first) == before
    site.ssh(first, "test ! -e /etc/ssh/sshd_config.d/01-new.conf")


def _gets_in(site: Site) -> bool:
    return subprocess.run(ssh_command(site.host_set, site.hosts[0], ["true"]), check=False).returncode == 0


def test_a_firewall_that_somebody_changed_is_loaded_anew_and_others_are_left_alone(site: Site) -> None:
    first = site.hosts[0]
    site.ssh(first, "nft insert rule inet holdfast input tcp dport 8080 accept")
    run = must(harden(site, cmdline=f"--limit {first.name}"))
    assert run.changed[first.name] > 0
    assert "8080" not in site.ssh(first, "nft list table inet holdfast")
    assert "chain kept" in site.ssh(first, "nft list table inet other")


def test_a_host_keeps_its_firewall_over_a_reboot(site: Site) -> None:
    worker = site.hosts[2]
    inflict(site.host_set.name, worker.name, "reboot")
    run = must(harden(site, cmdline=f"--limit {worker.name}"))
    assert run.changed.get(worker.name, 0) == 0


def test_packages_that_cannot_be_had_are_named(site: Site) -> None:
    first = site.hosts[0]
    run = harden(site, cmdline=f"--limit {first.name}", hardening_packages=["auditd", "sudo"])
    assert any("lacks the packages auditd, and its package sources did not give" in text for text in run.failures)


def test_what_only_a_machine_can_have_is_refused_by_a_container_and_never_passed_over(site: Site) -> None:
    run = harden(site, hardening_kernel=True)
    assert any("it is a container (docker)" in text and "hardening_kernel: false" in text for text in run.failures), (
        run.failures
    )


def test_a_parameter_that_the_kernel_lacks_is_an_error_that_names_it(site: Site) -> None:
    run = harden(site, cmdline=f"--limit {site.hosts[0].name}", hardening_sysctl={"net.ipv4.no_such_thing": 1})
    assert any("net.ipv4.no_such_thing = 1 (there is no such parameter in it)" in text for text in run.failures)
    must(harden(site, cmdline=f"--limit {site.hosts[0].name}"))


def test_an_operator_gets_an_account_that_is_root_without_a_password(site: Site) -> None:
    first = site.hosts[0]
    key = (site.host_set.key.parent / "id_ed25519.pub").read_text(encoding="utf-8").strip()
    wanted = {"hardening_operator": "keeper", "hardening_operator_keys": [key]}
    told = must(harden(site, cmdline=f"--limit {first.name} --check", **wanted))
    assert told.changed[first.name] > 0
    must(harden(site, cmdline=f"--limit {first.name}", **wanted))
    again = must(harden(site, cmdline=f"--limit {first.name} -u keeper -b", **wanted))
    assert again.changed.get(first.name, 0) == 0
    assert "99999" in site.ssh(first, "getent shadow keeper")
