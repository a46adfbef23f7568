# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bundle.yml signs with an operator's key; whoever names the public key takes nothing that another wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.bundle_bench import BundleBench, bundle_bench, released
from tests.integration.bundle_server import SHA256, BadServer
from tests.integration.signing import PASSPHRASE, image_entry, make_key
from tests.playbook import Run, run_playbook

TOOL = "amd64/bin/tool/1.0/tool"
SIGNATURES = ["amd64/images/web-1.0.cosign.tar", "bundle.json.sig"]
Wish = dict[str, Any]


@pytest.fixture
def bench(tmp_path: Path, server: BadServer) -> Iterator[BundleBench]:
    with bundle_bench(tmp_path / "bench") as bench:
        url = server.url("good/file")
        bench.write(released("tool", url, SHA256), image_entry("web", url))
        yield bench


@pytest.fixture
def key(tmp_path: Path) -> Wish:
    """What the machine that signs is told."""
    return {"bundle_signing_key": str(make_key(tmp_path)[0]), "bundle_signing_passphrase": PASSPHRASE}


@pytest.fixture
def trust(tmp_path: Path, key: Wish) -> Wish:
    """What those are told who take bundles; as inventories have it, from a file."""
    return {"bundle_public_keys": ["{{ lookup('ansible.builtin.file', '" + str(tmp_path / "bundle.pub") + "') }}"]}


@pytest.fixture
def bring(tmp_path: Path) -> Callable[[Path, Wish], Run]:
    """The role that brings a program to a node; this machine is the node, and nothing is written on it."""
    playbook = tmp_path / "bring.yml"
    role = {"name": "holdfast.edge.artifact"}
    variables = {"artifact_name": "tool", "artifact_bundle_path": "{{ bundle_path }}"}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{"name": "Bring it", "ansible.builtin.include_role": role, "vars": variables}],
    }
    playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
    return lambda bundle, more: run_playbook(
        playbook, extravars={"bundle_path": str(bundle), **more}, cmdline="--check"
    )


def test_a_bundle_is_signed_once_and_taken_by_those_who_ask_for_it(
    bench: BundleBench, key: Wish, trust: Wish, bring: Callable[[Path, Wish], Run]
) -> None:
    planned = bench.run("--check --diff", **key)
    assert (planned.rc, planned.results("Sign it")[0]["changed"]) == (0, True), planned.stdout
    first = bench.run("-vvv --diff", **key)
    assert (first.rc, first.results("Sign it")[0]["made"]) == (0, SIGNATURES), first.stdout
    events = first.stdout + str(first.events)
    assert PASSPHRASE not in events.replace(f"'bundle_signing_passphrase': '{PASSPHRASE}'", "")
    assert "PRIVATE KEY" not in events
    before = bench.tree()
    again = bench.run(**key)
    assert (again.rc, dict(again.changed)) == (0, {}), again.stdout
    unsigned_run = bench.run()
    assert not unsigned_run.changed and "signed before, and unchanged since" in unsigned_run.stdout
    assert not bench.run("--check", **key).changed
    assert bench.tree() == before
    judged = bench.run("--tags verify", **trust)
    assert judged.rc == 0 and first.results("Sign it")[0]["signer"] in judged.stdout
    brought = bring(bench.bundle, trust)
    assert (brought.rc, dict(brought.changed)) == (0, {"localhost": 1}), brought.stdout


def test_what_changes_later_is_not_signed_and_a_new_signature_mends_it(
    bench: BundleBench, server: BadServer, key: Wish, trust: Wish
) -> None:
    assert bench.run(**key).rc == 0
    bench.write(released("tool", server.url("good/file"), SHA256))
    dropped = bench.run()
    assert dropped.rc == 0 and "not signed" in dropped.stdout
    refused = bench.run("--tags verify", **trust)
    assert refused.rc != 0 and "there is no bundle.json.sig" in refused.failures[0]
    assert bench.run("--check", **key).changed == {"localhost": 1}
    assert bench.run(**key).rc == 0
    assert bench.run("--tags verify", **trust).rc == 0


def test_a_bundle_of_somebody_else_reaches_no_node_and_takes_no_place(
    bench: BundleBench, key: Wish, trust: Wish, tmp_path: Path, bring: Callable[[Path, Wish], Run]
) -> None:
    good, forged = tmp_path / "good.tar", tmp_path / "forged.tar"
    assert bench.run("--tags make,pack", bundle_archive_path=str(good), **key).rc == 0
    there: Wish = {"bundle_path": str(tmp_path / "there")}
    unpacked = bench.run("--tags unpack,verify", **there, **trust, bundle_archive_path=str(good))
    assert unpacked.rc == 0, unpacked.failures
    # Someone changes a program, and makes the list fit.
    (bench.bundle / TOOL).write_bytes(b"evil")
    manifest = json.loads((bench.bundle / "bundle.json").read_text(encoding="utf-8"))
    (entry,) = (entry for entry in manifest["files"] if entry["path"] == TOOL)
    entry.update(size=4, sha256=hashlib.sha256(b"evil").hexdigest())
    (bench.bundle / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert bench.run("--tags verify,pack", bundle_archive_path=str(forged)).rc == 0
    before = {path: path.read_bytes() for path in (tmp_path / "there").rglob("*") if path.is_file()}
    for run in (
        bench.run("--tags unpack", **there, **trust, bundle_archive_path=str(forged)),
        bench.run("--tags unpack --check", **there, **trust, bundle_archive_path=str(forged)),
        bench.run("--tags verify", **trust),
        bring(bench.bundle, trust),
    ):
        assert run.rc != 0 and not run.changed
        assert "so it was changed after it was signed, or somebody else signed it" in run.failures[0]
        assert "what is on nodes is untouched" in run.failures[0]
    assert {path: path.read_bytes() for path in (tmp_path / "there").rglob("*") if path.is_file()} == before
    # Nobody is protected who asks for no signature, and that is said.
    assert bring(bench.bundle, {}).rc == 0
    assert "bundle_public_keys names no key" in bench.run("--tags verify").stdout


def test_a_wrong_passphrase_leaves_an_unsigned_bundle_and_says_so(bench: BundleBench, key: Wish) -> None:
    run = bench.run(**{**key, "bundle_signing_passphrase": "of-someone-else"})
    assert run.rc != 0 and "its passphrase is wrong. Nothing was signed" in run.failures[0]
    assert not (bench.bundle / "bundle.json.sig").exists()
