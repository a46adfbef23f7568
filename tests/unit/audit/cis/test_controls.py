# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls together: a sound site passes all of them, and what breaks fails just those that it should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.audit.cis import Verdict, judge, load_controls
from tests.audit.cis.evidence import read_site
from tests.audit.cis.readers import READERS

from . import sound_site
from .sound_site import AGENT, POLICY, PSA, TLS, certificate, item, line, pod, reports

CONTROLS = load_controls()
Reports = dict[str, dict[str, Any]]
Break = Callable[[Reports], object]
EVERYTHING = {"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}


def failed(seen: Reports) -> set[str]:
    return {result.control for result in judge(CONTROLS, (), read_site(seen)).of(Verdict.FAIL)}


def asked(seen: Reports, verdict: Verdict) -> set[str]:
    return {result.control for result in judge(CONTROLS, (), read_site(seen)).of(verdict)}


def runs(node: str, component: str, **changes: str | None) -> Break:
    return lambda seen: seen[node]["lines"].update({component: line(component, **changes)})


def has(node: str, pattern: str, **changes: Any) -> Break:
    return lambda seen: seen[node]["files"][pattern][0].update(changes)


def says(node: str, path: str, content: str) -> Break:
    return lambda seen: seen[node]["texts"].update({path: content})


def etcd_has(**changes: Any) -> Break:
    return lambda seen: seen["one"]["etcd"].update(changes)


def etcd_says(old: str, new: str) -> Break:
    return etcd_has(config=sound_site.ETCD.replace(old, new))


def etcd_file(path: str, **changes: Any) -> Break:
    return lambda seen: seen["one"]["etcd"]["files"][path].update(changes)


def kubelet_runs(node: str, **changes: Any) -> Break:
    return lambda seen: seen["one"]["api"]["kubelets"][node].update(changes)


def more(kind: str, *items: dict[str, Any]) -> Break:
    return lambda seen: seen["one"]["api"]["objects"][kind].extend(items)


def labelled(level: str) -> Break:
    label = {"pod-security.kubernetes.io/enforce": level}
    return lambda seen: seen["one"]["api"]["objects"]["namespaces"][0]["metadata"].update(labels=label)


def bound(role: str, **subject: str) -> dict[str, Any]:
    return item("ours", roleRef={"kind": "ClusterRole", "name": role}, subjects=[subject])


def bound_by_kubernetes(namespace: str) -> dict[str, Any]:
    """A binding as the API server makes it for a controller."""
    made = bound("cluster-admin", kind="ServiceAccount", name="collector", namespace=namespace)
    made["metadata"].update(labels={"kubernetes.io/bootstrapping": "rbac-defaults"})
    return made


PRIVILEGED = {f"5.2.{number}" for number in range(1, 14)}
ABOVE_BASELINE = {f"5.2.{number}" for number in (6, 7, 8, 9, 10)}
API_SERVER = {result.id for result in CONTROLS if any(check.get("of") == "kube-apiserver" for check in result.checks)}

BREAKS: dict[str, tuple[Break, set[str]]] = {
    "a flag of the API server": (runs("one", "kube-apiserver", anonymous_auth="true"), {"1.2.1", "4.2.1"}),
    "a flag that must be there": (runs("one", "kube-apiserver", etcd_cafile=None), {"1.2.26"}),
    "a flag that must not be there": (runs("one", "kube-apiserver", token_auth_file="/t"), {"1.2.2"}),
    "one of a list": (
        runs("one", "kube-apiserver", enable_admission_plugins="EventRateLimit,AlwaysPullImages"),
        {"1.2.3", "1.2.14"},
    ),
    "a number": (runs("one", "kube-apiserver", audit_log_maxage="7"), {"1.2.17"}),
    "a weak cipher": (runs("one", "kube-apiserver", tls_cipher_suites="TLS_RSA_WITH_AES_128_CBC_SHA"), {"1.2.29"}),
    "a journal without its line": (
        lambda seen: seen["one"]["lines"].pop("kube-apiserver"),
        API_SERVER | {"3.2.2"} | PRIVILEGED,
    ),
    "a flag of the scheduler": (runs("one", "kube-scheduler", bind_address="0.0.0.0"), {"1.4.2"}),
    "a flag of kube-proxy on an agent": (runs("two", "kube-proxy", metrics_bind_address="0.0.0.0:10249"), {"4.3.1"}),
    "a flag of a kubelet": (runs("two", "kubelet", read_only_port="10255"), {"4.2.4"}),
    "a flag that auditors do not see": (runs("two", "kubelet", tls_cert_file=None), {"4.2.9"}),
    "k3s' configuration, before a restart": (
        says("two", "/etc/rancher/k3s/config.yaml.d/9.yaml", "kubelet-arg+: [anonymous-auth=true]"),
        {"4.2.1"},
    ),
    "what a kubelet says of itself": (kubelet_runs("two", makeIPTablesUtilChains=False), {"4.2.6"}),
    "a gate of a kubelet": (
        kubelet_runs("two", featureGates={"RotateKubeletServerCertificate": False}),
        {"4.2.11"},
    ),
    "a key of k3s": (says("one", "/etc/rancher/k3s/config.yaml", "disable-network-policy: true"), {"5.3.1"}),
    "no encryption": (lambda seen: seen["one"].update(encryption=["identity", "aescbc"]), {"1.2.28"}),
    "the mode of a key": (has("one", f"{TLS}/*.key", mode=0o640), {"1.1.21"}),
    "the owner of a folder": (has("one", f"{TLS}/", owner="nobody"), {"1.1.19"}),
    "the mode of a file on an agent": (has("two", f"{AGENT}/kubelet.kubeconfig", mode=0o644), {"4.1.5"}),
    "a file that is gone": (
        lambda seen: seen["two"]["files"].update({f"{AGENT}/client-ca.crt": []}),
        {"4.1.7", "4.1.8"},
    ),
    "an address file for all to read": (has("one", "/var/lib/cni/networks/**/*", mode=0o644), {"1.1.9"}),
    "etcd without its clients' certificates": (
        etcd_says("client-cert-auth: true}\npeer", "client-cert-auth: false}\npeer"),
        {"2.2"},
    ),
    "etcd that signs for itself": (
        etcd_says("{cert-file: /p/peer.crt", "{auto-tls: true, cert-file: /p/peer.crt"),
        {"2.6"},
    ),
    "the mode of etcd's key": (etcd_file("/p/server.key", mode=0o644), {"2.1"}),
    "the mode of etcd's data": (etcd_file("/var/lib/etcd", mode=0o755), {"1.1.11"}),
    "the owner of etcd's data": (etcd_file("/var/lib/etcd", owner="root"), {"1.1.12"}),
    "etcd with a CA of k3s": (
        lambda seen: seen["one"]["authorities"].update({"/p/ca.crt": certificate("etcd") + certificate("k3s")}),
        {"2.7"},
    ),
    "an etcd that is down": (
        lambda seen: seen["one"].update(etcd=None),
        {f"2.{number}" for number in range(1, 8)} | {"1.1.11", "1.1.12"},
    ),
    "an audit policy that keeps secrets": (says("one", POLICY, "rules: [{level: RequestResponse}]"), {"3.2.2"}),
    "an audit policy that is gone": (lambda seen: seen["one"]["texts"].pop(POLICY), {"3.2.2"}),
    "a second cluster-admin": (more("clusterrolebindings", bound("cluster-admin", kind="User", name="eve")), {"5.1.1"}),
    "a role with a wildcard": (more("clusterroles", item("ours", rules=[EVERYTHING])), {"5.1.3"}),
    "a default account with a token": (more("serviceaccounts", item("default", "shop")), {"5.1.5"}),
    "a pod with a token": (more("pods", pod("web", "kube-system", "default")), {"5.1.6"}),
    "a pod in default": (more("pods", pod("web", "default", "default")), {"5.7.4"}),
    "a namespace without a policy": (more("namespaces", item("shop")), {"5.3.2"}),
    "a namespace that may do anything": (labelled("privileged"), PRIVILEGED),
    "a namespace that may do more": (labelled("baseline"), ABOVE_BASELINE),
    "a namespace that is exempt": (says("one", PSA, sound_site.ADMISSION.replace("[]", "[kube-system]")), PRIVILEGED),
    "no pod security at all": (says("one", PSA, "plugins: []"), PRIVILEGED),
    "a kubelet without seccomp": (kubelet_runs("one", seccompDefault=False), {"5.7.2"}),
}


@pytest.mark.parametrize(("broken", "expected"), BREAKS.values(), ids=BREAKS)
def test_what_breaks_fails_its_controls_and_no_other(broken: Break, expected: set[str]) -> None:
    seen = reports()
    broken(seen)
    assert failed(seen) == expected


def test_a_sound_site_fails_nothing() -> None:
    assert failed(reports()) == set()
    assert "1.2.1" in asked(reports(), Verdict.PASS)


def test_every_reader_is_seen_to_fail() -> None:
    """What only asks a person is seen below."""
    reached = {
        check["read"]
        for _, ids in BREAKS.values()
        for control in CONTROLS
        if control.id in ids
        for check in control.checks
    }
    asks = {"nobody_but_the_system", "secrets_as_variables", "security_contexts"}
    assert reached | asks == set(READERS)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (more("clusterrolebindings", bound_by_kubernetes("default")), "5.1.4"),
        (more("clusterrolebindings", bound("cluster-admin", kind="Group", name="system:authenticated")), "5.1.2"),
        (more("clusterrolebindings", bound("cluster-admin", kind="ServiceAccount", name="x", namespace="y")), "5.1.8"),
        (more("pods", pod("web", "kube-system", "coredns", envFrom=[{"secretRef": {"name": "s"}}])), "5.4.1"),
        (more("pods", pod("web", "kube-system", "coredns", env=[{"valueFrom": {"secretKeyRef": {}}}])), "5.4.1"),
        (more("pods", pod("web", "kube-system", "coredns", securityContext={})), "5.7.3"),
    ],
)
def test_what_needs_a_judgement_is_given_to_a_person_with_what_was_found(broken: Break, expected: str) -> None:
    assert expected not in asked(reports(), Verdict.MANUAL)
    seen = reports()
    broken(seen)
    audit = judge(CONTROLS, (), read_site(seen))
    result = next(one for one in audit.results if one.control == expected)
    assert result.verdict is Verdict.MANUAL
    assert result.broken
    assert result.note


