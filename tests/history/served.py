# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site as site.yml builds it, to be looked at and to be broken: three servers behind one address, and a worker.

What takes a model and answers is on it too, unless it is a bare one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.fixture.versions import NAME as MODEL
from dev.fixture.versions import export_version
from tests.hosts import load
from tests.integration.signing import signed_bundle
from tests.playbook import Run
from tests.site import Site, site_hosts, site_of

from .site_faults import SiteUnderFaults

NAME, NETWORK, VIP = "served", "10.94.0.0/24", "10.94.0.10"
SERVERS, WORKERS = 3, 1
# While writing tests: the name of a set that is such a site already, and stays so.
EXISTING = "HOLDFAST_SERVED_SET"
# Bundle and model lie in the site's folder on the controller.
VARIABLES: dict[str, Any] = {
    "site_vip": VIP,
    "bundle_path": "{{ inventory_dir }}/bundle",
    "bundle_public_keys": ["{{ lookup('ansible.builtin.file', inventory_dir ~ '/bundle.pub') }}"],
}
ANSWERS: dict[str, Any] = {
    "inference_models": {MODEL: "{{ inventory_dir }}/shop"},
    "inference_clients": {"till": {"priority": 5}},
    "inference_cpu": 1,
}
# Everything that site.yml could write to; what runs by itself writes elsewhere.
WRITTEN = (
    "find /etc /usr/local /var/lib/etcd /var/lib/rancher -xdev -newer /run/test-began -not -type d 2>/dev/null || true"
)


@dataclass(frozen=True)
class Built:
    """How a site came to be: what check mode said and wrote on the blank hosts, and the first run."""

    blank_check: Run
    written_by_check: dict[str, str]
    first: Run
    first_seconds: float


def build(site: Site) -> Built:
    """Make a site of blank hosts."""
    export_version(MODEL, site.folder / MODEL)
    signed_bundle(site.folder)
    for host in site.hosts:
        site.ssh(host, "touch /run/test-began; sleep 0.01")
    blank_check = site.run("site.yml", cmdline="--check --diff")
    written_by_check = {host.name: site.ssh(host, WRITTEN) for host in site.hosts}
    started = time.monotonic()
    first = site.run("site.yml")
    assert first.rc == 0, first.failures
    return Built(blank_check, written_by_check, first, time.monotonic() - started)


@contextmanager
def served_site(bare: bool = False, workers: int = WORKERS) -> Iterator[tuple[SiteUnderFaults, Built | None]]:
    """Build it, lend it, and take it away again; of one that was there before nobody knows how it was built.

    A bare one has its servers only. Where the time of the API is measured, all that the hosts share is theirs.
    """
    workers, variables = (0, VARIABLES) if bare else (workers, {**VARIABLES, **ANSWERS})
    existing = os.environ.get(EXISTING)
    if existing:
        site = site_of(load(existing), Path(f"/tmp/holdfast-{existing}"), SERVERS, workers, variables)
        yield SiteUnderFaults(site, VIP), None
        return
    with site_hosts(NAME, SERVERS, workers, variables, network=NETWORK) as site:
        built = build(site)
        faults = SiteUnderFaults(site, VIP)
        faults.wait_well()
        yield faults, built
