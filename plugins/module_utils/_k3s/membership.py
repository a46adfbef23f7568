# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's place in the cluster, changed by a server's administrator."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import api, node_object
from .errors import K3sError
from .wait import LEASES

ATTEMPTS = 5
# A kubelet renews its lease every 10 s at most, whatever its clock says; one that is not renewed for this long belongs
# to nobody who lives.
LEASE_SILENT_SECONDS = 15.0
LEASE_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Change:
    """What was done, or would be in check mode."""

    changed: bool
    patch: Mapping[str, Any] = field(default_factory=dict)
    before: Any = ""
    after: Any = ""


class Membership:
    """The Node of this name and the secret with its password."""

    def __init__(self, name: str, check_mode: bool = False, client: api.Api | None = None) -> None:
        self._name = name
        self._check_mode = check_mode
        self._path = f"/api/v1/nodes/{name}"
        self._secret = f"/api/v1/namespaces/kube-system/secrets/{name}.node-password.k3s"
        self._client = client

    @property
    def _api(self) -> api.Api:
        if self._client is None:
            self._client = api.local("server", seconds=10.0)
        if self._client is None:
            raise K3sError(
                "this host is no running server of k3s, so it cannot change the cluster; delegate to one that is"
            )
        return self._client

    def bring(self, wish: node_object.Wish) -> Change:
        """Give the Node what is wished, and look again where somebody else changed it meanwhile."""
        for _attempt in range(ATTEMPTS):
            node = self._node()
            if node is None:
                raise K3sError(f"the cluster has no node {self._name}; run site.yml for it first")
            patch = node_object.patch(node, wish)
            if not patch:
                return Change(changed=False)
            if self._check_mode or self._patch(node, patch):
                return Change(True, patch, *_sides(node, patch))
        raise K3sError(f"the Node {self._name} was changed by others {ATTEMPTS} times in a row; run site.yml again")

    def forget_password(self) -> Change:
        """Let a host that was made anew use the name; refused while one of that name lives."""
        if self._api.get(self._secret).status == 404:
            return Change(changed=False)
        self._refuse_a_living_one()
        return self._delete([self._secret])

    def remove(self) -> Change:
        """Take the Node and its password away."""
        there = [path for path in (self._path, self._secret) if self._found(path)]
        return self._delete(there) if there else Change(changed=False)

    def _node(self) -> dict[str, Any] | None:
        answer = self._api.get(self._path)
        if answer.status == 404:
            return None
        self._must(answer, f"the Node {self._name} could not be read")
        found: dict[str, Any] = answer.json()
        return found

    def _patch(self, node: Mapping[str, Any], patch: Mapping[str, Any]) -> bool:
        # With the version that was read, so that a taint which somebody sets in this moment is not lost.
        metadata = {**patch.get("metadata", {}), "resourceVersion": node["metadata"]["resourceVersion"]}
        answer = self._api.merge(self._path, {**patch, "metadata": metadata})
        if answer.status == 409:
            return False
        self._must(answer, f"the Node {self._name} could not be changed")
        return True

    def _refuse_a_living_one(self) -> None:
        node = self._node()
        if node is None or not node_object.facts(node).ready:
            return
        if self._renews_its_lease():
            raise K3sError(
                f"a host of the name {self._name} lives in the cluster at "
                f"{node_object.facts(node).address or 'an unknown address'}, so the new one may not take its name. "
                "Nothing was changed. Stop that host or rename the new one"
            )

    def _renews_its_lease(self) -> bool:
        """Watched instead of compared with the time here: the node wrote it by a clock of its own."""
        first, until = self._renewed(), time.monotonic() + LEASE_SILENT_SECONDS
        while time.monotonic() < until:
            time.sleep(LEASE_LOOK_SECONDS)
            if self._renewed() != first:
                return True
        return not first

    def _renewed(self) -> str:
        """When the node's lease was renewed, in the node's words; nothing where that cannot be read."""
        answer = self._api.get(f"{LEASES}/{self._name}")
        return str(answer.json().get("spec", {}).get("renewTime", "")) if answer.good else ""

    def _found(self, path: str) -> bool:
        answer = self._api.get(path)
        if answer.status == 404:
            return False
        self._must(answer, f"{path} could not be read")
        return True

    def _delete(self, there: list[str]) -> Change:
        for path in [] if self._check_mode else there:
            answer = self._api.ask("DELETE", path)
            if answer.status != 404:
                self._must(answer, f"{path} could not be deleted")
        return Change(True, before="\n".join(there) + "\n")

    @staticmethod
    def _must(answer: api.Answer, what: str) -> None:
        if not answer.good:
            raise K3sError(f"{what} ({answer.status or 'no answer'}: {answer.body.strip()[:200]})")


def _sides(node: Mapping[str, Any], patch: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs, before and after, field by field."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for place in (("metadata", "labels"), ("metadata", "annotations")):
        for name, value in patch.get(place[0], {}).get(place[1], {}).items():
            old = node[place[0]].get(place[1], {}).get(name)
            before.update({} if old is None else {name: old})
            after.update({} if value is None else {name: value})
    for name, value in patch.get("spec", {}).items():
        before[name] = node.get("spec", {}).get(name)
        after[name] = value
    return before, after
