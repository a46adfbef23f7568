# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of hardening do on hosts: listeners, connections from chosen addresses, pods, what a run changed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.hosts import Host
from tests.playbook import Run
from tests.site import Site

STRANGER = 99
"""The last number of an address of the site's network that belongs to no node."""

PLAYBOOK = dedent("""\
    ---
    - name: Harden
      hosts: edge
      gather_facts: false
      any_errors_fatal: true
      roles: [holdfast.edge.hardening]
    """)

LISTEN = """
import socket, threading, sys
def serve(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port)); listener.listen(64)
    while True: listener.accept()[0].close()
for port in sys.argv[1:]: threading.Thread(target=serve, args=(int(port),)).start()
"""

CONNECT = """
import concurrent.futures, json, socket, sys
source, target, seconds, *ports = sys.argv[1:]
def reaches(port):
    try:
        socket.create_connection((target, int(port)), float(seconds), (source, 0)).close()
        return True
    except OSError:
        return False
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    print(json.dumps([port for port, open in zip(ports, pool.map(reaches, ports)) if open]))
"""

SEND = """
import socket, sys
protocol, source, target = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as sender:
    sender.bind((source, 0))
    sender.sendto(b"holdfast", (target, 0))
"""

RECEIVE = """
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_RAW, int(sys.argv[1])) as receiver:
    end = time.monotonic() + float(sys.argv[2])
    open(sys.argv[3], "w").close()
    with open(sys.argv[3], "a") as seen:
        while time.monotonic() < end:
            receiver.settimeout(max(0.01, end - time.monotonic()))
            try: seen.write(receiver.recvfrom(200)[1][0] + "\\n"); seen.flush()
            except TimeoutError: pass
"""


def python(program: str, *arguments: object, prefix: str = "") -> str:
    """A shell command that runs the program."""
    return f"{prefix} python3 -c {shlex.quote(program)} {' '.join(shlex.quote(str(item)) for item in arguments)}"


def background(site: Site, host: Host, name: str, command: str) -> None:
    """Start a program on the host that goes on by itself."""
    site.ssh(host, f"systemd-run --quiet --collect --unit {name} sh -c {shlex.quote(command)}")


def harden(site: Site, *, cmdline: str = "", **variables: Any) -> Run:
    """Run the role on all hosts of the site."""
    playbook = site.folder / "harden.yml"
    playbook.write_text(PLAYBOOK, encoding="utf-8")
    return site.run(playbook, cmdline=cmdline, **variables)


def must(run: Run) -> Run:
    """The run went well."""
    assert run.rc == 0, "\n".join(run.failures) or run.stdout[-3000:]
    return run


def reached(site: Site, host: Host, source: str, target: str, ports: Sequence[int], prefix: str = "") -> set[int]:
    """Which of the ports answer to that host when it speaks from that address."""
    said = site.ssh(host, python(CONNECT, source, target, 1.5, *ports, prefix=prefix))
    return {int(port.strip(' "[]')) for port in said.strip().split(",") if port.strip(' "[]')}


def pod(site: Site, host: Host, number: int, others: dict[int, Host]) -> str:
    """A network namespace with an address of pods behind a bridge as k3s makes it, and the ways to those of others."""
    address = f"10.42.{number}.2"
    lines = [
        "ip link add cni0 type bridge",
        f"ip address add 10.42.{number}.1/24 dev cni0",
        "ip link set cni0 up",
        "ip netns add pod",
        "ip link add pod0 type veth peer name eth0 netns pod",
        "ip link set pod0 master cni0 up",
        f"ip -n pod address add {address}/24 dev eth0",
        "ip -n pod link set eth0 up",
        "ip -n pod link set lo up",
        f"ip -n pod route add default via 10.42.{number}.1",
        *(f"ip route add 10.42.{other}.0/24 via {node.address}" for other, node in others.items()),
    ]
    site.ssh(host, " && ".join(lines))
    return address


def ways_in(site: Site, host: Host) -> str:
    """All that decides who gets in: what the ssh server says of itself, and what the kernel has of our table."""
    return site.ssh(
        host, "/usr/sbin/sshd -T; nft --stateless list table inet holdfast; cat /etc/holdfast/firewall/rules.nft"
    )


def fingerprint(site: Site, host: Host) -> str:
    """A digest of everything below /etc with its modes, of the rules in the kernel, and of what runs."""
    command = (
        "(find /etc /var/lib/holdfast -printf '%p %m %u %g %l\\n' 2>/dev/null | sort;"
        " find /etc -type f -exec sha256sum {} + | sort; nft list ruleset;"
        " sysctl -a 2>/dev/null | grep -E '^net.*(rp_filter|redirect)';"
        " systemctl list-units --no-legend --plain --type=service,timer,socket --state=active"
        " | awk '{print $1}' | sort) | sha256sum"
    )
    return site.ssh(host, command)


def scratch_playbook(folder: Path, tasks: str) -> Path:
    """A playbook with these tasks for the first host."""
    path = folder / "scratch.yml"
    head = "---\n- name: Scratch\n  hosts: edge[0]\n  gather_facts: false\n  tasks:\n"
    path.write_text(head + "".join(f"    {line}\n" for line in dedent(tasks).strip().splitlines()), encoding="utf-8")
    return path
