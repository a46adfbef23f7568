# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authority of the datastore stays on the controller: made once, sealed, and never exchanged by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible_collections.holdfast.edge.plugins.action.etcd_certificates import NAME, ActionModule

CLIENT = [{"name": "k3s", "common_name": "k3s-server"}]


def sign(folder: Path | None, check_mode: bool = False, password: bytes = b"", **given: Any) -> dict[str, Any]:
    loader = DataLoader()
    if password:
        loader.set_vault_secrets([("default", VaultSecret(password))])
    task = Task()
    task.args = {"certificates": CLIENT, **({"path": str(folder)} if folder else {}), **given}
    task.check_mode = check_mode
    templar = Templar(loader=loader, variables={})
    result: dict[str, Any] = ActionModule(task, MagicMock(), MagicMock(), loader, templar, None).run(None, {})
    return {**result, "hidden": task.no_log}


def test_an_authority_is_made_once_and_its_result_is_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    first, second = sign(folder), sign(folder)
    assert first["hidden"]
    assert (first["ca_created"], second["ca_created"]) == (True, False)
    assert first["ca_certificate"] == second["ca_certificate"]
    assert first["certificates"]["k3s"]["key"] != second["certificates"]["k3s"]["key"]
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    assert sign(folder, check_mode=True)["ca_created"]
    assert not folder.exists()


def test_a_vault_secret_seals_the_authority(tmp_path: Path) -> None:
    made = sign(tmp_path, password=b"open sesame")
    assert (tmp_path / NAME).read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT;")
    assert sign(tmp_path, password=b"open sesame")["ca_certificate"] == made["ca_certificate"]
    assert "sealed with Ansible Vault and this run cannot open it" in sign(tmp_path, password=b"wrong")["msg"]


def test_another_authority_than_that_of_the_members_signs_nothing(tmp_path: Path) -> None:
    right = sign(tmp_path / "right")["ca_certificate"]
    sign(tmp_path / "wrong")
    assert sign(tmp_path / "right", trusted=[right])["changed"]
    assert "is not the one that the members trust" in sign(tmp_path / "wrong", trusted=[right])["msg"]


def test_an_authority_that_was_lost_is_not_made_anew(tmp_path: Path) -> None:
    right = sign(tmp_path / "right")["ca_certificate"]
    assert "Bring the file back from a backup" in sign(tmp_path / "lost", trusted=[right])["msg"]
    assert not (tmp_path / "lost" / NAME).exists()


def test_an_authority_may_be_given_as_variables(tmp_path: Path) -> None:
    sign(tmp_path)
    text = (tmp_path / NAME).read_text(encoding="utf-8")
    cut = text.index("-----BEGIN CERTIFICATE")
    given: dict[str, Any] = {"ca_key": text[:cut], "ca_certificate": text[cut:]}
    assert sign(None, **given)["ca_certificate"] == text[cut:]
    assert "is changed there" in sign(None, rotate="begin", **given)["msg"]
    assert "must hold a private key" in sign(None, ca_certificate=text[cut:])["msg"]
    assert "Give the folder of secrets" in sign(None)["msg"]


@pytest.mark.parametrize("days", [0, 366])
def test_a_certificate_that_nobody_should_have_makes_no_authority(tmp_path: Path, days: int) -> None:
    told = sign(tmp_path / "site", certificates=[{"name": "k3s", "days": days}])
    assert f"a certificate for {days} days was asked for" in told["msg"]
    assert not (tmp_path / "site").exists()
