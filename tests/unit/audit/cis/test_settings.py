# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How settings are found: in lines of the journal, in k3s' configuration, in etcd's file, arguments and environment."""

from __future__ import annotations

from typing import Any

import pytest

from tests.audit.cis.conditions import asked, holds, number
from tests.audit.cis.evidence import Etcd
from tests.audit.cis.readers.audit_policy import level_of
from tests.audit.cis.readers.etcd import setting_of
from tests.audit.cis.settings import configured_flags, flags_of, k3s_config, kubelet_files

MAIN = "/etc/rancher/k3s/config.yaml"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/"


def test_a_line_of_the_journal_gives_its_flags() -> None:
    line = (
        'time="2026-11-21T12:00:00Z" level=info msg="Running kubelet --node-labels= --a-switch '
        '--eviction-hard=memory.available<100Mi,nodefs.available<5% --quoted=\\"two words\\" --last=1"'
    )
    assert flags_of(line, "kubelet") == {
        "node-labels": "",
        "a-switch": "true",
        "eviction-hard": "memory.available<100Mi,nodefs.available<5%",
        "quoted": '"two words"',
        "last": "1",
    }
    assert flags_of(line, "kube-proxy") == {}
    assert flags_of("", "kubelet") == {}


def test_drop_ins_replace_or_add_in_the_order_of_their_names() -> None:
    texts = {
        DROP_IN + "20.yaml": "kubelet-arg+: [c=3]\ndebug: true\n",
        MAIN: "kubelet-arg: [a=1, --b=2]\ndebug: false\n",
        DROP_IN + "10.yaml": "kubelet-arg+: b=4\n",
    }
    assert k3s_config(texts) == {"kubelet-arg": ["a=1", "--b=2", "b=4", "c=3"], "debug": True}
    assert configured_flags(texts, "kubelet") == {"a": "1", "b": "4", "c": "3"}
    texts[DROP_IN + "30.yaml"] = "kubelet-arg: [only]\n"
    assert configured_flags(texts, "kubelet") == {"only": "true"}
    assert configured_flags({}, "kubelet") == {}


def test_files_of_the_kubelet_go_into_each_other_and_stay_what_they_were() -> None:
    folder = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/"
    texts = {
        folder + "00.conf": "authentication: {anonymous: {enabled: false}, webhook: {enabled: true}}\nclusterDNS: [a]",
        folder + "10.conf": "authentication: {anonymous: {enabled: true}}\nclusterDNS: [c]",
    }
    merged = {"authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": True}}, "clusterDNS": ["c"]}
    assert kubelet_files(texts) == merged
    assert kubelet_files(texts) == merged
    del texts[folder + "10.conf"]
    assert kubelet_files(texts)["authentication"]["anonymous"] == {"enabled": False}


@pytest.mark.parametrize(
    ("condition", "value", "fine"),
    [
        ({"is": "false"}, "false", True),
        ({"is": "false"}, "true", False),
        ({"is": "false"}, None, False),
        ({"is": "false", "absent": "pass"}, None, True),
        ({"is_not": ["0"]}, "0", False),
        ({"has": "RBAC"}, "Node,RBAC", True),
        ({"has": "RBAC"}, "RBACNOT", False),
        ({"lacks": "AlwaysAllow"}, "Node,AlwaysAllow", False),
        ({"at_least": 30}, "30", True),
        ({"at_least": 30}, "29", False),
        ({"at_least": 60}, "1m0s", True),
        ({"at_least": 1}, "0s", False),
        ({"at_least": 1}, "soon", False),
        ({"only": ["a", "b"]}, "a,b", True),
        ({"only": ["a", "b"]}, "a,c", False),
        ({"starts": "127.0.0.1"}, "127.0.0.1:10249", True),
        ({"starts": "127.0.0.1"}, "0.0.0.0:10249", False),
        ({"given": True}, "/x", True),
        ({"given": True}, "", False),
        ({"given": True}, None, False),
        ({"given": False}, None, True),
        ({"given": False}, "/x", False),
    ],
)
def test_a_condition_on_a_value(condition: dict[str, object], value: str | None, fine: bool) -> None:
    assert holds(condition, value) is fine


def test_a_condition_can_be_told() -> None:
    assert asked({"is": "false", "absent": "pass"}) == "is false"
    assert asked({"only": ["a"]}) == "only of the strong ones"
    assert asked({"given": False}) == "not given"
    assert asked({"given": True}) == "given"


def test_durations_are_seconds() -> None:
    assert [number(text) for text in ("4h0m0s", "90s", "1.5s", "7")] == [14400, 90, 1.5, 7]


def test_etcd_reads_its_file_alone_where_it_has_one() -> None:
    etcd = Etcd(
        arguments=("etcd", "--config-file", "/c.yml", "--auto-tls"),
        environment={"ETCD_CLIENT_CERT_AUTH": "true"},
        config="client-transport-security: {key-file: /k}\npeer-transport-security: {key-file: /p}\ndata-dir: /d\n",
        config_path="/c.yml",
    )
    wanted = {"key-file": "/k", "peer-key-file": "/p", "data-dir": "/d", "auto-tls": None, "client-cert-auth": None}
    assert {flag: setting_of(etcd, flag) for flag in wanted} == wanted


def test_etcd_without_a_file_reads_arguments_before_its_environment() -> None:
    etcd = Etcd(
        arguments=("etcd", "--key-file=/k", "--peer-key-file", "/p", "--auto-tls", "--client-cert-auth"),
        environment={"ETCD_KEY_FILE": "/other", "ETCD_DATA_DIR": "/d"},
    )
    wanted = {"key-file": "/k", "peer-key-file": "/p", "data-dir": "/d", "auto-tls": "true", "client-cert-auth": "true"}
    assert {flag: setting_of(etcd, flag) for flag in wanted} == wanted


def test_the_first_rule_of_an_audit_policy_that_matches_decides() -> None:
    rules: list[dict[str, Any]] = [
        {"level": "None", "users": ["system:kube-proxy"]},
        {"level": "None", "userGroups": ["system:nodes"]},
        {"level": "None", "namespaces": ["kube-system"]},
        {"level": "None", "nonResourceURLs": ["/healthz*"]},
        {"level": "None", "resources": [{"resources": ["secrets"], "resourceNames": ["one"]}]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets"]}]},
        {"level": "Request", "verbs": ["create"], "resources": [{"resources": ["pods", "pods/*"]}]},
        {"level": "RequestResponse", "userGroups": ["system:authenticated"], "resources": [{"group": "apps"}]},
    ]
    assert level_of(rules, "get", "", "secrets") == "Metadata"
    assert level_of(rules, "create", "", "pods/exec") == "Request"
    assert level_of(rules, "get", "", "pods") == "None"
    assert level_of(rules, "delete", "apps", "deployments") == "RequestResponse"
    assert level_of([{"level": "Metadata"}], "get", "", "anything") == "Metadata"
