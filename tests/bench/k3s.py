# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a k3s binary starts, how fast an agent joins it, and what three idle servers cost: `make bench-k3s`.

The binary is $K3S_BINARY with its air-gap images beside it, as for the contract tests; etcd runs before the clock
starts. The stand-in is built for the measure by the bundle: cold with empty caches in a folder of its own, then warm.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import yaml

from dev.bundle import bundle_wishes
from dev.paths import CACHE, ROOT
from tests.k3s_contract.etcd import Store
from tests.k3s_contract.inputs import InputError, read_inputs
from tests.k3s_contract.node import Node
from tests.k3s_contract.site import TOKEN, Site, datastore, datastore_files, in_parallel, lean, make_site, wait_ready
from tests.playbook import run_playbook

PRODUCTS = ("k3s", "k3s-airgap-images")
SETTLE_SECONDS, IDLE_SECONDS = 30, 60
TICKS = 100


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def configure(node: Node, store: Store) -> None:
    """Make a server of the node, lean but with its own agent."""
    node.configure({**lean(node), **datastore(store), "token": TOKEN}, files=datastore_files(store))


def ready_seconds(servers: tuple[Node, ...]) -> float:
    """Start all at once and wait until each has said READY and every node is Ready."""
    started = time.monotonic()
    in_parallel(lambda server: server.start(), servers)
    in_parallel(lambda server: server.wait_active(), servers)
    wait_ready(servers[0], {server.name for server in servers})
    return round(time.monotonic() - started, 1)


def join_seconds(agent: Node, server: Node) -> float:
    """Start an agent that has the images and wait until its node is Ready."""
    agent.configure({"server": f"https://{server.address}:6443", "token": TOKEN, "kubelet-arg": agent.host_arguments()})
    started = time.monotonic()
    agent.start()
    agent.wait_active()
    wait_ready(server, {agent.name})
    return round(time.monotonic() - started, 1)


def used_ticks(server: Node) -> int:
    """Return the processor time that the service's own processes have used so far."""
    files = " ".join(f"/proc/{pid}/stat" for pid in server.processes())
    lines = server.attempt(f"cat {files} 2>/dev/null").stdout.splitlines()
    # A program's name may hold spaces, so the fields are counted from behind its bracket.
    fields = [line.rpartition(")")[2].split() for line in lines]
    return sum(int(one[11]) + int(one[12]) for one in fields)


def idle_cores(servers: tuple[Node, ...]) -> float:
    """Return how many cores all servers' own processes keep busy while nobody asks anything of them."""
    time.sleep(SETTLE_SECONDS)
    before, started = sum(map(used_ticks, servers)), time.monotonic()
    time.sleep(IDLE_SECONDS)
    after = sum(map(used_ticks, servers))
    return round((after - before) / TICKS / (time.monotonic() - started), 3)


def resident_megabytes(server: Node) -> int:
    """Return the memory of one server's own processes, pages that they share counted once."""
    files = " ".join(f"/proc/{pid}/smaps_rollup" for pid in server.processes())
    said = server.run(f"cat {files} 2>/dev/null | awk '/^Pss:/ {{ sum += $2 }} END {{ print int(sum / 1024) }}'")
    return int(said)


def stand_in_wishes(cache: Path) -> dict[str, object]:
    """Ask of bundle.yml for the stand-in in both minors and what it is made of, and for nothing else."""
    wishes = bundle_wishes(cache)
    catalogues = [ROOT / "roles/bundle/files/artifacts.yml", *map(Path, wishes["bundle_more_catalogues"])]
    entries = [entry for path in catalogues for entry in yaml.safe_load(path.read_text())["bundle_artifacts"]]
    return {**wishes, "bundle_without": sorted({entry["name"] for entry in entries} - set(PRODUCTS))}


def build_seconds(cache: Path) -> float:
    """Return how long bundle.yml takes to have the stand-in ready on that cache."""
    started = time.monotonic()
    run = run_playbook("playbooks/bundle.yml", extravars=stand_in_wishes(cache), quiet=False)
    if run.rc != 0:
        raise SystemExit("bench: the stand-in was not built; the reason is above")
    return round(time.monotonic() - started, 1)


def build_times() -> dict[str, float]:
    """Build from nothing, and once more with all that the first build kept."""
    empty = CACHE / "bench-cold-k3s"
    shutil.rmtree(empty, ignore_errors=True)
    try:
        return {"cold": build_seconds(empty), "warm": build_seconds(empty)}
    finally:
        shutil.rmtree(empty, ignore_errors=True)


def measure(site: Site) -> dict[str, object]:
    """Measure one server alone, then three with an agent."""
    alone = Store(site.store_host, "alone", 2479)
    alone.start()
    configure(site.solo, alone)
    say("One server on an existing etcd (usually 15 to 40 s).")
    one = ready_seconds((site.solo,))
    site.solo.wipe()
    alone.stop()
    store = Store(site.store_host, "three", 2379, members=3)
    store.start()
    in_parallel(lambda server: configure(server, store), site.servers)
    say("Three servers on an existing etcd (usually 20 to 40 s).")
    three = ready_seconds(site.servers)
    say("An agent joins (usually 5 to 15 s).")
    joined = join_seconds(site.agent, site.servers[0])
    say(f"Three servers idle ({SETTLE_SECONDS + IDLE_SECONDS} s).")
    return {
        "server_ready_s": one,
        "three_servers_ready_s": three,
        "agent_join_s": joined,
        "idle_cpu_cores_3_servers": idle_cores(site.servers),
        "rss_mb_server": resident_megabytes(site.servers[0]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.k3s", description=__doc__)
    parser.add_argument("--no-build", action="store_true", help="leave the builds out, and say null for them")
    options = parser.parse_args()
    try:
        inputs = read_inputs()
    except InputError as error:
        parser.error(str(error))
    with make_site(inputs) as site:
        measured = measure(site)
    build = {"cold": None, "warm": None} if options.no_build else build_times()
    print(json.dumps({"bench": "k3s", **measured, "build_s": build}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
