# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 6: the forms of a token, where it lies, and what a wrong one is answered with."""

from __future__ import annotations

import json
import re

import pytest

from .clusters import Cluster
from .lines import contract
from .node import Node
from .site import AGENT_TOKEN, TOKEN, Site, full_token

FILES = "/var/lib/rancher/k3s/server"


@pytest.fixture
def host(site: Site) -> Node:
    """A host on which nothing runs."""
    return site.second


def join(host: Node, server: Node, token: str, seconds: int = 8) -> str:
    """Try to join with a token that will not do, and return what the agent said until it was stopped."""
    ended = host.try_start("agent", {"server": f"https://{server.address}:6443", "token": token}, seconds=seconds)
    assert ended.code == 124, f"the agent ended by itself: {ended}"
    return ended.output


@contract("6", "S")
def test_the_token_file_holds_the_full_form_with_the_hash_of_the_authority(main: Cluster) -> None:
    for server in main.servers:
        assert server.run(f"cat {FILES}/token") == f"{full_token(server, TOKEN)}\n"


@contract("4", "S")
def test_node_token_is_a_link_to_token(main: Cluster) -> None:
    assert main.first.run(f"readlink -f {FILES}/node-token").strip() == f"{FILES}/token"


@contract("4", "S")
def test_the_agent_token_has_a_file_of_its_own_where_it_is_set(main: Cluster) -> None:
    assert main.first.attempt(f"test -L {FILES}/agent-token").returncode == 1
    assert main.first.run(f"cat {FILES}/agent-token").strip().endswith(f":{AGENT_TOKEN}")


@contract("4", "S")
def test_the_agent_token_is_a_link_to_token_where_it_is_not_set(solo: Cluster) -> None:
    assert solo.first.run(f"readlink -f {FILES}/agent-token").strip() == f"{FILES}/token"


@contract("6", "S")
def test_a_wrong_hash_stops_an_agent_from_joining_and_it_tries_for_ever(host: Node, main: Cluster) -> None:
    right = full_token(main.first, AGENT_TOKEN, "node")
    wrong = f"K10{'0' * 64}::{right.partition('::')[2]}"
    said = join(host, main.first, wrong)
    digest = right[3:67]
    words = f"token CA hash does not match the Cluster CA certificate hash: {'0' * 64} != {digest}"
    assert said.count(words) >= 2, said[-800:]


@contract("6", "S, I")
def test_a_wrong_password_stops_an_agent_from_joining_and_it_tries_for_ever(host: Node, main: Cluster) -> None:
    said = join(host, main.first, "wrong-password", seconds=14)
    waiting = [
        line for line in said.splitlines() if "Waiting to retrieve agent configuration; server is not ready" in line
    ]
    assert waiting, said[-800:]
    assert "not authorized" in waiting[-1] or "401 Unauthorized" in waiting[-1], waiting[-1]


@contract("6", "S")
def test_a_bare_token_brings_a_warning_that_the_hash_is_missing(host: Node, main: Cluster) -> None:
    said = join(host, main.first, "wrong-password", seconds=6)
    warned = [line for line in said.splitlines() if "level=warning" in line and "CA hash" in line]
    assert warned, said[-800:]


@contract("6", "S")
@pytest.mark.parametrize(
    ("token", "words"),
    [
        (f"K10{'0' * 12}::node:x", "invalid token CA hash length"),
        (f"K10{'0' * 64}::node", "invalid token format"),
    ],
)
def test_a_misshapen_token_is_named(host: Node, main: Cluster, token: str, words: str) -> None:
    ended = host.try_start("agent", {"server": f"https://{main.first.address}:6443", "token": token}, seconds=6)
    assert ended.code != 0 and words in ended.output, ended


@contract("9", "S")
def test_a_server_url_without_a_port_means_443(host: Node, main: Cluster) -> None:
    ended = host.try_start("agent", {"server": f"https://{main.first.address}", "token": "x"}, seconds=6)
    assert ended.code == 124 and "6443" not in ended.output.replace("127.0.0.1:6443", ""), ended.output[-500:]
    assert re.search(
        rf"{re.escape(main.first.address)}(:443)?/cacerts|{re.escape(main.first.address)}:443", ended.output
    )


@contract("1", "S")
def test_token_create_list_and_delete_work_on_a_server(main: Cluster) -> None:
    server = main.first
    said = server.k3s("token create --ttl 1h --description contract-text").strip()
    assert re.fullmatch(r"K10[0-9a-f]{64}::[a-z0-9]{6}\.[a-z0-9]{16}", said), said
    identity = said.partition("::")[2].partition(".")[0]
    header, *rows = server.k3s("token list").splitlines()
    assert header.split() == ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA", "GROUPS"]
    assert any(row.startswith(identity) and "contract-text" in row for row in rows), rows
    assert identity in server.k3s("token list -o yaml")
    assert identity in json.dumps(json.loads(server.k3s("token list -o json")))
    assert server.k3s(f"token delete {identity}").strip() == f'bootstrap token "{identity}" deleted'
    assert identity not in server.k3s("token list")
