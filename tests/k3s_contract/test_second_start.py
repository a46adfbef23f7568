# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 7, 9, 10, 11: what one restart with a changed configuration does. One restart, many questions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cryptography import x509

from tests.integration.kubernetes_remote import wait_until

from .clusters import MANIFESTS, Cluster, solo_config
from .lines import contract
from .pki import TLS, certificate, names, public_key, served
from .site import DISABLED, TOKEN, full_token
from .workloads import container_ids

LOST = f"{TLS}/request-header-ca.crt"
STORAGE = "/apis/storage.k8s.io/v1/storageclasses/local-path"


@dataclass(frozen=True)
class Before:
    """What was true before the restart."""

    leaf: x509.Certificate
    lost: str
    containers: dict[str, str]
    journal: str


@pytest.fixture(scope="module")
def before(solo: Cluster) -> Before:
    """Change the configuration, lose a file, restart; return what was there before."""
    server = solo.first
    api = server.api()
    wait_until("local storage is deployed", lambda: api.status(STORAGE) == 200, 60)
    place = server.mark()
    facts = (certificate(server, f"{TLS}/client-admin.crt"), server.run(f"cat {LOST}"), container_ids(api))
    config = {
        **solo_config(server, solo.store),
        "token": full_token(server, TOKEN),
        "tls-san": ["later.contract.test"],
        "disable": [*DISABLED, "local-storage"],
        "node-label": ["contract.test/kept=new"],
        "node-taint": ["contract.test/late=yes:PreferNoSchedule"],
        "write-kubeconfig-mode": "0644",
    }
    server.run(f"rm {LOST}")
    server.configure(config, environment={"CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS": "30"})
    server.restart_and_wait()
    return Before(*facts, journal=server.journal(place))


@contract("10", "D")
def test_a_leaf_near_its_end_is_renewed_at_start_with_the_same_key(solo: Cluster, before: Before) -> None:
    now = certificate(solo.first, f"{TLS}/client-admin.crt")
    assert now.serial_number != before.leaf.serial_number
    assert public_key(now) == public_key(before.leaf)


@contract("10", "S")
def test_a_new_name_of_tls_san_counts_after_a_restart(solo: Cluster, before: Before) -> None:
    wait_until("the listener shows the name", lambda: "later.contract.test" in names(served(solo.first.address)), 30)


@contract("6", "S")
def test_the_full_form_of_the_token_opens_what_the_short_one_closed(solo: Cluster, before: Before) -> None:
    assert solo.first.is_active() and len(solo.store.keys("/bootstrap/")) == 1


@contract("7", "S")
def test_a_file_that_was_lost_comes_back_from_the_datastore(solo: Cluster, before: Before) -> None:
    assert solo.first.run(f"cat {LOST}") == before.lost


@contract("11", "S, D")
def test_disabling_a_component_removes_its_manifest_and_its_resources(solo: Cluster, before: Before) -> None:
    api = solo.first.api()
    wait_until("local storage is gone", lambda: api.status(STORAGE) == 404, 60)
    wait_until(
        "the manifest is gone", lambda: solo.first.attempt(f"test -e {MANIFESTS}/local-storage.yaml").returncode == 1
    )


@contract("9", "S")
def test_labels_are_added_and_changed_but_never_removed(solo: Cluster, before: Before) -> None:
    labels = solo.first.api().get(f"/api/v1/nodes/{solo.first.name}")["metadata"]["labels"]
    wait_until(
        "the label is changed",
        lambda: (
            solo.first.api().get(f"/api/v1/nodes/{solo.first.name}")["metadata"]["labels"].get("contract.test/kept")
            == "new"
        ),
        30,
    )
    assert labels.get("contract.test/first") == "1"


@contract("9", "S")
def test_taints_count_at_the_first_registration_only(solo: Cluster, before: Before) -> None:
    taints = solo.first.api().get(f"/api/v1/nodes/{solo.first.name}")["spec"].get("taints", [])
    assert "contract.test/late" not in {taint["key"] for taint in taints}


@contract("4", "S")
def test_the_kubeconfig_is_written_anew_with_the_mode_that_is_asked_for(solo: Cluster, before: Before) -> None:
    assert solo.first.run("stat -c %a /etc/rancher/k3s/k3s.yaml").strip() == "644"


@contract("3", "S")
def test_pods_of_a_server_survive_its_restart(solo: Cluster, before: Before) -> None:
    assert container_ids(solo.first.api()) == before.containers


@contract("7", "S")
def test_an_own_key_in_the_datastore_is_not_locked_again(solo: Cluster, before: Before) -> None:
    assert "Bootstrap key locked for initial create" not in before.journal


@contract("7", "S")
def test_a_file_newer_than_the_datastore_stops_a_server_until_it_is_removed(solo: Cluster, before: Before) -> None:
    server, path = solo.first, f"{TLS}/service.key"
    server.stop()
    server.run(f"echo >> {path}; touch -d '+10 seconds' {path}")
    place = server.mark()
    server.start()
    line = server.wait_logged("newer than datastore and could cause a cluster outage", place, 60)
    server.stop()
    assert path in line and "Remove the file(s) from disk and restart to be recreated from datastore" in line, line
    server.run(f"rm {path}")
    server.start()
    server.wait_active()


@contract("10", "S")
def test_certificates_are_rotated_while_it_is_stopped(solo: Cluster, before: Before) -> None:
    server = solo.first
    old = certificate(server, f"{TLS}/client-admin.crt")
    server.stop()
    said = server.run("/usr/local/bin/k3s certificate rotate 2>&1")
    assert "Successfully backed up certificates to" in said and "please restart k3s server or agent to rotate" in said
    assert server.attempt("ls -d /var/lib/rancher/k3s/server/tls-[0-9]*").returncode == 0
    assert server.attempt(f"test -e {TLS}/client-admin.crt").returncode == 1
    server.start()
    server.wait_active()
    new = certificate(server, f"{TLS}/client-admin.crt")
    assert new.serial_number != old.serial_number


@contract("10", "S")
def test_an_unknown_service_is_not_rotated(solo: Cluster, before: Before) -> None:
    done = solo.first.attempt("/usr/local/bin/k3s certificate rotate --service nonsense 2>&1")
    assert done.returncode == 1 and "service nonsense is not recognized" in done.stdout, done
