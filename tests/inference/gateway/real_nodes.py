# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site on loopback: nodes, each a process with a real engine and the same tiny model, and a gateway process before
them, as their programs start them."""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import os
import re
import secrets
import signal
import socket
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
from holdfast_inference.server.keys import new_key

from tests.inference.engine.asking import make_model
from tests.inference.server.running import wait_until

from . import node_process

MODEL = "tiny"
NAMES = ("a", "b", "c")
ROOT = Path(__file__).resolve().parents[3]
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.inference.gateway.node_process"])


def _start_forking() -> None:
    """The process that all others are forked from. It finds its modules by the environment alone."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "inference" / "src")))
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass
class Site:
    """The processes, by name, and what they were told. The gateway is one of them."""

    folder: Path
    model: Path
    node_key: str
    client_key: str
    mined: bool = False
    leaking: bool = False
    engine: str = "threads = 1"
    ports: dict[str, int] = field(default_factory=dict)
    beats: dict[str, int] = field(default_factory=dict)
    processes: dict[str, ForkServerProcess] = field(default_factory=dict)

    def start_node(self, name: str) -> None:
        """A node under this name; at the ports that it had before, if it had any."""
        port = self.ports.setdefault(name, free_port())
        beat = self.beats.setdefault(name, free_port(socket.SOCK_DGRAM))
        settings = self.folder / f"{name}.toml"
        settings.write_text(
            f'port = {port}\ndrain_seconds = 0.1\n[models]\n{MODEL} = "{self.model}"\n'
            f'[engine]\n{self.engine}\n[access]\nkeys_file = "{self.folder}/node-keys"\n'
            f'[heartbeat]\nkey_file = "{self.folder}/beats"\nport = {beat}\n',
            encoding="utf-8",
        )
        log = self.folder / f"{name}.log"
        self._start(name, node_process.node, (settings, log), {"mined": self.mined, "leaking": self.leaking})

    def start_gateway(self, table: str, name: str = "gateway") -> None:
        """A gateway; `table` is what its [gateway] says beside the keys and how patient it is."""
        port = self.ports.setdefault(name, free_port())
        settings = self.folder / f"{name}.toml"
        patience = "" if "patience_seconds" in table else "patience_seconds = 30\n"
        settings.write_text(
            f'port = {port}\ndrain_seconds = 0.1\n[models]\n{MODEL} = "{self.model}"\n'
            f'[access]\nkeys_file = "{self.folder}/client-keys"\n'
            # So patient that a busy machine is not taken for a dead node.
            f'[gateway]\nnode_key_file = "{self.folder}/node-key"\nheartbeat_key_file = "{self.folder}/beats"\n'
            f"stall_seconds = 8\nconnect_seconds = 4\n{patience}{table}\n",
            encoding="utf-8",
        )
        self._start(name, node_process.gateway, (settings, self.folder / f"{name}.log"), {})

    def _start(self, name: str, target: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _start_forking()
        process = _FORKING.Process(target=target, args=arguments, kwargs=named, daemon=True)
        # Else each process would import the program that runs the tests once more.
        runner, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = runner
        self.processes[name] = process

    def url(self, name: str = "gateway") -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def nodes_file(self, names: tuple[str, ...] = NAMES) -> Path:
        """The list as the gateway keeps it, made by hand."""
        path = self.folder / "nodes.json"
        entries = [{"name": name, "url": self.url(name), "heartbeat_port": self.beats[name]} for name in names]
        path.write_text(json.dumps({"nodes": entries}), encoding="utf-8")
        return path

    def client(self, name: str = "gateway", key: str | None = None) -> httpx.Client:
        chosen = key or (self.client_key if name.startswith("gateway") else self.node_key)
        limits = httpx.Limits(max_connections=None)
        return httpx.Client(base_url=self.url(name), headers={"x-api-key": chosen}, timeout=120, limits=limits)

    def is_ready(self, name: str = "gateway") -> bool:
        try:
            return httpx.get(f"{self.url(name)}/health/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def wait_for(self, *names: str) -> None:
        for name in names:
            wait_until(lambda name=name: self.is_ready(name), 60)  # type: ignore[misc]

    def revive(self, *names: str) -> None:
        """Nodes that serve again, whatever was done to them; one that was told to stop may take its time for it."""

        def is_back(name: str) -> bool:
            if not self.processes[name].is_alive():
                self.start_node(name)
            return self.is_ready(name)

        for name in names:
            wait_until(functools.partial(is_back, name), 60)

    def send(self, name: str, number: signal.Signals) -> None:
        process = self.processes[name]
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, number)

    def kill(self, name: str) -> None:
        """As if its plug was pulled, but for the connections, which the kernel resets."""
        self.send(name, signal.SIGKILL)
        self.processes[name].join(10)

    def told(self, name: str = "gateway") -> dict[str, float]:
        """The gateway's own metrics: `moved_total`, `node_ready/a` …"""
        with self.client(name) as client:
            lines = client.get("/metrics").text.splitlines()
        found = (re.fullmatch(r'holdfast_gateway_(\w+)(?:\{node="(\w+)"\})? (\S+)', line) for line in lines)
        return {f"{line[1]}/{line[2]}" if line[2] else line[1]: float(line[3]) for line in found if line}

    def log(self, name: str = "gateway") -> list[dict[str, Any]]:
        text = (self.folder / f"{name}.log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def stop(self) -> None:
        for name in self.processes:
            self.send(name, signal.SIGKILL)
        for process in self.processes.values():
            process.join(10)


@contextlib.contextmanager
def real_nodes(folder: Path, names: tuple[str, ...] = NAMES, model: Path | None = None, **told: Any) -> Iterator[Site]:
    """Nodes without a gateway until the end of the block."""
    node_key, node_line = new_key("gateway", priority=999)
    client_key, client_line = new_key("client")
    (folder / "node-keys").write_text(node_line, encoding="utf-8")
    (folder / "node-key").write_text(node_key, encoding="utf-8")
    (folder / "client-keys").write_text(client_line, encoding="utf-8")
    (folder / "beats").write_text(secrets.token_hex(32), encoding="utf-8")
    site = Site(folder, model or make_model(folder), node_key, client_key, **told)
    try:
        for name in names:
            site.start_node(name)
        site.wait_for(*names)
        yield site
    finally:
        site.stop()


@contextlib.contextmanager
def real_site(folder: Path, table: str = "", names: tuple[str, ...] = NAMES, **told: Any) -> Iterator[Site]:
    """Nodes and a gateway that knows them by its last list."""
    with real_nodes(folder, names, **told) as site:
        site.start_gateway(f'nodes_file = "{site.nodes_file(names)}"\n{table}')
        site.wait_for("gateway")
        wait_until(lambda: all(site.told().get(f"node_beating/{name}") for name in names), 20)
        yield site
