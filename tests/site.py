# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site on test hosts: their inventory as an operator would write it, and the playbooks run against it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dev.paths import BUNDLE
from tests.hosts import Host, HostSet, run, session_set
from tests.playbook import Run, run_playbook

# A container shares its machine's kernel, so what only a machine of its own can do is switched off by name.
CONTAINER_VARIABLES: Mapping[str, Any] = {
    # Its parameters outside of the network are the machine's, and could be written from any container.
    "hardening_kernel": False,
    # IPsec is the machine's kernel's to have; where tests run it often does not.
    "control_plane_lb_authentication": "none",
    # So the kubelet cannot be made to insist on them, and containerd may not lower a score below the container's own.
    "k3s_node_protect_kernel_defaults": False,
    "k3s_node_containerd_config": (
        "version = 3\n[plugins.'io.containerd.cri.v1.runtime']\n  restrict_oom_score_adj = true\n"
    ),
}


@dataclass(frozen=True)
class Site:
    """Hosts with roles in a site. `variables` are those of the group `edge`."""

    host_set: HostSet
    servers: tuple[Host, ...]
    workers: tuple[Host, ...]
    folder: Path
    variables: Mapping[str, Any]

    @property
    def hosts(self) -> tuple[Host, ...]:
        return (*self.servers, *self.workers)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yml"

    @property
    def secrets(self) -> Path:
        """What the controller keeps of this site."""
        return self.folder / "secrets"

    def run(self, playbook: str | Path, *, cmdline: str = "", quiet: bool = True, **extravars: Any) -> Run:
        """Run a playbook of the project against the site and wait for its end."""
        return run_playbook(playbook, inventory=self.inventory, extravars=extravars, cmdline=cmdline, quiet=quiet)

    def ssh(self, host: Host, command: str, timeout_seconds: float = 60.0) -> str:
        """What the command prints on the host; a command that fails is an error that shows what it said."""
        answer = run(self.host_set, host, command, timeout_seconds)
        if answer.returncode != 0:
            raise AssertionError(
                f"{host.name}: {command!r} ended with {answer.returncode}: {answer.stderr or answer.stdout}"
            )
        return answer.stdout

    def host(self, name: str) -> Host:
        return self.host_set.host(name)

    def with_variables(self, **variables: Any) -> Site:
        """The same hosts with other variables in their inventory."""
        changed = replace(self, variables={**self.variables, **variables})
        changed.write_inventory()
        return changed

    def write_inventory(self) -> None:
        self.inventory.write_text(yaml.safe_dump(self._tree(), sort_keys=False, width=1000), encoding="utf-8")

    def _tree(self) -> dict[str, Any]:
        edge = yaml.safe_load(self.host_set.inventory.read_text(encoding="utf-8"))["all"]["children"]["edge"]
        known = edge["hosts"]

        def group(members: Sequence[Host]) -> dict[str, Any]:
            return {"hosts": {host.name: known[host.name] for host in members}}

        children = {"servers": group(self.servers)} | ({"workers": group(self.workers)} if self.workers else {})
        return {"edge": {"children": children, "vars": {**edge["vars"], **self.variables}}}


def site_of(
    host_set: HostSet,
    folder: Path,
    servers: int = 3,
    workers: int = 0,
    variables: Mapping[str, Any] | None = None,
) -> Site:
    """Give the hosts of a set their places in a site whose secrets and inventory lie in `folder`."""
    assert len(host_set.hosts) >= servers + workers, f"{host_set.name} has too few hosts"
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(
        host_set=host_set,
        servers=host_set.hosts[:servers],
        workers=host_set.hosts[servers : servers + workers],
        folder=folder,
        variables={
            "site_name": host_set.name,
            "site_secrets_path": str(folder / "secrets"),
            "bundle_path": str(BUNDLE),
            **(CONTAINER_VARIABLES if host_set.tier == "container" else {}),
            **(variables or {}),
        },
    )
    site.write_inventory()
    return site


@contextmanager
def site_hosts(
    name: str,
    servers: int = 3,
    workers: int = 0,
    variables: Mapping[str, Any] | None = None,
    **wish: Any,
) -> Iterator[Site]:
    """Blank hosts that can become a site, taken away at the end. More of a Wish may be given by name."""
    with session_set(name, count=servers + workers, **wish) as host_set, tempfile.TemporaryDirectory() as folder:
        yield site_of(host_set, Path(folder), servers, workers, variables)
