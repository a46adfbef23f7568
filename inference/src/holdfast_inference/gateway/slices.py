# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Who belongs to the site: Kubernetes' EndpointSlices, and the last list on disk while the API is away.

The list says who there is, not who is well: an endpoint that Kubernetes calls not ready is kept, since heartbeats know
that sooner and better.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from holdfast_inference.gateway.nodes import Member
from holdfast_inference.gateway.settings import GatewaySettings, Kubernetes
from holdfast_inference.gateway.wire import BadWire, lines_of

log = logging.getLogger(__name__)

TakeList = Callable[[Iterable[Member]], None]

WATCH_SECONDS, LATE_SECONDS = 30.0, 5.0
"""How long a watch is asked for, and how much later its end may come: so soon an API server is missed that died without
a word."""
CONNECT_SECONDS = 3.0
AGAIN_SECONDS, AGAIN_SECONDS_MOST = 0.5, 15.0
PAUSE_SECONDS = 0.1
SERVICE_LABEL = "kubernetes.io/service-name"
GONE = 410


class ListGone(Exception):  # noqa: N818 - Kubernetes says so, and asking for a new list is the cure
    """What the API said ends here; the list has to be asked anew."""


async def follow_list(settings: GatewaySettings, take: TakeList) -> None:
    """Read the last list, then follow Kubernetes for as long as this is not cancelled."""
    if settings.nodes_file is not None:
        take(read_nodes(settings.nodes_file))
    if settings.kubernetes is None:
        return

    def taken(members: list[Member]) -> None:
        take(members)
        # No nodes at all is what a mistaken label or a deleted service says; the next start must not believe it.
        if settings.nodes_file is not None and members:
            try:
                write_nodes(settings.nodes_file, members)
            except OSError as error:
                log.error("the list of nodes cannot be kept", extra={"reason": str(error)})

    await Slices(settings.kubernetes, settings.heartbeat_port, taken).follow()


def read_nodes(path: Path) -> list[Member]:
    """The last list; none where there is none that can be read."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["nodes"]
        return [Member(str(entry["name"]), str(entry["url"]), int(entry["heartbeat_port"])) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.error("the last list of nodes is no use", extra={"path": str(path), "reason": str(error)})
        return []


def write_nodes(path: Path, members: Iterable[Member]) -> None:
    """Keep a list, whole or not at all: the power may fail at any moment."""
    entries = [{"name": member.name, "url": member.url, "heartbeat_port": member.heartbeat_port} for member in members]
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"nodes": entries}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def members_of(slices: Iterable[Mapping[str, Any]], wanted: Kubernetes, heartbeat_port: int) -> list[Member]:
    """The nodes that the slices of a service name, each once."""
    found: dict[str, Member] = {}
    for part in slices:
        ports = {port.get("name"): port.get("port") for port in part.get("ports") or ()}
        port = ports.get(wanted.port)
        if port is None or part.get("addressType") not in ("IPv4", "IPv6"):
            continue
        for endpoint in part.get("endpoints") or ():
            for address in endpoint.get("addresses", ())[:1]:
                host = f"[{address}]" if part["addressType"] == "IPv6" else address
                target = (endpoint.get("targetRef") or {}).get("name")
                name = target or endpoint.get("hostname") or endpoint.get("nodeName") or address
                url = f"{wanted.scheme}://{host}:{port}"
                found.setdefault(url, Member(str(name), url, int(ports.get("heartbeat") or heartbeat_port)))
    return sorted(found.values(), key=lambda member: (member.name, member.url))


class Slices:
    """Follows the slices of one service."""

    def __init__(self, wanted: Kubernetes, heartbeat_port: int, take: Callable[[list[Member]], None]) -> None:
        self._wanted = wanted
        self._heartbeat_port = heartbeat_port
        self._take = take
        self._slices: dict[str, Mapping[str, Any]] = {}
        self._told: list[Member] | None = None
        self._again = AGAIN_SECONDS

    async def follow(self) -> None:
        """List, then watch; and again from the list whenever that ends otherwise than in order."""
        while True:
            try:
                await self._list_and_watch()
            except (httpx.HTTPError, BadWire, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                told = {"reason": f"{type(error).__name__}: {error}", "again_in_seconds": round(self._again, 1)}
                log.warning("Kubernetes' API does not tell the nodes; the last list stays in force", extra=told)
                await asyncio.sleep(self._again * random.uniform(0.5, 1.0))
                self._again = min(2 * self._again, AGAIN_SECONDS_MOST)
            except ListGone:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _list_and_watch(self) -> None:
        # Made anew for each list, so that an exchanged authority is used.
        context = await asyncio.to_thread(self._context)
        timeout = httpx.Timeout(WATCH_SECONDS + LATE_SECONDS, connect=CONNECT_SECONDS)
        async with httpx.AsyncClient(verify=context, timeout=timeout, trust_env=False) as client:
            response = await client.get(self._url(), params=self._query(), headers=self._headers(), timeout=10.0)
            listed = response.raise_for_status().json()
            self._slices = {item["metadata"]["name"]: item for item in listed["items"]}
            self._tell()
            version = str(listed["metadata"]["resourceVersion"])
            while True:
                version = await self._watch(client, version)
                # An API that ends each watch at once must not be asked without end.
                await asyncio.sleep(PAUSE_SECONDS)

    async def _watch(self, client: httpx.AsyncClient, version: str) -> str:
        """One watch, from a version to the last one that was told."""
        query = self._query() | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(round(WATCH_SECONDS)),
        }
        async with client.stream("GET", self._url(), params=query, headers=self._headers()) as response:
            if response.status_code == GONE:
                raise ListGone
            response.raise_for_status()
            async for line in lines_of(response.aiter_bytes()):
                if line:
                    version = self._understand(json.loads(line), version)
                    self._again = AGAIN_SECONDS
        return version

    def _understand(self, event: Mapping[str, Any], version: str) -> str:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise ListGone
        if kind == "DELETED":
            self._slices.pop(item["metadata"]["name"], None)
        elif kind in ("ADDED", "MODIFIED"):
            self._slices[item["metadata"]["name"]] = item
        if kind != "BOOKMARK":
            self._tell()
        return str(item["metadata"]["resourceVersion"])

    def _tell(self) -> None:
        members = members_of(self._slices.values(), self._wanted, self._heartbeat_port)
        if members != self._told:
            log.info("the site's nodes changed", extra={"nodes": [member.name for member in members]})
            self._told = members
            self._take(members)

    def _url(self) -> str:
        namespace = self._wanted.namespace or self._account_file("namespace")
        base = self._wanted.url or _api_url(os.environ)
        return f"{base.rstrip('/')}/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"

    def _query(self) -> dict[str, str]:
        return {"labelSelector": f"{SERVICE_LABEL}={self._wanted.service}"}

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._account_file('token')}", "Accept": "application/json"}

    def _account_file(self, name: str) -> str:
        return (self._wanted.account / name).read_text(encoding="utf-8").strip()

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._wanted.account / "ca.crt")


def _api_url(environment: Mapping[str, str]) -> str:
    host = environment["KUBERNETES_SERVICE_HOST"]
    bracketed = f"[{host}]" if ":" in host else host
    return f"https://{bracketed}:{environment.get('KUBERNETES_SERVICE_PORT', '443')}"
