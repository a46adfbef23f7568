# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 2: which file counts, in which order, and what each kind of value becomes.

A value that is refused is echoed in the refusal, so these tests give values that are refused and need no cluster.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from .clusters import UNKNOWN_KEY, Cluster
from .lines import contract
from .node import Ended, Node
from .site import Site

RANGE = "service-node-port-range"
FOLDER = "/tmp/contract-config"


@pytest.fixture
def host(site: Site) -> Node:
    """A host on which nothing runs."""
    node = site.second
    node.run(f"rm -rf {FOLDER} /tmp/attempt.yaml.d")
    return node


def start_with_range(
    host: Node, config: str, arguments: str = "", environment: Mapping[str, str] | None = None
) -> Ended:
    """Start a server that refuses the range of ports it is told, whichever that is."""
    return host.try_start("server", config, arguments, environment)


@contract("2", "S")
def test_the_command_line_beats_the_file(host: Node) -> None:
    assert "invalid port range by-line" in start_with_range(host, f"{RANGE}: by-file\n", f"--{RANGE}=by-line").output


@contract("2", "S")
def test_the_file_beats_the_environment(host: Node) -> None:
    ended = host.try_start(
        "agent", "token: x\nserver: ftp://by-file\n", environment={"K3S_URL": "ftp://by-environment"}
    )
    assert "invalid scheme: ftp://by-file" in ended.output, ended.output[-500:]


@contract("2", "S")
def test_the_environment_counts_where_nothing_else_is_said(host: Node) -> None:
    ended = host.try_start("agent", "token: x\n", environment={"K3S_URL": "ftp://by-environment"})
    assert "invalid scheme: ftp://by-environment" in ended.output, ended.output[-500:]


@contract("2", "S")
def test_the_file_named_by_the_environment_beats_the_option(host: Node) -> None:
    host.remote.place({f"{FOLDER}/named.yaml": f"{RANGE}: by-variable\n".encode()})
    ended = start_with_range(host, f"{RANGE}: by-option\n", environment={"K3S_CONFIG_FILE": f"{FOLDER}/named.yaml"})
    assert "invalid port range by-variable" in ended.output, ended.output[-500:]


@contract("2", "S")
def test_a_missing_file_is_no_error(host: Node) -> None:
    ended = host.try_start("server", "", f"--{RANGE}=by-line", {"K3S_CONFIG_FILE": "/no/such/file.yaml"})
    assert "invalid port range by-line" in ended.output, ended.output[-500:]


@contract("2", "S")
def test_files_beside_it_are_read_in_byte_order_and_the_last_one_counts(host: Node) -> None:
    host.remote.place(
        {
            "/tmp/attempt.yaml.d/20-b.YAML": f"{RANGE}: last\n".encode(),
            "/tmp/attempt.yaml.d/10-a.yml": f"{RANGE}: middle\n".encode(),
            "/tmp/attempt.yaml.d/99-c.txt": f"{RANGE}: not-read\n".encode(),
        }
    )
    assert "invalid port range last" in start_with_range(host, f"{RANGE}: main\n").output


@contract("2", "S")
def test_files_beside_a_missing_one_are_enough(host: Node) -> None:
    host.remote.place({f"{FOLDER}/absent.yaml.d/a.yaml": f"{RANGE}: alone\n".encode()})
    ended = start_with_range(host, "", environment={"K3S_CONFIG_FILE": f"{FOLDER}/absent.yaml"})
    assert "invalid port range alone" in ended.output, ended.output[-500:]


@contract("2", "S")
def test_lists_of_file_and_command_line_add_up(host: Node) -> None:
    ended = host.try_start("server", "cluster-dns: [10.43.0.10]\n", "--cluster-dns=not-an-address")
    assert "invalid cluster-dns" in ended.output and "not-an-address" in ended.output, ended.output[-500:]
    ended = host.try_start("server", "cluster-dns: [not-an-address]\n", "--cluster-dns=10.43.0.10")
    assert "not-an-address" in ended.output, ended.output[-500:]


