# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a node to be a node again, never longer than was said.

systemd's READY is not asked: a server says it before its Node is there, and an agent with a wrong token never says it.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import api, journal, node_object, paths, unit
from .commands import Run, run
from .errors import K3sError

PAUSE = 0.5
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# How often the journal is read for a cause that no waiting mends.
LOOK_AT_JOURNAL_SECONDS = 4.0


@dataclass(frozen=True)
class Wait:
    """What is awaited of whom; an empty version is any."""

    kind: str
    name: str
    version: str
    seconds: float


def wait(wish: Wait, root: Path = Path("/"), ask: Run = run, sleep: Callable[[float], None] = time.sleep) -> float:
    """Return the seconds that it took, or raise what the node's journal says."""
    began = time.monotonic()
    looked_at_journal = began
    while True:
        service = unit.look(paths.UNITS[wish.kind], ask)
        lacking = missing(wish, service, root)
        if not lacking:
            return time.monotonic() - began
        moment = time.monotonic()
        if moment - looked_at_journal > LOOK_AT_JOURNAL_SECONDS:
            looked_at_journal = moment
            _give_up_early(wish, service, ask)
        if moment - began > wish.seconds:
            raise K3sError(_told(wish, f"was not Ready within {wish.seconds:.0f} s: {lacking}", service, ask))
        sleep(PAUSE)


def missing(wish: Wait, service: unit.Unit, root: Path = Path("/")) -> str:
    """What this node still lacks; empty when it is there."""
    if not service.runs:
        return f"{service.name} does not run ({service.active}, started {service.restarts + 1} times)"
    try:
        here = api.local(wish.kind, root, 3.0)
    except K3sError as error:
        # k3s writes a certificate and its key one after the other; a look may fall between them.
        return str(error)
    if here is None:
        return f"{service.name} has no credentials yet"
    if wish.kind == "server":
        readyz = here.get("/readyz")
        if readyz.status != 200:
            return f"its API is not ready ({readyz.body.strip()[-160:]})"
    answer = here.get(f"/api/v1/nodes/{wish.name}")
    if not answer.good:
        return f"its Node is not to be had ({answer.status}: {answer.body.strip()[:160]})"
    facts = node_object.facts(answer.json())
    if wish.version and not same_release(facts.version, wish.version):
        return f"its kubelet is {facts.version} and not {wish.version} yet"
    if not facts.ready:
        return f"its Node is not Ready ({'; '.join(facts.reasons)})"
    return "" if _renewed(here, wish.name, service.started_at) else "its kubelet has not said anything since the start"


def same_release(kubelet: str, wanted: str) -> bool:
    """Whether a kubelet is of that release; not each says which build of it."""
    return kubelet == wanted or kubelet.partition("+")[0] == wanted.partition("+")[0]


def _renewed(here: api.Api, name: str, started_at: float) -> bool:
    """A Node stays Ready for a while after its kubelet died; the lease tells which of its lives said so."""
    answer = here.get(f"{LEASES}/{name}")
    if not answer.good:
        return False
    text = str(answer.json().get("spec", {}).get("renewTime", ""))
    try:
        renewed = datetime.datetime.strptime(text.rstrip("Z")[:26], "%Y-%m-%dT%H:%M:%S.%f")
    except ValueError:
        return False
    return renewed.replace(tzinfo=datetime.timezone.utc).timestamp() >= started_at


def _give_up_early(wish: Wait, service: unit.Unit, ask: Run) -> None:
    said = journal.lines(service.name, ask, service.started_at)
    hopeless = [cause for cause in journal.causes(said) if cause.hopeless]
    # One start that failed may be the last of the old configuration's; the second has the new one.
    if hopeless and service.restarts > 0:
        raise K3sError(_told(wish, "cannot start", service, ask))


def _told(wish: Wait, what: str, service: unit.Unit, ask: Run) -> str:
    said = journal.lines(service.name, ask, service.started_at)
    if not journal.causes(said):
        said = journal.lines(service.name, ask)
    meant = "".join(f" It means: {cause.meaning}." for cause in journal.causes(said)[:2])
    shown = "\n".join(f"  {line}" for line in journal.worth_showing(said))
    return (
        f"{wish.name}: {service.name} {what}.{meant} The other nodes were left as they are, and pods of this one go "
        f"on. Its journal says:\n{shown}"
    )
