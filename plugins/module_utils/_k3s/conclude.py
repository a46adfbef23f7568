# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a look: what is to be done, what forbids it, and what is wrong, as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from . import journal, versions
from .look import LEAST_DAYS, Look


def plan(seen: Look) -> str:
    """`start` what does not run, `await` what is on its way, `change` what needs a restart, `write` what needs none."""
    differs = bool(seen.files_differ or seen.images_missing or seen.images_old or not seen.unit.enabled)
    differs = differs or bool(seen.images_lost) or seen.question.version not in ("", seen.installed)
    if not seen.unit.runs:
        return "start"
    if seen.unit.active != "active":
        # It is on its way: another start would only make it begin again.
        return "start" if seen.restart_for or differs else "await"
    if seen.restart_for:
        return "change"
    if differs or seen.datastore_certificate_due:
        return "write"
    return "none" if seen.node and seen.node.ready else "await"


def refusals(seen: Look) -> list[str]:
    """Why what is wanted must not be done on this node at all."""
    return list(_refusals(seen))


def _refusals(seen: Look) -> Iterator[str]:
    question = seen.question
    if seen.installed == "foreign":
        yield (
            "/usr/local/bin/k3s was not brought by Holdfast, so this is somebody else's cluster; "
            "remove it with its own uninstall script first"
        )
    if question.version:
        running = "" if seen.blank else runs(seen) or _own(seen)
        others = {name: node.version for name, node in seen.nodes.items() if node.control_plane and node.version}
        others |= {name: server.version for name, server in seen.servers.items() if server.version}
        yield from versions.problems(versions.Step(question.name, question.kind, question.version, running, others))
    if seen.datastore.cluster == "other":
        yield (
            "the datastore holds a cluster that was made with another token, and k3s would not start with this one; "
            "bring all of the site's secrets back to the controller (k3s-token, and etcd-ca.pem with the others beside "
            "it), or empty the datastore with playbooks/reset.yml"
        )
    if None not in (question.secrets_encryption, seen.encrypted) and question.secrets_encryption != seen.encrypted:
        now, wanted = ("on", "off") if seen.encrypted else ("off", "on")
        yield (
            f"secrets encryption is {now} in this cluster and was to be {wanted}: k3s decides that at the first "
            "start, and a later switch fails (k3s issue 13595); "
            f"set k3s_server_secrets_encryption back to {str(seen.encrypted).lower()}"
        )


def runs(seen: Look) -> str:
    """The version that runs: as its start wrote it down, else as the kubelet says, which may not tell the build."""
    return seen.started.version or (seen.node.version if seen.node else "")


def _own(seen: Look) -> str:
    return "" if seen.installed in ("", "foreign") else seen.installed


def gate(seen: Look) -> list[str]:
    """Why another node must not be restarted now: the site would not bear it."""
    return list(_gate(seen))


def _gate(seen: Look) -> Iterator[str]:
    for endpoint, reason in sorted(seen.datastore.unhealthy.items()):
        yield f"etcd at {endpoint} is not healthy ({reason})"
    for name, server in sorted(seen.servers.items()):
        if not server.ready:
            yield f"the API of {name} ({server.address}) is not ready ({server.said or 'no answer'})"
    for name, node in sorted(seen.nodes.items()):
        if node.control_plane and name != seen.question.name and not node.ready:
            yield f"{name} is not Ready ({'; '.join(node.reasons)})"


def problems(seen: Look) -> list[str]:
    """What is wrong with k3s on this node now, each with what to do."""
    return list(_problems(seen))


def _problems(seen: Look) -> Iterator[str]:
    if seen.blank:
        return
    name = seen.unit.name
    if not seen.unit.exists:
        yield f"{name} is not installed; run site.yml"
    elif not seen.unit.runs:
        yield f"{name} does not run ({seen.unit.active}); see `journalctl -u {name}`, then run site.yml"
    elif seen.node is None:
        yield f"this node is not known to the API: {seen.readyz.body.strip()[-200:] or 'no Node of its name'}"
    elif not seen.node.ready:
        yield f"the node is not Ready: {'; '.join(seen.node.reasons)}"
    if seen.unit.exists and not seen.unit.enabled:
        yield f"{name} does not start at boot; run site.yml"
    if seen.node and seen.node.unschedulable:
        who = (
            "an interrupted run of Holdfast; run site.yml"
            if seen.node.cordoned_by_us
            else "somebody; `kubectl uncordon` it"
        )
        yield f"the node takes no pods, cordoned by {who}"
    for certificate in seen.certificates:
        if certificate.days_left < LEAST_DAYS:
            cure = (
                "exchange it by `k3s certificate rotate-ca` while it holds; k3s cannot once it ended (issue 12910)"
                if certificate.authority
                else "restart k3s: it renews them"
            )
            yield f"{certificate.path} ends in {certificate.days_left} days; {cure}"
    for path in seen.images_missing:
        yield f"the images of {path} are not on the node; run site.yml"
    for path in seen.images_lost:
        yield f"images of {path} were removed from the node, and k3s does not import them again; run site.yml"
    yield from (f"{cause.meaning}" for cause in journal.causes(seen.said))


def result(seen: Look) -> dict[str, Any]:
    """What the module returns."""
    node = seen.node
    return {
        "plan": plan(seen),
        "blank": seen.blank,
        "joined_by": seen.joined_by,
        "installed": seen.installed,
        "running": runs(seen),
        "unit": asdict(seen.unit),
        "files_differ": list(seen.files_differ),
        "restart_for": list(seen.restart_for),
        "images_missing": list(seen.images_missing),
        "images_old": list(seen.images_old),
        "images_lost": list(seen.images_lost),
        "ready": bool(node and node.ready),
        "node": _node(seen),
        "node_differs": bool(seen.node_patch),
        "readyz": {"ok": seen.readyz.status == 200, "failing": _failing(seen.readyz.body)},
        "servers": {name: asdict(server) for name, server in seen.servers.items()},
        "living_servers": [name for name, server in seen.servers.items() if server.answers],
        "datastore": {
            "healthy": list(seen.datastore.healthy),
            "unhealthy": dict(seen.datastore.unhealthy),
            "cluster": seen.datastore.cluster,
            "quorate": seen.datastore.quorate,
        },
        "datastore_certificate_due": seen.datastore_certificate_due,
        "datastore_authority": seen.datastore_authority,
        "certificates": [asdict(one) for one in seen.certificates],
        "secrets_encrypted": seen.encrypted,
        "node_password": {"file": seen.password_file, "secret": seen.password_secret},
        "refusals": refusals(seen),
        "gate": gate(seen),
        "problems": problems(seen),
    }


def _node(seen: Look) -> dict[str, Any]:
    node = seen.node
    if node is None:
        return {}
    told = asdict(node)
    # A long list that nobody reads here.
    told.pop("images")
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def _failing(body: str) -> list[str]:
    return [line[3:].strip() for line in body.splitlines() if line.startswith("[-]")]
