# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 6, 7, 9 and 16: what a wrong value is answered with before anything is started."""

from __future__ import annotations

import hashlib

import pytest

from .clusters import SPARE_PORT, Cluster
from .etcd import Store
from .lines import contract
from .node import Ended, Node
from .site import TOKEN, Site, datastore, datastore_files


@pytest.fixture
def host(site: Site) -> Node:
    """A host on which nothing runs."""
    return site.second


def refused(ended: Ended, words: str) -> None:
    """Assert a fatal end with these words."""
    assert words in ended.output, f"{words!r} not in: {ended.output[-800:]}"
    assert ended.code == 1, ended.code


@contract("16", "S")
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("cluster-cidr: nonsense", "invalid cluster-cidr nonsense: "),
        ("service-cidr: nonsense", "invalid service-cidr nonsense: "),
        ("cluster-dns: nonsense", "invalid cluster-dns address nonsense"),
        ("service-node-port-range: nonsense", "invalid port range nonsense: "),
        ("egress-selector-mode: nonsense", "invalid egress-selector-mode nonsense"),
        ("flannel-iface: no-such-link", "unable to find interface no-such-link"),
    ],
)
def test_a_bad_network_value_is_fatal(host: Node, config: str, words: str) -> None:
    refused(host.try_start("server", f"token: x\n{config}\n"), words)


@contract("16", "S")
def test_addresses_of_two_families_are_fatal(host: Node) -> None:
    refused(
        host.try_start("server", 'token: x\nnode-ip: "fd00::5"\ncluster-cidr: 10.42.0.0/16\n'),
        "must share the same IP version",
    )


@contract("9", "S")
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("server: https://127.0.0.1:6443", "--token is required"),
        ("token: x", "--server is required"),
        (
            "token: x\nserver: http://127.0.0.1:6443",
            "only https:// URLs are supported, invalid scheme: http://127.0.0.1:6443",
        ),
    ],
)
def test_an_agent_needs_a_token_and_a_server_by_https(host: Node, config: str, words: str) -> None:
    refused(host.try_start("agent", f"{config}\n"), words)


@contract("16", "S")
def test_a_missing_token_file_is_waited_for(host: Node) -> None:
    ended = host.try_start("agent", "token-file: /no/such/token\nserver: https://127.0.0.1:1\n", seconds=6)
    assert ended.code == 124, ended
    assert ended.output.count("Waiting for /no/such/token to be available") >= 2, ended.output[-500:]


@contract("7", "S")
@pytest.mark.parametrize("flag", ["disable-apiserver", "disable-etcd"])
def test_flags_of_the_embedded_datastore_are_refused_with_an_external_one(host: Node, flag: str) -> None:
    config = f"token: x\ndatastore-endpoint: https://127.0.0.1:2379\n{flag}: true\n"
    refused(host.try_start("server", config), f"invalid flag use; cannot use --{flag} with --datastore-endpoint")


@contract("7", "S")
@pytest.mark.parametrize("key", ["datastore-cafile", "datastore-certfile", "datastore-keyfile"])
def test_a_missing_certificate_file_of_the_datastore_is_fatal(host: Node, solo: Cluster, key: str) -> None:
    host.remote.place(dict(datastore_files(solo.store)))
    config = {**datastore(solo.store), "token": TOKEN, key: "/no/such/file"}
    refused(host.try_start("server", config), "/no/such/file")


@contract("7", "S", unconfirmed=True)
def test_the_missing_file_is_named_as_the_system_names_it(host: Node, solo: Cluster) -> None:
    host.remote.place(dict(datastore_files(solo.store)))
    ended = host.try_start("server", {**datastore(solo.store), "token": TOKEN, "datastore-keyfile": "/no/such/file"})
    assert "open /no/such/file: no such file or directory" in ended.output, ended.output[-500:]


@contract("7", "I")
def test_an_unreachable_datastore_never_becomes_a_server(host: Node, site: Site) -> None:
    store = Store(site.store_host, "nobody", 2979)
    host.remote.place(dict(datastore_files(store)))
    ended = host.try_start("server", {**datastore(store), "token": TOKEN}, seconds=15)
    assert ended.code != 0 and "is up and running" not in ended.output, ended.output[-500:]


@contract("7", "S")
def test_an_expired_client_certificate_never_becomes_a_server(host: Node, solo: Cluster) -> None:
    host.remote.place(dict(datastore_files(solo.store, solo.store.expired_client())))
    ended = host.try_start("server", {**datastore(solo.store), "token": TOKEN}, seconds=20)
    assert ended.code != 0 and "is up and running" not in ended.output, ended.output[-500:]


@contract("16", "S")
def test_a_taken_port_6443_is_fatal(solo: Cluster) -> None:
    ended = solo.first.try_start("server", {**datastore(solo.store), "token": TOKEN}, seconds=40)
    refused(ended, "failed to start supervisor listener: listen tcp")
    assert ":6443: bind: address already in use" in ended.output, ended.output[-500:]
    assert solo.first.is_active()


@contract("6", "S")
def test_a_bootstrap_token_cannot_be_the_server_token(host: Node, solo: Cluster) -> None:
    host.remote.place(dict(datastore_files(solo.store)))
    ended = host.try_start("server", {**datastore(solo.store), "token": "abcdef.0123456789abcdef"}, seconds=40)
    refused(
        ended,
        "failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>",
    )


@contract("6", "S")
def test_a_wrong_token_on_existing_bootstrap_data_ends_a_server(host: Node, solo: Cluster) -> None:
    host.remote.place(dict(datastore_files(solo.store)))
    ended = host.try_start("server", {**datastore(solo.store), "token": "another-password"}, seconds=40)
    refused(ended, "bootstrap data already found and encrypted with different token")


@contract("17", "I")
def test_a_server_without_a_token_does_not_join_existing_data(host: Node, solo: Cluster) -> None:
    host.remote.place(dict(datastore_files(solo.store)))
    ended = host.try_start("server", datastore(solo.store), seconds=40)
    assert ended.code != 0 and "is up and running" not in ended.output, ended.output[-500:]
    assert len(solo.store.keys("/bootstrap/")) == 1


@contract("7", "S")
def test_a_lock_that_a_dead_server_left_is_taken_over(host: Node, site: Site) -> None:
    store = Store(site.store_host, "spare", SPARE_PORT)
    store.start()
    host.remote.place(dict(datastore_files(store)))
    store.control(f"put /bootstrap/{bootstrap_key(TOKEN)} ''")
    # The start is ended by its time limit, long after the data are there; it must not begin with pods.
    ended = host.try_start("server", {**datastore(store), "token": TOKEN, "disable-agent": True}, seconds=20)
    store.stop()
    assert "Bootstrap key is locked - waiting for data to be populated by another server" in ended.output, ended.output[
        :3000
    ]
    assert "Saving cluster bootstrap data to datastore" in ended.output, ended.output[:3000]


def bootstrap_key(password: str) -> str:
    """Return the last part of the key under which bootstrap data lie."""
    return hashlib.sha256(password.encode()).hexdigest()[:12]


@contract("16", "S")
def test_a_clock_before_1980_is_fatal(machine: Node) -> None:
    before = machine.run("date +%s").strip()
    machine.run("date -s 1979-06-01")
    try:
        # An emulated machine unpacks slowly.
        refused(machine.try_start("server", "token: x\n", seconds=400), "server time isn't set properly")
    finally:
        machine.run(f"date -s @{before}")
