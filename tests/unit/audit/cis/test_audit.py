# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts, exceptions and how an audit is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.audit.cis import ExceptionRule, Verdict, judge, load_controls, load_exceptions
from tests.audit.cis.evidence import EvidenceError, read_site
from tests.audit.cis.report import summary, table

from .sound_site import TLS, reports

ROOT = Path(__file__).resolve().parents[4]
CONTROLS = load_controls()
REASON = "a reason"


def test_an_exception_covers_the_subjects_that_it_names_and_no_more() -> None:
    seen = reports()
    seen["one"]["files"][f"{TLS}/*.crt"][0]["mode"] = 0o644
    seen["one"]["files"][f"{TLS}/*.crt"].append({**seen["one"]["files"][f"{TLS}/*.crt"][0], "path": f"{TLS}/new.crt"})
    evidence = read_site(seen)
    assert judge(CONTROLS, (), evidence).verdict("1.1.20") is Verdict.FAIL
    assert (
        judge(CONTROLS, [ExceptionRule("1.1.20", REASON, ("*/new.crt",))], evidence).verdict("1.1.20") is Verdict.FAIL
    )
    both = judge(CONTROLS, [ExceptionRule("1.1.20", REASON, ("one:*",))], evidence)
    assert both.verdict("1.1.20") is Verdict.EXCEPTED
    assert both.passed
    assert next(result for result in both.results if result.control == "1.1.20").note == REASON


def test_an_exception_whose_control_passes_is_stale_and_fails_the_audit() -> None:
    audit = judge(CONTROLS, [ExceptionRule("1.1.20", REASON)], read_site(reports()))
    assert [rule.control for rule in audit.stale] == ["1.1.20"]
    assert not audit.of(Verdict.FAIL)
    assert not audit.passed
    assert json.loads(summary(audit))["stale_exceptions"] == ["1.1.20"]
    assert "stale exception for 1.1.20" in table(audit)


def test_an_exception_for_a_control_that_is_not_there_is_stale_too() -> None:
    assert judge(CONTROLS, [ExceptionRule("9.9.9", REASON)], read_site(reports())).stale


def test_the_summary_counts_every_control_once_and_names_what_failed() -> None:
    seen = reports()
    seen["one"]["files"][f"{TLS}/*.key"][0]["mode"] = 0o644
    told = json.loads(summary(judge(CONTROLS, (), read_site(seen))))
    assert told["controls"] == len(CONTROLS)
    assert told["controls"] == sum(told[key] for key in ("pass", "fail", "excepted", "manual", "not_applicable"))
    assert told["failed"] == {"1.1.21": [f"one:{TLS}/some.key: mode 0644"]}


def test_the_table_says_where_a_control_fails_and_why_one_does_not_apply() -> None:
    seen = reports()
    seen["two"]["files"]["/var/lib/rancher/k3s/agent/kubelet.kubeconfig"][0]["mode"] = 0o644
    told = table(judge(CONTROLS, (), read_site(seen)))
    assert "two:/var/lib/rancher/k3s/agent/kubelet.kubeconfig: mode 0644" in told
    assert "there is no pod and no manifest" in told
    assert told.count("\n4.1.5 ") == 1


def test_without_a_server_or_its_api_nothing_is_concluded() -> None:
    seen = reports()
    with pytest.raises(EvidenceError, match="no host of the inventory is a k3s server"):
        read_site({"two": seen["two"]})
    seen["one"]["api"] = {"objects": {}, "kubelets": {}, "problem": "connection refused"}
    with pytest.raises(EvidenceError, match="one: connection refused"):
        read_site(seen)


def test_the_api_of_any_living_server_will_do() -> None:
    seen = reports()
    seen["three"] = seen["one"]
    seen["one"] = {**seen["one"], "api": {"objects": {}, "kubelets": {}, "problem": "down"}}
    assert read_site(seen).api.all("namespaces")


def excepted_in_the_documentation() -> set[str]:
    """The first column of the table; a row may tell of several controls of one section."""
    text = (ROOT / "docs" / "cis.md").read_text(encoding="utf-8").partition("## Exceptions")[2].partition("\n## ")[0]
    found = set()
    for first, last in re.findall(r"^\| (\d[\d.]+)(?: to (\d[\d.]+))? \|", text, re.MULTILINE):
        section, _, number = first.rpartition(".")
        until = (last or first).rpartition(".")[2]
        found |= {f"{section}.{one}" for one in range(int(number), int(until) + 1)}
    return found


def test_every_exception_names_a_control_says_why_and_is_in_the_documentation() -> None:
    exceptions = load_exceptions()
    assert {exception.control for exception in exceptions} <= {control.id for control in CONTROLS}
    assert all(len(exception.reason) > 40 for exception in exceptions)
    assert excepted_in_the_documentation() == {exception.control for exception in exceptions}


def test_a_control_file_that_says_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text('- {id: "1.1", title: t, kind: automated}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.yml: control 1\.1"):
        load_controls(tmp_path)