def test_a_kubelet_may_be_told_by_its_flag_to_give_a_seccomp_profile() -> None:
    """It then reports false all the same, since the flag is kept apart from the configuration."""
    seen = reports()
    kubelet_runs("one", seccompDefault=False)(seen)
    runs("one", "kubelet", seccomp_default="true")(seen)
    assert failed(seen) == set()


def test_kubernetes_own_controllers_need_no_judgement() -> None:
    seen = reports()
    more("clusterrolebindings", bound_by_kubernetes("kube-system"))(seen)
    assert "5.1.4" in asked(seen, Verdict.PASS)


def test_on_a_site_of_which_nothing_was_seen_hardly_anything_holds() -> None:
    empty: dict[str, Any] = {"lines": {}, "files": {}, "texts": {}, "etcd": None, "encryption": None, "authorities": {}}
    api = {"objects": {"namespaces": [item("default")]}, "kubelets": {}, "problem": ""}
    seen = {"one": {**empty, "server": True, "member": True, "api": api}}
    holds_on_nothing = asked(seen, Verdict.PASS)
    # Of these nothing must be there: addresses given out, roles, pods, and a switch that is off.
    of_pods = {"5.1.6", "5.4.1", "5.7.2", "5.7.3", "5.7.4"}
    of_roles = {f"5.1.{number}" for number in (2, 3, 4, 8, 9, 10, 11, 12, 13)}
    assert holds_on_nothing == {"1.1.9", "1.1.10", "5.3.1"} | of_pods | of_roles


def test_there_is_one_check_for_every_control_of_the_benchmark() -> None:
    ids = [control.id for control in CONTROLS]
    assert len(ids) == len(set(ids))
    sections = {"1.1": 21, "1.2": 29, "1.3": 7, "1.4": 2, "2": 7, "3.1": 3, "3.2": 2, "4.1": 10, "4.2": 13, "4.3": 1}
    sections |= {"5.1": 13, "5.2": 13, "5.3": 2, "5.4": 2, "5.5": 1, "5.7": 4}
    counted = {section: sum(1 for one in ids if one.rpartition(".")[0] == section) for section in sections}
    assert counted == sections
    assert len(ids) == sum(sections.values())


def test_every_check_names_a_reader_and_every_control_has_a_title() -> None:
    for control in CONTROLS:
        assert control.title, control.id
        assert {check["read"] for check in control.checks} <= set(READERS), control.id
        assert control.otherwise == "fail" or (control.kind == "manual" and control.look), control.id
