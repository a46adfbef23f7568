# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate of the site: made once, anew when it is due, and good for those who trust the site's authority."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret
from ansible.playbook.task import Task
from ansible.template import Templar
from ansible_collections.holdfast.edge.plugins.action.site_certificate import ActionModule
from ansible_collections.holdfast.edge.plugins.plugin_utils._authority import Authority, Order
from cryptography import x509

NAMES = ["10.0.0.10", "fd00::a", "answers.example.org"]


def have(folder: Path, check_mode: bool = False, password: bytes = b"", **given: Any) -> dict[str, Any]:
    loader = DataLoader()
    if password:
        loader.set_vault_secrets([("default", VaultSecret(password))])
    task = Task()
    task.args = {"path": str(folder), "name": "gateway", "authority": "answers-ca", "names": NAMES, **given}
    task.check_mode = check_mode
    templar = Templar(loader=loader, variables={})
    result: dict[str, Any] = ActionModule(task, MagicMock(), MagicMock(), loader, templar, None).run(None, {})
    assert result.get("failed") or task.no_log
    return result


def test_it_is_made_once_and_signed_by_the_authority_that_clients_are_given(tmp_path: Path) -> None:
    first, second = have(tmp_path / "site"), have(tmp_path / "site")
    assert (first["changed"], first["reason"]) == (True, "it is missing")
    assert (second["changed"], second["reason"]) == (False, "")
    assert (first["certificate"], first["key"]) == (second["certificate"], second["key"])
    authority = x509.load_pem_x509_certificate(Path(first["authority_path"]).read_bytes())
    certificate = x509.load_pem_x509_certificate(first["certificate"].encode())
    certificate.verify_directly_issued_by(authority)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "site").iterdir()}
    assert (modes["gateway.pem"], modes["answers-ca.pem"]) == (0o600, 0o600)
    assert "PRIVATE KEY" not in Path(first["authority_path"]).read_text(encoding="utf-8")
    both = tmp_path / "both.pem"
    both.write_text(first["key"] + first["certificate"], encoding="utf-8")
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(both)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"names": [*NAMES, "10.0.0.11"]}, "its names are not those"),
        ({"renew_share": 1.0}, "days left, less than 100%"),
    ],
)
def test_it_is_made_anew_when_it_is_due(tmp_path: Path, given: dict[str, Any], reason: str) -> None:
    first = have(tmp_path)
    again = have(tmp_path, **given)
    assert again["changed"] and reason in again["reason"]
    assert again["certificate"] != first["certificate"]
    assert again["authority"] == first["authority"]


@pytest.mark.parametrize("served", [True, False], ids=["as it is served", "as clients were given it"])
@pytest.mark.parametrize(
    ("another", "said"), [(False, "is not there, and clients trust"), (True, "is not the authority")]
)
def test_another_authority_is_refused_unless_it_is_wanted(
    tmp_path: Path, served: bool, another: bool, said: str
) -> None:
    first = have(tmp_path)
    known = {"served": first["certificate"]} if served else {}
    (tmp_path / "answers-ca.pem").unlink()
    if another:
        (tmp_path / "answers-ca.pem").write_text(Authority.create("answers-ca").text, encoding="utf-8")
    if served:
        # Another controller, or another folder: only what is served tells it.
        (tmp_path / "answers-ca.crt").unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for check_mode in (False, True):
        refused = have(tmp_path, check_mode, **known)
        assert refused["failed"] and said in refused["msg"] and "inference_new_authority" in refused["msg"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    second = have(tmp_path, **known, replace_authority=True)
    assert second["reason"] == "another authority signs now"
    assert second["authority"] != first["authority"]
    assert Path(second["authority_path"]).read_text(encoding="utf-8") == second["authority"]
    assert not have(tmp_path, served=second["certificate"])["changed"]


def test_what_the_kept_authority_signed_is_no_reason_to_refuse(tmp_path: Path) -> None:
    first = have(tmp_path)
    (tmp_path / "answers-ca.crt").write_text(Authority.create("answers-ca").certificates, encoding="utf-8")
    again = have(tmp_path, served=first["certificate"])
    assert again["changed"] and again["certificate"] == first["certificate"]
    assert Path(first["authority_path"]).read_text(encoding="utf-8") == first["authority"]


def test_what_an_authority_of_others_signed_is_not_replaced_in_silence(tmp_path: Path) -> None:
    of_others = Authority.create("company").issue(Order("server", "gateway", ("10.0.0.10",))).certificate
    assert "is not there" in have(tmp_path, served=of_others)["msg"]
    assert list(tmp_path.iterdir()) == []


def test_check_mode_writes_nothing_and_tells_what_would_change(tmp_path: Path) -> None:
    assert have(tmp_path / "site", check_mode=True)["changed"]
    assert not (tmp_path / "site").exists()
    have(tmp_path / "site")
    before = {path: path.read_bytes() for path in (tmp_path / "site").iterdir()}
    assert not have(tmp_path / "site", check_mode=True)["changed"]
    assert have(tmp_path / "site", check_mode=True, names=["other"])["changed"]
    assert {path: path.read_bytes() for path in (tmp_path / "site").iterdir()} == before


def test_a_vault_secret_seals_both_keys(tmp_path: Path) -> None:
    made = have(tmp_path, password=b"open sesame")
    sealed = {path.name for path in tmp_path.iterdir() if path.read_bytes().startswith(b"$ANSIBLE_VAULT;")}
    assert sealed == {"gateway.pem", "answers-ca.pem"}
    assert have(tmp_path, password=b"open sesame")["certificate"] == made["certificate"]
    assert "this run cannot open it" in have(tmp_path, password=b"wrong")["msg"]


@pytest.mark.parametrize(("given", "said"), [({"names": []}, "needs names"), ({"days": 4000}, "ask for 1 to 365")])
def test_what_nobody_should_have_is_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    assert said in have(tmp_path, **given)["msg"]
    assert list(tmp_path.iterdir()) == []
