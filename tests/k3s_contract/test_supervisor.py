# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 8: what port 6443 answers to whom."""

from __future__ import annotations

import json

import pytest

from .api import Api
from .clusters import Cluster
from .lines import contract
from .site import AGENT_TOKEN, TOKEN

AGENT_PATHS = ["config", "apiservers", "readyz", "client-ca.crt", "server-ca.crt"]
SERVER_PATHS = ["encrypt/status"]


@contract("8", "S")
def test_ping_answers_pong_to_everybody(main: Cluster) -> None:
    for server in main.servers:
        answer = Api.anonymous(server.address).ask("GET", "/ping")
        assert (answer.status, answer.body.strip()) == (200, "pong"), answer


@contract("8", "S")
def test_cacerts_gives_the_authority_to_everybody(main: Cluster) -> None:
    answer = Api.anonymous(main.first.address).ask("GET", "/cacerts")
    assert answer.status == 200
    assert answer.body == main.first.run("cat /var/lib/rancher/k3s/server/tls/server-ca.crt")


@contract("8", "S")
@pytest.mark.parametrize("path", ["readyz", "livez", "healthz", "version", "api/v1/nodes"])
def test_the_api_answers_nobody_without_a_name(main: Cluster, path: str) -> None:
    assert Api.anonymous(main.first.address).status(f"/{path}") == 401


@contract("8", "S")
@pytest.mark.parametrize("path", ["readyz", "livez", "healthz"])
def test_the_api_answers_its_administrator(main: Cluster, path: str) -> None:
    for server in main.servers:
        answer = server.api().ask("GET", f"/{path}")
        assert (answer.status, answer.body) == (200, "ok"), server.name


@contract("8", "S")
@pytest.mark.parametrize("path", AGENT_PATHS)
@pytest.mark.parametrize(("user", "password"), [("node", AGENT_TOKEN), ("server", TOKEN)])
def test_a_token_opens_the_path_of_agents(main: Cluster, path: str, user: str, password: str) -> None:
    assert Api.with_password(main.first.address, user, password).status(f"/v1-k3s/{path}") == 200


@contract("8", "S")
@pytest.mark.parametrize("path", [*AGENT_PATHS, *SERVER_PATHS, "token", "server-bootstrap", "cert/cacerts"])
def test_no_token_opens_no_path(main: Cluster, path: str) -> None:
    assert Api.anonymous(main.first.address).status(f"/v1-k3s/{path}") in (401, 403)


@contract("8", "S")
@pytest.mark.parametrize("path", [*SERVER_PATHS, "server-bootstrap", "encrypt/config", "token"])
def test_the_token_of_agents_does_not_open_the_path_of_servers(main: Cluster, path: str) -> None:
    assert Api.with_password(main.first.address, "node", AGENT_TOKEN).status(f"/v1-k3s/{path}") in (401, 403)


@contract("8", "S")
@pytest.mark.parametrize("path", SERVER_PATHS)
def test_the_token_of_servers_opens_the_path_of_servers(main: Cluster, path: str) -> None:
    assert Api.with_password(main.first.address, "server", TOKEN).status(f"/v1-k3s/{path}") == 200


@contract("7", "S")
def test_the_bootstrap_data_are_given_to_no_server_on_an_external_datastore(main: Cluster) -> None:
    answer = Api.with_password(main.first.address, "server", TOKEN).ask("GET", "/v1-k3s/server-bootstrap")
    assert answer.status == 400 and "etcd disabled" in answer.body, answer


@contract("8", "S")
def test_readyz_of_the_supervisor_says_ok(main: Cluster) -> None:
    answer = Api.with_password(main.first.address, "node", AGENT_TOKEN).ask("GET", "/v1-k3s/readyz")
    assert (answer.status, answer.body.strip()) == (200, "ok")


@contract("9", "S")
def test_the_supervisor_tells_all_servers(main: Cluster) -> None:
    answer = Api.with_password(main.first.address, "node", AGENT_TOKEN).ask("GET", "/v1-k3s/apiservers")
    assert set(json.loads(answer.body)) == {f"{server.address}:6443" for server in main.servers}


@contract("6", "S, D")
def test_the_token_of_agents_is_no_identity_in_the_api(main: Cluster) -> None:
    assert Api.with_password(main.first.address, "node", AGENT_TOKEN).status("/api/v1/nodes") == 401
