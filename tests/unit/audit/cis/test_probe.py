# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe: what it takes from a node, and what it leaves there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit.cis import probe


def test_modes_and_owners_are_those_of_the_file_and_links_are_not_followed(tmp_path: Path) -> None:
    key = tmp_path / "a.key"
    key.write_text("", encoding="utf-8")
    key.chmod(0o640)
    (tmp_path / "b.key").symlink_to(key)
    (tmp_path / "folder.key").mkdir(mode=0o700)
    pattern = f"{tmp_path}/*.key"
    found = probe.files([pattern, f"{tmp_path}/folder.key/", "/nowhere/*"])
    assert [(Path(file["path"]).name, oct(file["mode"])) for file in found[pattern]] == [
        ("a.key", "0o640"),
        ("b.key", "0o777"),
    ]
    assert [file["mode"] for file in found[f"{tmp_path}/folder.key/"]] == [0o700]
    assert found["/nowhere/*"] == []
    followed = probe.look(str(tmp_path / "b.key"), follow=True)
    assert followed
    assert followed["mode"] == 0o640
    assert probe.look("/nowhere") is None


def test_no_secret_of_the_configuration_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "policy.yaml"
    config.write_text("token: abc\nagent-token: 'def'\ntoken-file: /t\nkubelet-arg: [a=1]\n", encoding="utf-8")
    monkeypatch.setattr(probe, "paths_like", lambda pattern: [])
    told = probe.texts(f'msg="Running kube-apiserver --audit-policy-file={config} --x=1"')
    assert told == {
        str(config): "token: (not shown)\nagent-token: (not shown)\ntoken-file: (not shown)\nkubelet-arg: [a=1]\n"
    }


def test_of_the_encryption_only_the_names_of_its_providers_are_told(tmp_path: Path) -> None:
    file = tmp_path / "encryption.json"
    file.write_text(
        '{"resources":[{"resources":["configmaps"],"providers":[{"identity":{}}]},'
        '{"resources":["secrets"],"providers":[{"aescbc":{"keys":[{"name":"k","secret":"c2VjcmV0"}]}},{"identity":{}}]}]}',
        encoding="utf-8",
    )
    assert probe.encryption(f"--encryption-provider-config={file} --x") == ["aescbc", "identity"]
    assert probe.encryption("--x") is None
    file.write_text("no json", encoding="utf-8")
    assert probe.encryption(f"--encryption-provider-config={file}") == []


def test_how_etcd_was_started_and_the_files_that_it_names(tmp_path: Path) -> None:
    config = tmp_path / "etcd.yml"
    config.write_text(
        f"name: one\ndata-dir: {tmp_path}\nlisten-client-urls: https://10.0.0.1:2379/x\n", encoding="utf-8"
    )
    etcd = probe.started(["/usr/local/bin/etcd", f"--config-file={config}"], ["ETCD_NAME=x", "PATH=/bin"])
    assert etcd["config_path"] == str(config)
    assert etcd["environment"] == {"ETCD_NAME": "x"}
    assert set(etcd["files"]) >= {str(tmp_path), str(config)}
    assert not any("2379" in path or path.startswith("//") for path in etcd["files"])
    assert probe.started(["etcd", "--config-file", str(config)], [])["config_path"] == str(config)
    assert probe.started(["etcd"], [f"ETCD_CONFIG_FILE={config}"])["config_path"] == str(config)
    assert probe.started(["etcd"], [])["config_path"] == ""


def test_only_certificates_are_taken_from_a_file_of_certificates(tmp_path: Path) -> None:
    block = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"
    file = tmp_path / "both.pem"
    file.write_text(
        f"-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n{block}\n{block}\n", encoding="utf-8"
    )
    assert probe.certificates(str(file)) == f"{block}\n{block}"
    assert probe.certificates("/nowhere") == ""
