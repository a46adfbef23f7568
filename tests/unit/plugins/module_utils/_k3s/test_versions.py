# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.errors import K3sError
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.versions import Step, Version, crosses_minor, problems


def refusals(wanted: str, running: str = "", verb: str = "server", **others: str) -> str:
    return "; ".join(problems(Step("me", verb, wanted, running, others)))


def test_versions_are_compared_with_their_builds() -> None:
    ordered = ["1.35.8+k3s1", "1.36.0-rc1+k3s1", "1.36.0+k3s1", "1.36.0+k3s2", "v1.36.10+k3s1"]
    parsed = [Version.parse(text) for text in ordered]
    assert sorted(parsed[number] for number in (3, 0, 4, 1, 2)) == parsed
    assert str(parsed[-1]) == "1.36.10+k3s1"
    with pytest.raises(K3sError, match="is no version of k3s"):
        Version.parse("latest")


def test_the_steps_that_may_be_taken() -> None:
    assert refusals("1.36.4+k3s1") == ""
    assert refusals("1.36.4+k3s1", "1.36.4+k3s1") == ""
    assert refusals("1.36.4+k3s1", "1.35.8+k3s1", s2="1.35.8", s3="1.36.4") == ""
    # Back by a patch: the binary is put back, and that is all.
    assert refusals("1.36.3+k3s1", "1.36.4+k3s1") == ""


def test_the_steps_that_may_not() -> None:
    assert "older than 1.36.4+k3s1, which runs, by a minor version" in refusals("1.35.8+k3s1", "1.36.4+k3s1")
    assert "skips a minor version after 1.34.1+k3s1; set k3s_version to a 1.35 release" in refusals(
        "1.36.4+k3s1", "1.34.1+k3s1"
    )
    assert "another major version" in refusals("2.0.0+k3s1", "1.36.4+k3s1")
    assert "server s2 runs k3s 1.34.1" in refusals("1.36.4+k3s1", "", s2="1.34.1")
    assert "would be a downgrade of the API" in refusals("1.35.8+k3s1", "", s2="1.36.4")


def test_an_agent_is_never_newer_than_a_server() -> None:
    assert refusals("1.35.8+k3s1", "1.35.8+k3s1", "agent", s1="1.36.4") == ""
    assert refusals("1.36.4+k3s1", "1.35.8+k3s1", "agent", s1="1.36.4") == ""
    assert "newer than that of s1" in refusals("1.36.4+k3s1", "1.35.8+k3s1", "agent", s1="1.35.8", s2="1.36.4+k3s1")


def test_only_a_minor_asks_for_a_drain() -> None:
    assert crosses_minor("1.35.8+k3s1", "1.36.4+k3s1")
    assert not crosses_minor("1.36.3+k3s1", "1.36.4+k3s1")
    assert not crosses_minor("", "1.36.4+k3s1")
