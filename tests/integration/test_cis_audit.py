# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CIS audit of a live site: nothing fails, what is broken on purpose does, and healed it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from dev.paths import ROOT
from tests.hosts import Host
from tests.integration.kubernetes_remote import wait_until
from tests.site import Site

KEY = "/var/lib/rancher/k3s/server/tls/service.key"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/99-test-of-the-audit.yaml"
LABEL = "pod-security.kubernetes.io/enforce"
KUBECTL = "/usr/local/bin/kubectl --kubeconfig /etc/rancher/k3s/k3s.yaml"
SECONDS = 300


@dataclass(frozen=True)
class Told:
    """What the program printed, and how it ended."""

    code: int
    summary: dict[str, Any]
    said: str


def audit(site: Site) -> Told:
    command = [sys.executable, "-m", "tests.audit.cis", "--json", str(site.inventory)]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert ended.stdout, ended.stderr
    return Told(ended.returncode, json.loads(ended.stdout.splitlines()[-1]), ended.stdout + ended.stderr)


def sound(told: Told) -> None:
    assert told.summary["failed"] == {}
    assert told.summary["stale_exceptions"] == []
    assert told.code == 0, told.said


@contextmanager
def readable_key(site: Site, host: Host) -> Iterator[None]:
    site.ssh(host, f"chmod 0644 {KEY}")
    try:
        yield
    finally:
        site.ssh(host, f"chmod 0600 {KEY}")


@contextmanager
def open_port(site: Site, host: Host) -> Iterator[None]:
    """A kubelet that answers anybody on 10255, by a flag in k3s' configuration."""
    site.ssh(host, f"umask 077; echo 'kubelet-arg+: [read-only-port=10255]' > {DROP_IN}")
    try:
        restart(site, host)
        yield
    finally:
        site.ssh(host, f"rm {DROP_IN}")
        restart(site, host)


@contextmanager
def open_namespace(site: Site, host: Host) -> Iterator[None]:
    site.ssh(host, f"{KUBECTL} label namespace default {LABEL}=privileged")
    try:
        yield
    finally:
        site.ssh(host, f"{KUBECTL} label namespace default {LABEL}-")


def restart(site: Site, host: Host) -> None:
    """Restart k3s there, and wait until its API and its kubelet answer."""
    site.ssh(host, "systemctl restart --no-block k3s && sleep 1")
    ask = f"{KUBECTL} get --raw /readyz && {KUBECTL} get --raw /api/v1/nodes/{host.name}/proxy/configz"
    command = f"systemctl is-active k3s && {ask}"

    def answers() -> bool:
        return '"kubeletconfig"' in site.ssh(host, f"{{ {command}; }} 2>/dev/null || true")

    wait_until(
        f"k3s of {host.name} answers", answers, SECONDS, lambda: site.ssh(host, "journalctl -u k3s -n 15 --no-pager")
    )


def test_no_control_fails_and_no_exception_is_stale(site: Site) -> None:
    sound(audit(site))


def test_what_is_broken_fails_and_passes_again_when_it_is_healed(site: Site) -> None:
    first, second, third = site.servers
    with ExitStack() as broken:
        broken.enter_context(readable_key(site, first))
        broken.enter_context(open_port(site, second))
        broken.enter_context(open_namespace(site, third))
        told = audit(site)
    assert told.code == 1
    failed = told.summary["failed"]
    assert failed.pop("1.1.21") == [f"{first.name}:{KEY}: mode 0644"]
    [port] = failed.pop("4.2.4")
    assert port.startswith(f"{second.name}: the journal says --read-only-port=10255")
    assert set(failed) == {f"5.2.{number}" for number in range(1, 14)}
    assert {tuple(findings) for findings in failed.values()} == {
        ("namespace/default: enforces privileged by its label",)
    }
    sound(audit(site))
