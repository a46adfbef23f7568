# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd units as k3s' install script writes them, and the files beside them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

BINARY = "/usr/local/bin/k3s"
UNIT_FOLDER = "/etc/systemd/system"
NAMES = {"server": "k3s", "agent": "k3s-agent"}
UNIT = """[Unit]
Description=Lightweight Kubernetes
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-{folder}/{name}.service.env
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=/bin/sh -xc '! /usr/bin/systemctl is-enabled --quiet nm-cloud-setup.service 2>/dev/null'
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart={command}
"""


def unit_files(
    role: str, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """Return the unit and its environment file, by path."""
    name = NAMES[role]
    command = shlex.join([BINARY, role, *arguments])
    variables = "".join(f"{key}={value}\n" for key, value in (environment or {}).items())
    return {
        f"{UNIT_FOLDER}/{name}.service": UNIT.format(folder=UNIT_FOLDER, name=name, command=command).encode(),
        f"{UNIT_FOLDER}/{name}.service.env": variables.encode(),
    }