@contract("2", "S")
@pytest.mark.parametrize("role", ["server", "agent"])
def test_broken_yaml_ends_it_at_once(host: Node, role: str) -> None:
    ended = host.try_start(role, "token: x\n  broken: [\n")
    assert ended.code == 1, ended
    assert 'level=fatal msg="yaml: ' in ended.output, ended.output[-500:]


@contract("2", "S")
def test_broken_yaml_breaks_the_other_verbs_too(host: Node) -> None:
    host.remote.place({"/etc/rancher/k3s/config.yaml": b"token: x\n  broken: [\n"})
    done = host.attempt("/usr/local/bin/k3s kubectl version --client 2>&1")
    host.run("rm /etc/rancher/k3s/config.yaml")
    assert done.returncode == 1 and "yaml: " in done.stdout, done


@contract("2", "S")
def test_a_file_that_is_no_map_ends_it(host: Node) -> None:
    ended = host.try_start("server", "- token\n- x\n")
    assert ended.code == 1 and "level=fatal" in ended.output, ended


@contract("2", "S")
@pytest.mark.parametrize("key", ["contract-unknown-key", "cluster-cidr", "tls-san", "secrets-encryption", "disable"])
def test_an_agent_stops_at_a_key_that_is_not_its_own(host: Node, key: str) -> None:
    ended = host.try_start("agent", f"token: x\nserver: https://127.0.0.1:1\n{key}: x\n")
    assert ended.code == 1, ended


@contract("2", "S", unconfirmed=True)
def test_an_agent_names_the_unknown_key_and_prints_usage(host: Node) -> None:
    ended = host.try_start("agent", "token: x\nserver: https://127.0.0.1:1\ncontract-unknown-key: x\n")
    assert "flag provided but not defined: -contract-unknown-key" in ended.output, ended.output[-500:]
    assert "USAGE" in ended.output.upper()


@contract("2", "S, I")
def test_a_server_drops_an_unknown_key_with_one_warning(main: Cluster) -> None:
    for server in main.servers:
        journal = server.whole_journal()
        starts = journal.count("Starting k3s ")
        warned = [line for line in journal.splitlines() if f"Unknown flag --{UNKNOWN_KEY} found in " in line]
        assert warned and all("skipping" in line and "level=warning" in line for line in warned), server.name
        assert len(warned) <= max(starts, 1), warned


@contract("2", "S")
def test_a_plus_at_a_key_appends_to_what_earlier_files_gave(main: Cluster) -> None:
    labels = main.first.api().get(f"/api/v1/nodes/{main.first.name}")["metadata"]["labels"]
    assert labels.get("contract.test/from") == "file" and labels.get("contract.test/appended") == "yes", labels


@contract("2", "S")
def test_values_of_lists_keep_their_commas(main: Cluster) -> None:
    assert "--kube-reserved=cpu=10m,memory=10Mi" in main.first.command_line("kubelet")


@contract("2", "S")
def test_an_empty_list_gives_no_flag(main: Cluster) -> None:
    node = main.first.api().get(f"/api/v1/nodes/{main.first.name}")
    assert not node["spec"].get("taints"), node["spec"]


@contract("2", "S")
def test_an_unquoted_octal_mode_is_read_as_a_number(solo: Cluster) -> None:
    assert solo.first.run("stat -c %a /etc/rancher/k3s/k3s.yaml").strip() == "420"


@contract("2", "S")
@pytest.mark.parametrize("key", ["disable-scheduler", "https-listen-port"])
def test_a_key_without_a_value_is_fatal_where_it_is_no_text(host: Node, key: str) -> None:
    assert host.try_start("server", f"{key}:\n").code == 1


@contract("16", "S", unconfirmed=True)
@pytest.mark.parametrize(("key", "value"), [("disable-scheduler", "perhaps"), ("https-listen-port", "many")])
def test_a_wrong_kind_of_value_is_named(host: Node, key: str, value: str) -> None:
    ended = host.try_start("server", f"{key}: {value}\n")
    assert ended.code == 1 and "invalid" in ended.output and value in ended.output and key in ended.output, ended
