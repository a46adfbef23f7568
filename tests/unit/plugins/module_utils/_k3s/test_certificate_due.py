# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a server gets another certificate for the datastore."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._k3s import api, look
from ansible_collections.holdfast.edge.plugins.plugin_utils._authority import Authority, Order

DAY = 86400


@pytest.fixture
def authority() -> Authority:
    return Authority.create("etcd")


def due(folder: Path, signed_by: Authority, signs_now: str = "", after_days: int = 0) -> bool:
    issued = signed_by.issue(Order("client", "k3s-server"))
    files = {"ca.crt": signed_by.certificates, "client.crt": issued.certificate, "client.key": issued.key}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    identity = api.Identity(*(folder / name for name in files))
    question = look.Question("server", "n1", etcd=identity, etcd_signer=signs_now)
    return look._certificate_due(question, time.time() + after_days * DAY)


def test_a_fresh_certificate_is_not_due(tmp_path: Path, authority: Authority) -> None:
    assert not due(tmp_path, authority)
    assert not due(tmp_path, authority, authority.signer)


@pytest.mark.parametrize(("days", "expected"), [(240, False), (270, True), (400, True)])
def test_one_near_its_end_is_due(tmp_path: Path, authority: Authority, days: int, expected: bool) -> None:
    assert due(tmp_path, authority, authority.signer, days) == expected


def test_one_of_an_authority_that_no_longer_signs_is_due_before_that_one_is_forgotten(
    tmp_path: Path, authority: Authority
) -> None:
    both = authority.begin("etcd")
    assert not due(tmp_path, authority, both.signer)
    switched = both.switch()
    assert switched.signer != authority.signer
    assert due(tmp_path, authority, switched.signer)
    assert not due(tmp_path, switched, switched.end().signer)


def test_a_missing_one_is_due(tmp_path: Path, authority: Authority) -> None:
    identity = api.Identity(*(tmp_path / name for name in ("ca.crt", "client.crt", "client.key")))
    assert look._certificate_due(look.Question("server", "n1", etcd=identity), time.time())


def test_whom_the_datastore_trusts_is_told_by_its_member_before_the_server(tmp_path: Path) -> None:
    """By this the controller sees that its own authority is not the datastore's, before it signs for anybody."""
    server, member = (
        api.Identity(*(tmp_path / name / file for file in ("ca.crt", "client.crt", "client.key")))
        for name in ("server", "member")
    )
    question = look.Question("server", "n1", etcd=server, etcd_before=member)
    assert look._authority(question) == ""
    for who, text in ((server, "as the server has it"), (member, "as the member has it")):
        who.authority.parent.mkdir()
        who.authority.write_text(text, encoding="utf-8")
        assert look._authority(question) == text
