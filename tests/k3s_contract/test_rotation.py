# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 6: a new token on a running cluster."""

from __future__ import annotations

import hashlib

from .clusters import Cluster
from .lines import contract
from .node import CONFIG
from .site import TOKEN, full_token

NEW = "contract-rotated-password"
CREDENTIALS = "/var/lib/rancher/k3s/server/cred/passwd /var/lib/rancher/k3s/server/token"


@contract("6", "S, D, I")
def test_a_rotated_token_moves_the_bootstrap_data_and_only_the_new_one_starts_a_server(solo: Cluster) -> None:
    server = solo.first
    said = server.run(f"/usr/local/bin/k3s token rotate --token {TOKEN} --new-token {NEW} 2>&1")
    assert "Token rotated, restart k3s nodes with new token" in said, said
    assert solo.store.keys("/bootstrap/") == [f"/bootstrap/{hashlib.sha256(NEW.encode()).hexdigest()[:12]}"]
    assert server.run("cat /var/lib/rancher/k3s/server/token") == f"{full_token(server, NEW)}\n"
    assert server.api().status("/readyz") == 200, "the running server must go on"

    place = server.mark()
    server.restart()
    server.wait_logged(
        "bootstrap data already found and encrypted with different token|newer than datastore", place, 60
    )
    server.stop()
    assert not server.is_active()

    server.run(f"sed -i 's|^token:.*|token: {NEW}|' {CONFIG}; rm -f {CREDENTIALS}")
    server.start()
    server.wait_active()
    assert server.run("cat /var/lib/rancher/k3s/server/token") == f"{full_token(server, NEW)}\n"
    assert len(solo.store.keys("/bootstrap/")) == 1
