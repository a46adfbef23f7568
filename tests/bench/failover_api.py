# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the API cannot be written, and its address not reached, when a server fails: `make bench-failover-api`.

The rival runs on the same three servers in the same run: HAProxy and keepalived as the documentation of k3s shows them
("Cluster Load Balancer"), with a plain TCP check and default times, on the defaults of the package.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.bench.noticed import percentiles_ms
from tests.history.served import served_site
from tests.history.site_faults import SERVER_PORT, Seen, SiteUnderFaults
from tests.site import Site

ETCD_FAULTS = ("pause", "cut", "kill")
VIP_FAULTS = ("cut", "pause", "kill")
# Long enough for every time-out of the rival's defaults but that of a connection that is silent.
LASTING_SECONDS = 12.0
FOLDER = "/etc/haproxy-of-the-k3s-page"
HAPROXY = """
frontend front-{port}
    bind *:{port}
    mode tcp
    option tcplog
    default_backend back-{port}

backend back-{port}
    mode tcp
    option tcp-check
    balance roundrobin
    default-server inter 10s downinter 5s
{servers}
"""
KEEPALIVED = """
global_defs {{
  enable_script_security
  script_user root
}}

vrrp_script chk_haproxy {{
    script '/usr/bin/pgrep haproxy'
    interval 2
}}

vrrp_instance haproxy-vip {{
    interface eth0
    state {state}
    priority {priority}

    virtual_router_id 51

    virtual_ipaddress {{
        {vip}/24
    }}

    track_script {{
        chk_haproxy
    }}
}}
"""
UNIT = """[Unit]
After=network-online.target
[Service]
ExecStart={command}
RuntimeDirectory={name}
Restart=always
[Install]
WantedBy=multi-user.target
"""
STANDING = (("MASTER", 200), ("BACKUP", 100), ("BACKUP", 50))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def rival(faults: SiteUnderFaults, ports: Mapping[int, int]) -> Iterator[None]:
    """Put the rival in our place on all servers, with those ports and the ones behind them, and us back again."""
    site = faults.site
    fronts = "\n".join(HAPROXY.format(port=port, servers=_servers(site, behind)) for port, behind in ports.items())
    for host, (state, priority) in zip(site.servers, STANDING, strict=True):
        files = {
            f"{FOLDER}/more.cfg": fronts,
            f"{FOLDER}/keepalived.conf": KEEPALIVED.format(state=state, priority=priority, vip=faults.vip),
            "/etc/systemd/system/rival-haproxy.service": UNIT.format(
                name="haproxy", command=f"/usr/sbin/haproxy -W -db -f /etc/haproxy/haproxy.cfg -f {FOLDER}/more.cfg"
            ),
            "/etc/systemd/system/rival-keepalived.service": UNIT.format(
                name="rival-keepalived",
                command=f"/usr/sbin/keepalived --dont-fork --use-file {FOLDER}/keepalived.conf",
            ),
        }
        site.ssh(host, f"mkdir -p {FOLDER}")
        for path, text in files.items():
            site.ssh(host, f"cat > {path} <<'END'\n{text}\nEND")
        site.ssh(host, "systemctl daemon-reload; systemctl disable --now keepalived haproxy")
        site.ssh(host, "systemctl enable --now rival-haproxy rival-keepalived")
    try:
        faults.wait_well()
        yield
    finally:
        for host in site.servers:
            site.ssh(host, "systemctl disable --now rival-haproxy rival-keepalived")
            site.ssh(host, f"rm -rf {FOLDER} /etc/systemd/system/rival-*.service; systemctl daemon-reload")
            site.ssh(host, "systemctl enable --now haproxy keepalived")
        faults.wait_well()


def _servers(site: Site, port: int) -> str:
    return "\n".join(f"    server {host.name} {host.address}:{port} check" for host in site.servers)


def measure(faults: SiteUnderFaults, who: str, rounds: int) -> dict[str, object]:
    """Break leaders and holders of the address in turn, and sum up what clients saw."""
    etcd, vip = [], []
    for number in range(1, rounds + 1):
        etcd += [_try(faults, who, number, "leader", fault) for fault in ETCD_FAULTS]
        vip += [_try(faults, who, number, "vip", fault) for fault in VIP_FAULTS]
    return {
        "etcd_gap_ms": percentiles_ms([one.write_gap for one in etcd]),
        "vip_ms": percentiles_ms([one.vip_gap for one in vip]),
        "lost_writes": sum(len(one.verdict.lost) for one in (*etcd, *vip)),
    }


def _try(faults: SiteUnderFaults, who: str, number: int, role: str, fault: str) -> Seen:
    started = time.monotonic()
    one = faults.try_fault(role, fault, LASTING_SECONDS)
    say(
        f"{who}, round {number}: {role} {fault}: no write for {one.write_gap:.2f} s (election {one.election:.2f} s), "
        f"no answer at the address for {one.vip_gap:.2f} s, {one.verdict.acknowledged} writes acknowledged, "
        f"{len(one.verdict.lost)} lost ({time.monotonic() - started:.0f} s)"
    )
    return one


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.failover_api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="how often each of six faults (default: %(default)s)")
    parser.add_argument("--no-rival", action="store_true", help="leave the rival out, and say null for it")
    options = parser.parse_args()
    say("Building a site of three servers (usually 3 min).")
    with served_site(bare=True) as (faults, _built):
        ours = measure(faults, "Holdfast", options.rounds)
        theirs = None
        if not options.no_rival:
            with rival(faults, {7443: SERVER_PORT}):
                theirs = measure(faults, "rival", options.rounds)
    print(json.dumps({"bench": "failover-api", **ours, "rounds": options.rounds, "rival": theirs}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
