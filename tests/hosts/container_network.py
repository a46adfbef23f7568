# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a set of container hosts."""

from __future__ import annotations

import subprocess

import docker
from docker.errors import APIError

from .container_spec import bridge_name, labels, network_name, own
from .engine import words
from .model import HostsError, HostSet


def make(client: docker.DockerClient, host_set: HostSet) -> None:
    """Make the set's network: its hosts reach each other and this machine, and nothing else."""
    try:
        client.networks.create(
            network_name(host_set),
            driver="bridge",
            internal=True,
            check_duplicate=True,
            labels=labels(host_set),
            options={"com.docker.network.bridge.name": bridge_name(host_set)},
            ipam=docker.types.IPAMConfig(
                pool_configs=[docker.types.IPAMPool(subnet=host_set.network, gateway=host_set.gateway)]
            ),
        )
    except APIError as error:
        raise HostsError(
            f"{host_set.name}: the container engine refused the network {host_set.network}: {words(error)}. "
            "No host was made. Name another network, or remove the one that is in the way."
        ) from error
    if not _rule("-C", host_set):
        _rule("-I", host_set)


def remove(client: docker.DockerClient, host_set: HostSet) -> None:
    """Remove the network and its rule; safe to repeat."""
    while _rule("-D", host_set):
        pass
    for network in client.networks.list(filters=own(host_set)):
        network.remove()


def _rule(verb: str, host_set: HostSet) -> bool:
    """Let frames with addresses of pods go from host to host.

    Docker drops what leaves an internal bridge with an address that is not of its network, also where it goes back into
    the same bridge and the machine's bridge filter shows it to iptables. A LAN does not do that.
    """
    bridge = bridge_name(host_set)
    command = ["iptables", "--wait", verb, "DOCKER-USER", "-i", bridge, "-o", bridge, "-j", "ACCEPT"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
