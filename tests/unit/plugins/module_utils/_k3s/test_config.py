# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traps 3 and 6 of docs/k3s.md, and every other way in which a configuration means something else than was meant."""

from __future__ import annotations

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._k3s import config, flags
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.flags import FLAGS, SAME_EVERYWHERE


def test_the_table_has_every_flag_of_both_verbs() -> None:
    of = {verb: sum(verb in flag.verbs for flag in FLAGS.values()) for verb in ("server", "agent")}
    # 125 and 46 flags, two of the server's are other spellings.
    assert of == {"server": 123, "agent": 46}
    assert {flag.kind for flag in FLAGS.values()} == {"string", "bool", "int", "list", "duration"}
    assert {"cluster-cidr", "flannel-backend", "secrets-encryption", "agent-token"} <= SAME_EVERYWHERE


@pytest.mark.parametrize(
    ("key", "near"),
    [("tls-sans", "tls-san"), ("tls_san", "tls-san"), ("kubelet-args", "kubelet-arg"), ("Disable", "disable")],
)
def test_a_misspelt_key_is_told_with_the_nearest_right_one(key: str, near: str) -> None:
    assert flags.problems({key: ["x"]}, "server") == [f"k3s server has no key {key}; did you mean {near}?"]


def test_a_key_that_resembles_none_is_refused_too() -> None:
    (told,) = flags.problems({"zzzzqqq": "x"}, "agent")
    assert told == "k3s agent has no key zzzzqqq; see `k3s agent --help` for those it has"


def test_a_key_of_a_server_stops_an_agent() -> None:
    (told,) = flags.problems({"cluster-cidr": ["10.0.0.0/8"]}, "agent")
    assert told.startswith("cluster-cidr is a key of k3s server")
    assert flags.problems({"cluster-cidr": ["10.0.0.0/8"]}, "server") == []


def test_keys_of_former_times_are_told_with_those_of_today() -> None:
    assert flags.problems({"no-deploy": "x"}, "server") == ["no-deploy is no key of k3s any more; use disable"]
    (told,) = flags.problems({"disable+": ["x"]}, "server")
    assert "write disable with all its values" in told


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("write-kubeconfig-mode", 420, "an unquoted 0644 becomes another number"),
        ("debug", "yes", "debug is true or false"),
        ("https-listen-port", "6443", "is a number"),
        ("https-listen-port", True, "is a number"),
        ("etcd-s3-timeout", "five minutes", "a time such as '10m'"),
        ("tls-san", [1], "takes a list of words"),
        ("resolv-conf", None, "takes one string"),
        ("resolv-conf", {"a": 1}, "takes one string"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(key: str, value: object, part: str) -> None:
    (told,) = flags.problems({key: value}, "server")
    assert part in told


def test_right_values_pass() -> None:
    right = {
        "debug": True,
        "v": 3,
        "tls-san": "one",
        "disable": ["traefik"],
        "etcd-s3-timeout": "1h30m",
        "log": "/var/log/x",
    }
    assert flags.problems(right, "server") == []


def test_a_key_is_refused_on_a_release_before_it() -> None:
    wish = {"helm-controller-arg": ["a=b"]}
    assert flags.problems(wish, "server", "1.36.4+k3s1") == []
    (told,) = flags.problems(wish, "server", "1.35.6+k3s1")
    assert told.startswith("helm-controller-arg came to k3s with 1.35.7")
    # A line that is newer than all that are known has it.
    assert flags.problems(wish, "server", "1.37.0+k3s1") == []


def test_a_key_that_is_no_word_is_refused() -> None:
    (told,) = flags.problems({True: "x"}, "server")
    assert "quote it" in told


def test_what_holdfast_decides_is_told_with_its_variable() -> None:
    assert config.problems({"secrets-encryption": False}, "server") == [
        "secrets-encryption is decided by Holdfast; use k3s_server_secrets_encryption"
    ]
    assert config.problems(["x"], "server") == ["it is no map of keys but ['x']"]  # type: ignore[arg-type]


def test_lists_are_added_to_and_arguments_replaced_by_name() -> None:
    ours = {"kubelet-arg": ["a=1", "b=2"], "tls-san": ["x"], "debug": False}
    extra = {"kubelet-arg": ["b=3", "c+=4"], "tls-san": ["x", "y"], "debug": True, "v": 2}
    assert config.merge(ours, extra) == {
        "kubelet-arg": ["a=1", "b=3", "c+=4"],
        "tls-san": ["x", "y"],
        "debug": True,
        "v": 2,
    }
    assert ours["kubelet-arg"] == ["a=1", "b=2"]


def test_servers_that_would_differ_are_told() -> None:
    values = {"s1": {"domain": "a"}, "s2": {"domain": "b"}, "s3": {"domain": "a"}}
    assert config.disagreements(values) == [
        "domain must be the same on all servers, and is 'a' on s1, s3 and 'b' on s2; set it once, for the group"
    ]
    assert config.disagreements({"s1": {"domain": "a"}, "s2": {"domain": "a"}}) == []
    assert config.must_agree({"cluster-domain": "x", "debug": True}) == {"cluster-domain": "x"}
