# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 13: encryption of secrets in the datastore."""

from __future__ import annotations

import json
import re

from .clusters import Cluster
from .lines import contract


@contract("13", "S, D")
def test_secrets_are_encrypted_in_the_datastore_by_aescbc(main: Cluster) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"a": "contract-plain"}}
    main.first.api().post("/api/v1/namespaces/default/secrets", body)
    raw = main.store.value("/registry/secrets/default/hidden")
    assert raw.startswith(b"k8s:enc:aescbc:v1:") and b"contract-plain" not in raw, raw[:40]


@contract("13", "S, D")
def test_all_servers_read_each_others_secrets(main: Cluster) -> None:
    for number, server in enumerate(main.servers):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"of-{number}"}, "stringData": {"a": "b"}}
        server.api().post("/api/v1/namespaces/default/secrets", body)
        for other in main.servers:
            assert other.api().get(f"/api/v1/namespaces/default/secrets/of-{number}")["data"] == {"a": "Yg=="}


@contract("13", "D, I")
def test_the_status_is_told_in_words(main: Cluster) -> None:
    said = main.first.k3s("secrets-encrypt status")
    assert "Encryption Status: Enabled" in said, said
    assert re.search(r"Current Rotation Stage: start\b", said), said
    assert "Server Encryption Hashes: All hashes match" in said, said
    assert re.search(r"Active\s+Key Type\s+Name", said) and re.search(r"\*\s+AES-CBC\s+\S+", said), said


@contract("13", "D, I")
def test_the_status_is_told_in_json(main: Cluster) -> None:
    document = json.loads(main.first.k3s("secrets-encrypt status -o json"))
    assert "start" in json.dumps(document) and "AES-CBC" in json.dumps(document)


@contract("13", "S")
def test_the_state_file_holds_stage_and_hash(main: Cluster) -> None:
    text = main.first.run("cat /var/lib/rancher/k3s/server/cred/encryption-state.json")
    assert re.search(r"start-[0-9a-f]{64}", text), text


@contract("13", "S")
def test_the_status_of_a_cluster_without_it_says_so(solo: Cluster) -> None:
    assert "Encryption Status: Disabled" in solo.first.k3s("secrets-encrypt status")


@contract("13", "D, I")
def test_rotated_keys_encrypt_all_secrets_anew(main: Cluster) -> None:
    first = main.first
    before = main.store.value("/registry/secrets/default/hidden").split(b":")[4]
    said = first.k3s("secrets-encrypt rotate-keys", 120)
    assert "keys rotated, reencryption finished" in said, said
    after = main.store.value("/registry/secrets/default/hidden").split(b":")[4]
    assert before != after, "the secret is still encrypted by the old key"
    for server in main.servers:
        server.restart_and_wait()
    said = first.k3s("secrets-encrypt status")
    assert "Current Rotation Stage: reencrypt_finished" in said and "All hashes match" in said, said
    for server in main.servers:
        assert server.api().get("/api/v1/namespaces/default/secrets/hidden")["data"], server.name
