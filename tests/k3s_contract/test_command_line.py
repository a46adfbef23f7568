# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 1: one binary with many verbs, its version, and how it unpacks itself."""

from __future__ import annotations

import re

import pytest

from .lines import contract
from .node import Node
from .site import Site
from .units import BINARY

VERBS = (
    *("server", "agent", "kubectl", "crictl", "ctr", "check-config", "token", "etcd-snapshot", "secrets-encrypt"),
    *("certificate", "completion"),
)
UNPACKED = "/var/lib/rancher/unpacked"


@pytest.fixture(scope="module")
def host(site: Site) -> Node:
    """A host with the binary on which nothing runs yet."""
    return site.second


@contract("1", "S, I")
def test_version_prints_the_release_and_the_go_version_on_two_lines(host: Node) -> None:
    lines = host.k3s("--version").splitlines()
    assert len(lines) == 2, lines
    assert re.match(r"k3s version v1\.\d+\.\d+\S*\+k3s\S* \(\S+\)$", lines[0]), lines[0]
    assert re.match(r"go version go1\.\d+", lines[1]), lines[1]


@contract("1", "S")
@pytest.mark.parametrize("verb", VERBS)
def test_help_knows_the_verb(host: Node, verb: str) -> None:
    assert re.search(rf"^\s+{verb}\b", host.k3s("help"), re.MULTILINE), f"no {verb} in help"


@contract("1", "S")
@pytest.mark.parametrize(
    ("name", "arguments"), [("kubectl", "version --client"), ("crictl", "--version"), ("ctr", "--version")]
)
def test_the_name_of_a_link_chooses_the_tool(host: Node, name: str, arguments: str) -> None:
    host.run(f"mkdir -p /tmp/links && ln -sf {BINARY} /tmp/links/{name}")
    said = host.run(f"/tmp/links/{name} {arguments}")
    assert "k3s version" not in said and re.search(r"[vV]ersion|\d+\.\d+", said), said


@contract("1", "S")
def test_any_other_name_is_the_k3s_command(host: Node) -> None:
    host.run(f"mkdir -p /tmp/links && ln -sf {BINARY} /tmp/links/any-other-name")
    assert host.run("/tmp/links/any-other-name --version").startswith("k3s version ")


@contract("1", "S")
def test_a_start_error_is_one_fatal_line_and_exit_code_1(host: Node) -> None:
    ended = host.try_start("agent")
    fatal = [line for line in ended.output.splitlines() if "level=fatal" in line]
    assert ended.code == 1, ended
    assert len(fatal) == 1 and re.search(r'level=fatal msg=".*--token is required', fatal[0]), ended.output


@contract("16", "I", unconfirmed=True)
def test_an_unknown_command_line_flag_prints_usage_and_ends_with_1(host: Node) -> None:
    ended = host.try_start("server", arguments="--contract-no-such-flag")
    assert ended.code == 1
    assert "flag provided but not defined: -contract-no-such-flag" in ended.output
    assert "USAGE" in ended.output.upper()


@contract("1", "S")
def test_it_unpacks_itself_once_below_the_data_directory(host: Node) -> None:
    host.run(f"rm -rf {UNPACKED}; K3S_DATA_DIR={UNPACKED} {BINARY} ctr --version")
    first = host.run(f"readlink -f {UNPACKED}/data/current").strip()
    assert re.fullmatch(rf"{UNPACKED}/data/[0-9a-f]{{40,}}", first), first
    assert host.run(
        f"test -x {first}/bin/containerd && test -f {UNPACKED}/data/.lock && test -d {UNPACKED}/data/cni && echo yes"
    )
    inode = host.run(f"stat -c '%i %Z' {first}/bin/containerd")
    host.run(f"K3S_DATA_DIR={UNPACKED} {BINARY} ctr --version")
    assert host.run(f"stat -c '%i %Z' {first}/bin/containerd") == inode
    assert host.run(f"ls {UNPACKED}/data | grep -cE '^[0-9a-f]{{40,}}$'").strip() == "1"


@contract("1", "S")
def test_two_processes_may_unpack_at_once(host: Node) -> None:
    command = f"K3S_DATA_DIR={UNPACKED} {BINARY} ctr --version"
    said = host.run(
        f"rm -rf {UNPACKED}; ({command}) & first=$!; {command}; wait $first; echo codes $? $?; ls -A {UNPACKED}/data"
    )
    assert "codes 0 0" in said
    host.run(f"rm -rf {UNPACKED}")


@contract("1", "S")
def test_token_generate_prints_one_token_and_contacts_nothing(host: Node) -> None:
    first, second = host.k3s("token generate"), host.k3s("token generate")
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}\n", first), first
    assert first != second


@contract("1", "S", unconfirmed=True)
def test_check_config_ends_with_the_number_of_failed_checks(host: Node) -> None:
    done = host.attempt(f"{BINARY} check-config 2>&1")
    failed = len(re.findall(r"\(fail\)|: missing \(fail\)", done.stdout))
    assert done.stdout, "check-config said nothing"
    assert done.returncode == failed, f"code {done.returncode}, {failed} failed"


@contract("1", "S")
def test_check_config_needs_no_configuration(host: Node) -> None:
    host.remote.place({"/etc/rancher/k3s/config.yaml": b"no-such-key: 1\n"})
    said = host.attempt(f"{BINARY} check-config 2>&1").stdout
    host.run("rm /etc/rancher/k3s/config.yaml")
    assert re.search(r"cgroup|CONFIG_", said) and "no-such-key" not in said, said[-300:]


@contract("16", "S")
@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("server", "server must run as root, or with --rootless and/or --disable-agent"),
        ("agent", "agent must be run as root, or with --rootless"),
    ],
)
def test_it_refuses_to_run_as_anybody_but_root(host: Node, role: str, words: str) -> None:
    home = "/var/lib/rancher/nobody"
    host.run(f"mkdir -p {home} && chown 65534 {home}")
    options = "--token x --server https://127.0.0.1:6443" if role == "agent" else ""
    done = host.attempt(
        f"cd /; HOME={home} timeout 20 setpriv --reuid 65534 --regid 65534 --clear-groups "
        f"{BINARY} {role} --data-dir {home}/data {options} 2>&1"
    )
    host.run(f"rm -rf {home}")
    assert done.returncode == 1, done
    assert words in done.stdout, done.stdout[-500:]
