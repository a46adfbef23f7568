# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains and tables that kube-proxy, the network plugins and the host firewall of a site made."""

from __future__ import annotations

import json
from typing import Any

from .owned import CHAINS, TABLES
from .system import System

FAMILIES = (("iptables", "ip"), ("ip6tables", "ip6"))
# What iptables makes in nftables by itself.
KINDS = ("filter", "nat", "mangle", "raw", "security")


class Firewall:
    """Rules of ours in nftables, iptables and ipset; everybody else's stay as they are."""

    def __init__(self, system: System) -> None:
        self._system = system

    def look(self) -> list[str]:
        counts = {tool: len(ours_in(self._saved(tool))) for tool, _family in FAMILIES}
        return [
            *(f"nft table {family} {name}" for family, name in self._tables()),
            *(f"{count} chains and rules of {tool}" for tool, count in counts.items() if count),
            *(f"ipset {name}" for name in self._sets()),
        ]

    def clear(self) -> None:
        for family, name in self._tables():
            self._system.run(["nft", "delete", "table", family, name])
        for tool, family in FAMILIES:
            saved = self._saved(tool)
            if ours_in(saved):
                self._system.run([f"{tool}-restore"], given=without_ours(saved))
                self._delete_empty(family)
        for name in self._sets():
            self._system.run(["ipset", "destroy", name])

    def _saved(self, tool: str) -> str:
        return self._system.run([f"{tool}-save"]).printed

    def _tables(self) -> list[tuple[str, str]]:
        answer = self._system.run(["nft", "list", "tables"])
        there = {tuple(line.split()[1:3]) for line in answer.printed.splitlines() if len(line.split()) >= 3}
        return [table for table in TABLES if table in there]

    def _sets(self) -> list[str]:
        answer = self._system.run(["ipset", "list", "-name"])
        return [name for name in answer.printed.split() if name.startswith(("KUBE-", "kube-router-", "inet6:KUBE-"))]

    def _delete_empty(self, family: str) -> None:
        """Tables that iptables made for our chains and that now hold nothing but its own empty, open ones."""
        for kind in KINDS:
            answer = self._system.run(["nft", "-j", "list", "table", family, kind])
            if answer.status == 0 and is_empty(json.loads(answer.printed)["nftables"]):
                self._system.run(["nft", "delete", "table", family, kind])


def ours_in(saved: str) -> list[str]:
    """Chains and rules of ours in what iptables-save printed."""
    return [line for line in saved.splitlines() if line.startswith((":", "-A")) and _is_ours(line)]


def without_ours(saved: str) -> str:
    """The same without them, as iptables-restore reads it."""
    return "".join(f"{line}\n" for line in saved.splitlines() if not (line.startswith((":", "-A")) and _is_ours(line)))


def _is_ours(line: str) -> bool:
    if line.startswith(":"):
        return line[1:].startswith(CHAINS)
    # A rule is ours by its own chain, or by where it leads, or by the comment of a network plugin.
    return any(mark in line for mark in CHAINS)


def is_empty(listing: list[dict[str, Any]]) -> bool:
    """Whether a table has no rule and only base chains that let everything through."""
    chains = [item["chain"] for item in listing if "chain" in item]
    others = [item for item in listing if not {"chain", "table", "metainfo"} & set(item)]
    return not others and all(chain.get("policy") == "accept" for chain in chains)
