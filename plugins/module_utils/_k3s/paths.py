# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where k3s has its things on a node. None of these can be moved by a variable, so none can be empty."""

from __future__ import annotations

DATA = "/var/lib/rancher/k3s"
SERVER_TLS = f"{DATA}/server/tls"
AGENT = f"{DATA}/agent"
IMAGES = f"{AGENT}/images"
IMAGE_CACHE = f"{IMAGES}/.cache.json"
ENCRYPTION_CONFIG = f"{DATA}/server/cred/encryption-config.json"
NODE_PASSWORD = "/etc/rancher/node/password"
CONFIG = "/etc/rancher/k3s/config.yaml"
PROGRAM = "/usr/local/bin/k3s"
VERSIONS = "/usr/local/lib/holdfast/k3s"
# What the unit writes down before each start: the program and the files that this start reads.
STARTED = "/run/holdfast/k3s.started"
UNITS = {"server": "k3s.service", "agent": "k3s-agent.service"}
SUPERVISOR_PORT = 6443
BALANCER_PORT = 6444
