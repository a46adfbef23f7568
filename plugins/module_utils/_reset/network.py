# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, routes, namespaces and addresses that a cluster made on its node."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .owned import LINKS
from .system import System

POD_NETWORK = "10.42.0.0/16"


class Network:
    """What `ip` shows of ours; `addresses` are those that only the site gave to the node (its VIP)."""

    def __init__(self, system: System, addresses: Sequence[str] = ()) -> None:
        self._system = system
        self._addresses = frozenset(addresses)
        # Read now: the files that tell it are deleted before the last look.
        self._networks = pod_networks(self._tellers())

    def look(self) -> list[str]:
        return [
            " ".join(("route", *route[3:])) if route[1] == "route" else " ".join(route[1:2] + route[3:])
            for route in self._commands()
        ]

    def clear(self) -> None:
        for command in self._commands():
            self._system.run(command)
        self._forget_namespaces()

    def _forget_namespaces(self) -> None:
        """The folder that the first namespace brought goes with the last one."""
        folder = self._system.path("/run/netns")
        if folder.is_dir() and not any(folder.iterdir()):
            self._system.run(["umount", str(folder)])
            folder.rmdir()

    def _commands(self) -> list[list[str]]:
        """The commands that take away what is there."""
        links = self._json("link", "show")
        names = [link["ifname"] for link in links if link["ifname"] in LINKS]
        ports = [link["ifname"] for link in links if link.get("master") == "cni0" and link["ifname"] not in names]
        spaces = [space["name"] for space in self._json("netns", "list") if str(space["name"]).startswith("cni-")]
        routes = [
            (route["dst"], "via", route["gateway"])
            for route in self._json("-4", "route", "show")
            if "gateway" in route and _within(route["dst"], self._networks)
        ]
        addresses = [
            (f"{address['local']}/{address['prefixlen']}", "dev", link["ifname"])
            for link in self._json("address", "show")
            for address in link.get("addr_info", [])
            if address["local"] in self._addresses
        ]
        return [
            *(["ip", "netns", "delete", name] for name in spaces),
            *(["ip", "link", "delete", name] for name in (*ports, *names)),
            *(["ip", "route", "delete", *route] for route in routes),
            *(["ip", "address", "delete", *address] for address in addresses),
        ]

    def _json(self, *arguments: str) -> list[dict[str, Any]]:
        answer = self._system.run(["ip", "-json", *arguments])
        try:
            found = json.loads(answer.printed or "[]")
        except ValueError:
            return []
        return [each for each in found if each]

    def _tellers(self) -> Iterable[str]:
        for path in ("/run/flannel/subnet.env", "/etc/rancher/k3s/config.yaml"):
            try:
                yield self._system.path(path).read_text(encoding="utf-8")
            except OSError:
                continue


def pod_networks(texts: Iterable[str]) -> list[ipaddress.IPv4Network]:
    """The networks of pods that these files name, and k3s's usual one: host-gw leaves routes to them behind."""
    found = [POD_NETWORK]
    for text in texts:
        for line in re.findall(r"^(?:FLANNEL_NETWORK=|cluster-cidr:)(.*)$", text, re.MULTILINE):
            found += re.findall(r"\d+\.\d+\.\d+\.\d+/\d+", line)
    return [ipaddress.IPv4Network(each, strict=False) for each in dict.fromkeys(found)]


def _within(destination: str, networks: Sequence[ipaddress.IPv4Network]) -> bool:
    try:
        subnet = ipaddress.IPv4Network(destination)
    except ValueError:
        return False
    # A route that is wider than the pods' network is somebody else's.
    return any(subnet.subnet_of(network) for network in networks)
