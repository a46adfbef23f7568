# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 7 and 16: the datastore goes away under a running server, and comes back with another certificate."""

from __future__ import annotations

import pytest

from tests.integration.kubernetes_remote import wait_until

from .clusters import Cluster
from .lines import contract
from .site import datastore_files
from .workloads import container_ids


@contract("7", "S")
def test_a_lost_datastore_fails_readyz_leaves_pods_alone_and_comes_back_by_itself(solo: Cluster) -> None:
    server = solo.first
    identities, processes = container_ids(server.api()), server.containers()
    solo.store.stop()
    try:
        wait_until("readyz fails", lambda: server.api().status("/readyz") != 200, 60)
        server.sleep(15)
        assert set(processes.items()) <= set(server.containers().items())
    finally:
        solo.store.resume()
    wait_until("readyz is well again", lambda: server.api().status("/readyz") == 200, 120, server.journal)
    server.wait_active()
    assert container_ids(server.api()) == identities


@contract("7", "S")
def test_a_client_certificate_is_read_again_at_every_new_connection(solo: Cluster) -> None:
    server = solo.first
    server.remote.place(dict(datastore_files(solo.store, solo.store.expired_client())))
    main_process = server.show("MainPID")
    solo.store.stop()
    solo.store.resume()
    server.sleep(5)
    assert server.api().status("/readyz") != 200, "the expired certificate was not read: the old one is still in use"
    server.remote.place(dict(datastore_files(solo.store)))
    wait_until("readyz is well again", lambda: server.api().status("/readyz") == 200, 90, server.journal)
    if server.show("MainPID") != main_process:
        pytest.skip("the server lost its leases meanwhile and restarted, so this run cannot tell")


@contract("7", "I")
def test_a_server_that_starts_before_its_datastore_starts_after_all(solo: Cluster) -> None:
    server = solo.first
    server.stop()
    solo.store.stop()
    server.start()
    server.sleep(12)
    assert not server.is_active()
    solo.store.resume()
    server.wait_active(120)
