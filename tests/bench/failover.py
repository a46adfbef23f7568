# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients notice when a node fails under their answers: `make bench-failover`.

Three nodes and what is in front of them, each a process on loopback; each node is killed, paused and cut off in turn
under a load of streams and of plain requests. The rival in the same run is HAProxy as the documentation of k3s
configures it, before the same nodes. Then the holder of a site's address, on hosts: `holder.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.bench import holder
from tests.bench.noticed import Asked, Try, sum_up
from tests.bench.relay import Relay
from tests.inference.gateway import node_process
from tests.inference.gateway.asking import body
from tests.inference.gateway.real_nodes import MODEL, NAMES, Site, free_port, real_nodes
from tests.inference.server.running import wait_until

FAULTS = ("kill", "pause", "cut")
STREAMS, QUESTIONS = 3, 4
EVERY_SECONDS = 0.1
BEFORE_SECONDS = 3.0
HAPROXY = """
global
    maxconn 2000
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    option tcp-check
    balance roundrobin
    default-server inter 10s downinter 5s
{servers}
"""


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Load:
    """Streams one after the other from a few clients, and plain requests at a steady rate, whatever became of them."""

    def __init__(self, url: str, key: str, wanted: dict[int, str]) -> None:
        self._headers, self._wanted = {"x-api-key": key}, wanted
        self._stop = threading.Event()
        self.streams: list[Asked] = []
        self.plain: list[Asked] = []
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.Client(base_url=url, headers=self._headers, timeout=20, limits=limits)
        self._threads = [threading.Thread(target=self._streaming, args=(number,)) for number in range(STREAMS)]
        self._threads.append(threading.Thread(target=self._asking))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._client.close()

    def _streaming(self, number: int) -> None:
        while not self._stop.is_set():
            number += 1
            one = Asked(time.monotonic())
            self.streams.append(one)
            self._note(one, functools.partial(self._is_right, number % QUESTIONS, one.moments))

    def _is_right(self, number: int, moments: list[float]) -> bool:
        return _streamed(self._client, number, moments) == self._wanted[number]

    def _asking(self) -> None:
        open_threads = []
        while not self._stop.wait(EVERY_SECONDS):
            one = Asked(time.monotonic())
            self.plain.append(one)
            thread = threading.Thread(target=self._ask, args=(one,))
            thread.start()
            open_threads.append(thread)
        for thread in open_threads:
            thread.join()

    def _ask(self, one: Asked) -> None:
        asked = body("greedy", 0, max_tokens=8)
        self._note(one, lambda: self._client.post("/v1/chat/completions", json=asked).raise_for_status().is_success)

    @staticmethod
    def _note(one: Asked, ask: Callable[[], bool]) -> None:
        try:
            one.right = ask()
        except httpx.HTTPStatusError as error:
            one.error = str(error.response.status_code)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            one.error = type(error).__name__
        one.ended = time.monotonic()


def _streamed(client: httpx.Client, number: int, moments: list[float]) -> str:
    """The text of a stream that ended as one should."""
    text, finished = "", False
    asked = body("seeded", number) | {"stream": True}
    with client.stream("POST", "/v1/chat/completions", json=asked) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            if line.startswith("data: {"):
                moments.append(time.monotonic())
                choice = json.loads(line[6:])["choices"][0]
                text += choice["delta"].get("content") or ""
            finished = finished or line == "data: [DONE]"
    if not finished:
        raise ValueError("it broke off")
    return text


