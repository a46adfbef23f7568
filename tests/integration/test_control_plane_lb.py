# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of the API on real servers: what stands behind it, who holds it, and what changing it costs."""

from __future__ import annotations

import csv
import io
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.history.client import Client, Way
from tests.history.gaps import longest_gap
from tests.history.probe import Probe
from tests.history.site_faults import SiteUnderFaults
from tests.hosts import Host
from tests.integration.kubernetes_remote import wait_until
from tests.playbook import Run

FOLDER = "/etc/holdfast/control_plane_lb"
PLAY = """---
- name: Give the API one address
  hosts: servers
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Include the role
      ansible.builtin.include_role:
        name: holdfast.edge.control_plane_lb
"""
STATS = "printf 'show stat\\n' | socat - UNIX-CONNECT:/run/haproxy/admin.sock"


@pytest.fixture(scope="module")
def play(served: SiteUnderFaults) -> Path:
    """A playbook of this one role."""
    path = served.site.folder / "control-plane-lb.yml"
    path.write_text(PLAY, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def well(served: SiteUnderFaults) -> Iterator[None]:
    """Each test begins and ends with a site that is well."""
    served.wait_well()
    yield
    served.wait_well()


@pytest.fixture
def holder(served: SiteUnderFaults) -> Host:
    """The server that has the address now."""
    return served.target("vip")


def apply(served: SiteUnderFaults, play: Path, cmdline: str = "", **extravars: Any) -> Run:
    return served.site.run(play, cmdline=cmdline, **extravars)


def stats(served: SiteUnderFaults, host: Host) -> dict[str, dict[str, str]]:
    """What the balancer of one node says of each server."""
    said = served.site.ssh(host, STATS).lstrip("# ")
    return {row["svname"]: row for row in csv.DictReader(io.StringIO(said)) if row["pxname"] == "servers"}


def up(served: SiteUnderFaults, host: Host) -> set[str]:
    """The servers that the balancer of one node sends clients to."""
    return {name for name, row in stats(served, host).items() if row["status"] == "UP" and name != "BACKEND"}


def worker(served: SiteUnderFaults, host: Host) -> str:
    """The processes that carry connections: the oldest is on its way out after a reload."""
    return served.site.ssh(host, "pgrep -u haproxy -n haproxy").strip()


def main_process(served: SiteUnderFaults, host: Host, unit: str) -> str:
    return served.site.ssh(host, f"systemctl show -p MainPID --value {unit}").strip()


def test_a_second_run_changes_nothing(served: SiteUnderFaults, play: Path) -> None:
    run = apply(served, play)
    assert (run.rc, sum(run.changed.values())) == (0, 0), run.failures


def test_every_node_waits_at_the_address_and_one_has_it(served: SiteUnderFaults) -> None:
    for host in served.site.servers:
        assert f"{served.vip}:7443" in served.site.ssh(host, "ss -Hltn")
    assert len(served.holders()) == 1


def said_yes(served: SiteUnderFaults, host: Host) -> set[str]:
    return {name for name, row in stats(served, host).items() if row["check_code"] == "200"}


def test_each_server_was_asked_with_a_certificate_and_said_yes(served: SiteUnderFaults) -> None:
    names = {host.name for host in served.site.servers}
    # A server that is busy may miss a question; it is asked again within half a second.
    wait_until("each server said yes", lambda: all(said_yes(served, host) == names for host in served.site.servers), 15)
    ssl = served.site.ssh(served.site.servers[0], f"grep -o 'verify required verifyhost [^ ]*' {FOLDER}/haproxy.cfg")
    assert ssl.strip() == "verify required verifyhost kubernetes.default.svc"


def test_it_runs_as_its_own_user_behind_a_socket_for_root(served: SiteUnderFaults) -> None:
    host = served.site.servers[0]
    assert worker(served, host)
    assert served.site.ssh(host, "stat -c '%a %U' /run/haproxy/admin.sock").split() == ["600", "root"]
    assert served.site.ssh(host, "systemctl is-enabled haproxy keepalived").split() == ["enabled", "enabled"]


def test_check_mode_tells_what_drifted_and_writes_nothing(served: SiteUnderFaults, play: Path) -> None:
    host = served.site.servers[1]
    served.site.ssh(host, f"sed -i 's/fall 2/fall 9/' {FOLDER}/haproxy.cfg")
    before = main_process(served, host, "haproxy")
    told = apply(served, play, "--check --diff")
    assert told.rc == 0, told.failures
    assert set(told.changed) == {host.name}
    assert "fall 9" in told.stdout
    assert "fall 9" in served.site.ssh(host, f"cat {FOLDER}/haproxy.cfg")
    mended = apply(served, play)
    assert (mended.rc, set(mended.changed)) == (0, {host.name})
    assert main_process(served, host, "haproxy") == before, "a reload was enough"


def test_a_run_for_one_node_is_safe(served: SiteUnderFaults, play: Path) -> None:
    host = served.site.servers[2]
    run = apply(served, play, f"--limit {host.name}")
    assert (run.rc, sum(run.changed.values()), set(run.ok)) == (0, 0, {host.name})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"control_plane_lb_vip": "edge.example"}, 'control_plane_lb_vip is "edge.example", which is no IPv4 address'),
        ({"control_plane_lb_port": 6443}, "control_plane_lb_port is 6443, where k3s itself listens on every address"),
        ({"control_plane_lb_advert_ms": 5}, "control_plane_lb_advert_ms is 5; take 50 to 1000"),
        ({"control_plane_lb_authentication": "ah"}, "its kernel has no IPsec authentication header (module ah4)"),
        ({"control_plane_lb_k3s_data_path": "/nowhere"}, "run the role k3s_server first"),
        ({"control_plane_lb_idle_timeout": "soon"}, "was refused by /usr/sbin/haproxy"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(
    served: SiteUnderFaults, play: Path, variables: dict[str, object], message: str
) -> None:
    before = [served.site.ssh(host, f"cat {FOLDER}/*.c*") for host in served.site.servers]
    run = apply(served, play, "", **variables)
    assert run.rc != 0
    assert message in "\n".join(run.failures)
    assert "Nothing was changed" in "\n".join(run.failures)
    assert [served.site.ssh(host, f"cat {FOLDER}/*.c*") for host in served.site.servers] == before


def test_the_address_of_a_server_is_no_address_for_the_api(served: SiteUnderFaults, play: Path) -> None:
    one = served.site.servers[0]
    run = apply(served, play, "", control_plane_lb_vip=one.address)
    assert f"control_plane_lb_vip is the address of {one.name}; take a free one" in "\n".join(run.failures)


def test_a_reload_keeps_a_watch_that_goes_through_the_address(served: SiteUnderFaults, holder: Host) -> None:
    way = Way(served.way.address, served.way.port, served.way.context)
    watch = Client(way, 30)
    lines: list[bytes] = []
    name = f"reload-{time.time_ns()}"

    def follow() -> None:
        answer = watch.open(f"/api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name={name}")
        lines.append(answer.readline())

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    time.sleep(0.5)
    before = worker(served, holder)
    served.site.ssh(holder, "systemctl reload haproxy")
    wait_until("a new worker", lambda: worker(served, holder) != before, 10)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    assert Client(way, 10).ask("POST", "/api/v1/namespaces/default/configmaps", body)[0] == 201
    thread.join(timeout=15)
    assert lines, "the watch was cut by the reload"
    assert b'"ADDED"' in lines[0]


def test_renewed_certificates_are_read(served: SiteUnderFaults) -> None:
    host = served.site.servers[0]
    before = worker(served, host)
    served.site.ssh(host, "touch /var/lib/rancher/k3s/server/tls/client-kube-proxy.crt")
    wait_until("the balancer reads its certificates again", lambda: worker(served, host) != before, 20)
    wait_until("all servers are up", lambda: len(up(served, host)) == len(served.site.servers), 20)


def test_it_serves_while_two_servers_are_down(served: SiteUnderFaults, holder: Host) -> None:
    others = [host for host in served.site.servers if host != holder]
    probe = Probe(served.way)
    probe.start()
    since = time.monotonic()
    try:
        for number, host in enumerate(others, start=1):
            served.site.ssh(host, "systemctl kill -s KILL k3s; systemctl stop k3s")
            left = len(served.site.servers) - number
            wait_until("the dead one is left", lambda left=left: len(up(served, holder)) == left, 10)  # type: ignore[misc]
        time.sleep(1)
    finally:
        probe.stop()
        for host in others:
            served.site.ssh(host, "systemctl start --no-block k3s")
    assert longest_gap(probe.answered, since, time.monotonic() - 1) <= 1.1
    assert served.holders() == [holder.name]


def test_a_balancer_that_dies_is_back_before_the_address_moves(served: SiteUnderFaults, holder: Host) -> None:
    probe = Probe(served.way)
    probe.start()
    time.sleep(0.5)
    since = time.monotonic()
    served.site.ssh(holder, "pkill -KILL -x haproxy")
    time.sleep(3)
    until = time.monotonic()
    probe.stop()
    assert longest_gap(probe.answered, since, until) <= 1.1
    assert served.holders() == [holder.name]


def test_a_node_without_a_balancer_gives_the_address_away_and_does_not_take_it_back(
    served: SiteUnderFaults, holder: Host
) -> None:
    served.site.ssh(holder, "systemctl stop haproxy")
    try:
        wait_until("another one has it", lambda: served.holders() not in ([], [holder.name]), 15)
        taken = served.holders()
    finally:
        served.site.ssh(holder, "systemctl start haproxy")
    time.sleep(4)
    assert served.holders() == taken, "who has the address keeps it"


def test_a_new_configuration_moves_nothing(served: SiteUnderFaults, play: Path, holder: Host) -> None:
    probe = Probe(served.way)
    probe.start()
    since = time.monotonic()
    run = apply(served, play, "", control_plane_lb_idle_timeout="3h", control_plane_lb_advert_ms=210)
    until = time.monotonic()
    probe.stop()
    assert run.rc == 0, run.failures
    assert longest_gap(probe.answered, since, until) <= 1.1
    assert served.holders() == [holder.name]
    assert apply(served, play).rc == 0


def test_a_stranger_cannot_take_the_address(served: SiteUnderFaults, holder: Host) -> None:
    # An advertisement of the highest priority, as a peer would send it, from an address that is no peer's.
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 112) as raw:
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        for _ in range(20):
            for host in served.site.servers:
                raw.sendto(advertisement(raw_source(host.address), host.address, served.vip), (host.address, 0))
            time.sleep(0.05)
    assert served.holders() == [holder.name]
    assert Client(served.way, 5).ask("GET", "/version")[0] == 200


def raw_source(address: str) -> str:
    """The address of this machine that a packet to there carries."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect((address, 9))
        return str(one.getsockname()[0])


def advertisement(source: str, target: str, vip: str, router_id: int = 51, priority: int = 254) -> bytes:
    """A VRRP packet of version 3."""
    packet = struct.pack("!BBBBHH", 0x31, router_id, priority, 1, 20, 0) + socket.inet_aton(vip)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 112, len(packet))
    total = sum(struct.unpack(f"!{len(pseudo + packet) // 2}H", pseudo + packet))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return packet[:6] + struct.pack("!H", ~total & 0xFFFF) + packet[8:]
