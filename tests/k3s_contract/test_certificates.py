# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 10: lifetimes and names of certificates, and the command that reads them."""

from __future__ import annotations

import json

import pytest

from tests.integration.kubernetes_remote import wait_until

from .clusters import Cluster
from .lines import contract
from .pki import TLS, certificate, days, names, served

AUTHORITIES = ["server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"]
LEAVES = ["client-admin", "client-controller", "client-scheduler", "client-kube-apiserver", "serving-kube-apiserver"]
COLUMNS = ["FILENAME", "SUBJECT", "USAGES", "EXPIRES", "RESIDUAL", "TIME", "STATUS"]


@contract("10", "D")
@pytest.mark.parametrize("name", AUTHORITIES)
def test_an_authority_lives_ten_years(main: Cluster, name: str) -> None:
    assert 3649 <= days(certificate(main.first, f"{TLS}/{name}.crt")) <= 3654


@contract("10", "D")
@pytest.mark.parametrize("name", LEAVES)
def test_a_leaf_lives_a_year(main: Cluster, name: str) -> None:
    # A leaf may begin when its authority began, a little earlier.
    assert 364.9 <= days(certificate(main.first, f"{TLS}/{name}.crt")) <= 366.1


@contract("10", "S, D")
@pytest.mark.parametrize("name", ["client-kubelet", "serving-kubelet", "client-kube-proxy"])
def test_a_leaf_of_an_agent_lives_a_year(main: Cluster, name: str) -> None:
    found = certificate(main.agents[0], f"/var/lib/rancher/k3s/agent/{name}.crt")
    assert 364.9 <= days(found) <= 366.1


@contract("10", "S")
def test_the_listener_is_good_for_all_default_names(main: Cluster) -> None:
    first = main.first
    wanted = {
        *("127.0.0.1", "::1", "localhost", first.name, first.address, "10.43.0.1"),
        *("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"),
    }
    found = names(served(first.address))
    assert wanted <= found, wanted - found


@contract("10", "S")
@pytest.mark.parametrize("name", ["main.contract.test", "192.0.2.10", "added.contract.test"])
def test_the_listener_is_good_for_the_names_of_tls_san(main: Cluster, name: str) -> None:
    assert name in names(served(main.first.address))


@contract("10", "S", unconfirmed=True)
def test_the_listener_takes_no_name_from_a_stranger(main: Cluster) -> None:
    served(main.first.address, server_name="stranger.contract.test")
    assert "stranger.contract.test" not in names(served(main.first.address))


@contract("10", "D")
@pytest.mark.parametrize("form", ["json", "yaml", "text", "table"])
def test_the_command_lists_every_certificate_in_the_form(main: Cluster, form: str) -> None:
    done = main.first.attempt(f"/usr/local/bin/k3s certificate check -o {form} 2>&1")
    assert done.returncode == 0, done
    for name in ("client-admin.crt", "serving-kube-apiserver.crt"):
        assert name in done.stdout, f"no {name} in {done.stdout[:300]}"


@contract("1", "D, S")
def test_the_table_has_these_columns_and_leaf_and_authority(main: Cluster) -> None:
    lines = main.first.run("/usr/local/bin/k3s certificate check -o table 2>/dev/null").splitlines()
    header = next((line for line in lines if "FILENAME" in line), "")
    assert header.replace("|", " ").split() == COLUMNS, lines[:3]
    assert len([line for line in lines if "client-admin.crt" in line]) == 2


@contract("1", "D")
def test_the_command_speaks_json(main: Cluster) -> None:
    assert json.loads(main.first.run("/usr/local/bin/k3s certificate check -o json 2>/dev/null"))


@contract("10", "S", unconfirmed=True)
def test_the_lifetime_of_new_leaves_can_be_set(solo: Cluster) -> None:
    assert 29.9 <= days(certificate(solo.first, f"{TLS}/client-admin.crt")) <= 31.1


@contract("10", "D")
def test_a_leaf_near_its_end_is_told_as_an_event(solo: Cluster) -> None:
    api = solo.first.api()

    def told() -> bool:
        events = api.get("/api/v1/events?fieldSelector=reason%3DCertificateExpirationWarning")
        return bool(events["items"])

    wait_until("an event CertificateExpirationWarning", told, 90)
