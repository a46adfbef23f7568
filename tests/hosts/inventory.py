# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a set of hosts."""

from __future__ import annotations

import shlex

import yaml

from .model import HostSet
from .ssh import ssh_options

GROUP = "edge"
HEADER = "---\n# Written by the test bed; the next 'up' of this set writes it again.\n"


def render(host_set: HostSet) -> str:
    """Return the inventory as YAML."""
    hosts = {
        host.name: {"ansible_host": host.address, "ansible_port": host.ssh_port, "ansible_user": host.user}
        for host in host_set.hosts
    }
    variables = {
        "ansible_ssh_private_key_file": str(host_set.key),
        "ansible_ssh_common_args": shlex.join(["-F", "/dev/null", *ssh_options(host_set)]),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    tree = {"all": {"children": {GROUP: {"hosts": hosts, "vars": variables}}}}
    return HEADER + yaml.safe_dump(tree, sort_keys=False, width=1000)