class Bed:
    """The nodes behind their relays."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.relays = {name: Relay(site.ports[name], site.beats[name]) for name in NAMES}
        with site.client("a") as client:
            self.wanted = {number: _streamed(client, number, []) for number in range(QUESTIONS)}

    def break_it(self, name: str, fault: str) -> None:
        if fault == "cut":
            self.relays[name].cut()
        else:
            self.site.send(name, signal.SIGKILL if fault == "kill" else signal.SIGSTOP)

    def mend(self, name: str, fault: str) -> None:
        if fault == "cut":
            self.relays[name].mend()
        elif fault == "pause":
            self.site.send(name, signal.SIGCONT)
        else:
            self.site.processes[name].join(10)
            self.site.start_node(name)
        self.site.wait_for(name)

    def close(self) -> None:
        for relay in self.relays.values():
            relay.close()


@contextlib.contextmanager
def gateway(bed: Bed) -> Iterator[tuple[str, str]]:
    """Ours, with its default patience."""
    site, name = bed.site, "gateway"
    entries = [
        {"name": node, "url": f"http://127.0.0.1:{relay.tcp}", "heartbeat_port": relay.udp}
        for node, relay in bed.relays.items()
    ]
    (site.folder / "nodes.json").write_text(json.dumps({"nodes": entries}), encoding="utf-8")
    site.ports[name] = free_port()
    settings = site.folder / "gateway.toml"
    settings.write_text(
        f'port = {site.ports[name]}\n[models]\n{MODEL} = "{site.model}"\n[access]\n'
        f'keys_file = "{site.folder}/client-keys"\n[gateway]\nnode_key_file = "{site.folder}/node-key"\n'
        f'heartbeat_key_file = "{site.folder}/beats"\nnodes_file = "{site.folder}/nodes.json"\n',
        encoding="utf-8",
    )
    site._start(name, node_process.gateway, (settings, site.folder / "gateway.log"), {})
    site.wait_for(name)
    wait_until(lambda: all(site.told().get(f"node_beating/{node}") for node in NAMES), 60)
    yield site.url(name), site.client_key


@contextlib.contextmanager
def haproxy(bed: Bed, program: str) -> Iterator[tuple[str, str]]:
    """The rival; clients have the nodes' own key, since it knows of none."""
    port = free_port()
    servers = "\n".join(f"    server {name} 127.0.0.1:{relay.tcp} check" for name, relay in bed.relays.items())
    path = bed.site.folder / "haproxy.cfg"
    path.write_text(HAPROXY.format(port=port, servers=servers), encoding="utf-8")
    with subprocess.Popen([program, "-db", "-f", str(path)], stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_ready(url), 20)
            yield url, bed.site.node_key
        finally:
            process.terminate()


def is_ready(url: str) -> bool:
    """Whether somebody listens there, and has a node that is ready."""
    try:
        return httpx.get(f"{url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def try_fault(bed: Bed, front: tuple[str, str], name: str, fault: str, lasting: float) -> Try:
    """What was asked, and when the fault began."""
    with Load(*front, bed.wanted) as load:
        time.sleep(BEFORE_SECONDS)
        begun = time.monotonic()
        bed.break_it(name, fault)
        time.sleep(lasting)
        if fault == "pause":
            # Else its clients would wait for it for as long as it sleeps.
            bed.mend(name, fault)
    if fault != "pause":
        bed.mend(name, fault)
    time.sleep(1.0)
    return Try(begun, begun, load.plain, load.streams)


def measure(bed: Bed, front: tuple[str, str], who: str, rounds: int, lasting: float) -> dict[str, Any]:
    told = {}
    for fault in FAULTS:
        tries = []
        for number in range(rounds):
            name = NAMES[number % len(NAMES)]
            say(f"{who}, round {number + 1}: {fault} {name}")
            tries.append(try_fault(bed, front, name, fault, lasting))
        told[fault] = sum_up(tries)
    return told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="of each kind of fault (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, help="that a fault lasts (default: %(default)s)")
    parser.add_argument("--no-rival", action="store_true", help="leave the rival out, and say null for it")
    parser.add_argument(
        "--holder-rounds", type=int, default=3, help="the same on hosts; 0: none (default: %(default)s)"
    )
    options = parser.parse_args()
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None and not options.no_rival:
        print("HAProxy is not here; `apt-get install haproxy` brings it, --no-rival leaves it out.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder, real_nodes(Path(folder)) as site:
        bed = Bed(site)
        try:
            with gateway(bed) as front:
                ours = measure(bed, front, "Holdfast", options.rounds, options.seconds)
            theirs = None
            if program is not None and not options.no_rival:
                with haproxy(bed, program) as front:
                    theirs = measure(bed, front, "HAProxy", options.rounds, options.seconds)
        finally:
            bed.close()
    told = {"bench": "failover", "by_fault": ours, "rounds": options.rounds, "rival": theirs, "vip_holder": None}
    if options.holder_rounds:
        ours, theirs = holder.measure(options.holder_rounds, not options.no_rival, say)
        told["vip_holder"] = ours | {"rounds": options.holder_rounds, "rival": theirs}
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
