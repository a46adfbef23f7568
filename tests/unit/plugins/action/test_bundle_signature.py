# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle is taken on the word of those whom the play names, and of nobody else; openssl reads the same signature."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible_collections.holdfast.edge.plugins.action import (
    backup_keys,
    bundle_archive,
    bundle_signature,
    node_artifact,
)
from ansible_collections.holdfast.edge.plugins.lookup.bundle_entries import LookupModule
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import archive
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.image import CONFIG, MANIFEST
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import Entry, render
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import Progress
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.tarballs import add_bytes
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.look import look
from ansible_collections.holdfast.edge.plugins.plugin_utils import _cosign
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TOOL, IMAGE = "amd64/bin/tool/1/tool", "amd64/images/shop-1.tar"
PROOF = "amd64/images/shop-1.cosign.tar"
REFUSED = "Nothing was taken from it, and what is on nodes is untouched"
PASSWORD = VaultSecret(b"site")


class Signer:
    """A key, in a file as an operator has it, and its public half."""

    def __init__(self, folder: Path, passphrase: str = "", curve: ec.EllipticCurve | None = None) -> None:
        self.key = ec.generate_private_key(curve or ec.SECP256R1())
        self.passphrase = passphrase
        self.path = folder / f"{id(self)}.key"
        seal = (
            serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
        )
        self.path.write_bytes(
            self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, seal)
        )
        self.public = (
            self.key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A program and an image."""
    bundle = tmp_path / "bundle"
    (bundle / TOOL).parent.mkdir(parents=True)
    (bundle / TOOL).write_bytes(b"tool")
    (bundle / IMAGE).parent.mkdir(parents=True)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG}}).encode()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    index = {"manifests": [{"mediaType": MANIFEST, "digest": digest, "size": len(manifest)}]}
    with tarfile.open(bundle / IMAGE, "w") as tar:
        add_bytes(tar, "index.json", json.dumps(index).encode())
        add_bytes(tar, f"blobs/{digest.replace(':', '/')}", manifest)
    write_manifest(bundle)
    return bundle


def write_manifest(bundle: Path) -> None:
    def entry(path: str, kind: str, reference: str = "") -> Entry:
        content = (bundle / path).read_bytes()
        digest, name = hashlib.sha256(content).hexdigest(), "shop" if kind == "image" else "tool"
        return Entry(path, name, "1", kind, "amd64", "build", len(content), digest, "MIT", "x", "y", reference)

    entries = [entry(TOOL, "binaries"), entry(IMAGE, "image", "registry.example/shop:1")]
    (bundle / "bundle.json").write_text(render(entries), encoding="utf-8")


def act(
    plugin: type[ActionBase], given: dict[str, Any], keys: list[str] | None = None, check_mode: bool = False
) -> dict[str, Any]:
    loader = DataLoader()
    loader.set_vault_secrets([("default", PASSWORD)])
    task = Task()
    task.args, task.check_mode = given, check_mode
    variables = {"inventory_hostname": "node1", **({"bundle_public_keys": keys} if keys is not None else {})}
    connection = MagicMock(transport="local")
    templar = Templar(loader=loader, variables=variables)
    result: dict[str, Any] = plugin(task, connection, MagicMock(), loader, templar, None).run(None, variables)
    return result


def sign(bundle: Path, signer: Signer, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    arguments = {"path": str(bundle), "key": str(signer.path), "passphrase": signer.passphrase, **given}
    return act(bundle_signature.ActionModule, arguments, check_mode=check_mode)


def judge(bundle: Path, *signers: Signer) -> dict[str, Any]:
    return act(bundle_signature.ActionModule, {"path": str(bundle)}, [signer.public for signer in signers])


def test_it_is_signed_once_and_found_good(bundle: Path, signer: Signer) -> None:
    shown = sign(bundle, signer, check_mode=True)
    assert shown["changed"] and shown["made"] == [PROOF, "bundle.json.sig"]
    assert not (bundle / "bundle.json.sig").exists() and not (bundle / PROOF).exists()
    assert sign(bundle, signer)["changed"]
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    assert not sign(bundle, signer)["changed"]
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    good = judge(bundle, signer)
    assert not good.get("failed") and good["signer"] in good["summary"]
    assert archive.verify_bundle(bundle)[1] == []


def test_openssl_finds_the_signature_good_too(bundle: Path, signer: Signer, tmp_path: Path) -> None:
    sign(bundle, signer)
    (tmp_path / "key.pub").write_text(signer.public, encoding="utf-8")
    (tmp_path / "raw").write_bytes(base64.b64decode((bundle / "bundle.json.sig").read_bytes()))
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pub", "-signature", "raw", str(bundle / "bundle.json")]
    assert subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout == "Verified OK\n"


def test_one_signed_by_openssl_is_taken(bundle: Path, signer: Signer, tmp_path: Path) -> None:
    command = ["openssl", "dgst", "-sha256", "-sign", str(signer.path), str(bundle / "bundle.json")]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    (bundle / "bundle.json.sig").write_bytes(base64.encodebytes(raw))
    assert judge(bundle, signer)["signer"]


def test_the_image_is_signed_over_its_manifest_and_its_name(bundle: Path, signer: Signer) -> None:
    sign(bundle, signer)
    image = _cosign.image_in(bundle / IMAGE, "registry.example/shop:1")
    assert image is not None
    told = json.loads(image.payload)["critical"]
    assert told["image"]["docker-manifest-digest"] == image.descriptor["digest"]
    assert told["identity"]["docker-reference"] == "registry.example/shop:1"
    signature = base64.b64decode(_cosign.signature_in((bundle / PROOF).read_bytes()))
    signer.key.public_key().verify(signature, image.payload, ec.ECDSA(hashes.SHA256()))


def test_a_key_is_exchanged_while_both_are_trusted(bundle: Path, signer: Signer, tmp_path: Path) -> None:
    new = Signer(tmp_path)
    sign(bundle, signer)
    assert "failed" not in judge(bundle, new, signer)
    assert "somebody else signed it" in judge(bundle, new)["msg"]
    again = sign(bundle, new)
    assert again["changed"] and again["made"] == [PROOF, "bundle.json.sig"]
    assert judge(bundle, signer, new)["signer"] == again["signer"]
    assert judge(bundle, signer)["failed"]


def _unsigned(bundle: Path) -> None:
    (bundle / "bundle.json.sig").unlink()


def _another_list(bundle: Path) -> None:
    (bundle / TOOL).write_bytes(b"evil")
    write_manifest(bundle)


def _empty(bundle: Path) -> None:
    (bundle / "bundle.json.sig").write_bytes(b"")


def _no_base64(bundle: Path) -> None:
    (bundle / "bundle.json.sig").write_bytes(b"\xff not base64")


def _other_content(bundle: Path) -> None:
    (bundle / "bundle.json.sig").write_bytes(base64.b64encode(b"no signature at all"))


def _of_the_image(bundle: Path) -> None:
    (bundle / "bundle.json.sig").write_bytes(_cosign.signature_in((bundle / PROOF).read_bytes()))


def _a_link(bundle: Path) -> None:
    (bundle / "bundle.json.sig").rename(bundle.parent / "elsewhere.sig")
    (bundle / "bundle.json.sig").symlink_to(bundle.parent / "elsewhere.sig")


DAMAGE: list[tuple[Callable[[Path], None], str]] = [
    (_unsigned, "there is no bundle.json.sig"),
    (_another_list, "was not signed as it is"),
    (_empty, "was not signed as it is"),
    (_no_base64, "was not signed as it is"),
    (_other_content, "was not signed as it is"),
    (_of_the_image, "was not signed as it is"),
    (_a_link, "there is no bundle.json.sig"),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE)
def test_whatever_is_not_as_it_was_signed_is_refused_by_all_who_read_it(
    bundle: Path, signer: Signer, damage: Callable[[Path], None], sentence: str
) -> None:
    sign(bundle, signer)
    damage(bundle)
    keys = [signer.public]
    readers: list[tuple[type[ActionBase], dict[str, Any]]] = [
        (bundle_signature.ActionModule, {"path": str(bundle)}),
        (node_artifact.ActionModule, {"name": "tool", "bundle_path": str(bundle)}),
    ]
    for plugin, given in readers:
        refused = _looked(plugin, given, keys)
        assert refused["failed"] and not refused.get("changed"), plugin
        assert sentence in refused["msg"] and REFUSED in refused["msg"] and str(bundle) in refused["msg"]
        assert "failed" not in _looked(plugin, given, None)
    with pytest.raises(AnsibleError, match=sentence):
        entries(bundle, keys)
    assert len(entries(bundle, None)) == 2


def test_backups_are_sealed_by_a_program_of_a_trusted_bundle_which_is_asked_for_nothing_else(
    bundle: Path, signer: Signer, tmp_path: Path
) -> None:
    given = {"secrets_path": str(tmp_path / "secrets"), "bundle_path": str(bundle)}
    refused = act(backup_keys.ActionModule, given, [signer.public])
    assert refused["failed"] and "there is no bundle.json.sig" in refused["msg"] and REFUSED in refused["msg"]
    assert not (tmp_path / "secrets").exists()
    named = act(backup_keys.ActionModule, {**given, "recipients": ["age1somebody"]}, [signer.public])
    assert named["recipients"] == ["age1somebody"] and "failed" not in named


def _looked(plugin: type[ActionBase], given: dict[str, Any], keys: list[str] | None) -> dict[str, Any]:
    """In check mode, on a node that has nothing of it."""
    seen = look("tool", "", {}, Path("/nowhere"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugin, "_execute_module", lambda *_given, **_named: {"seen": seen}, raising=False)
        return act(plugin, given, keys, check_mode=True)


def entries(bundle: Path, keys: list[str] | None, **options: Any) -> list[dict[str, Any]]:
    variables = {"bundle_public_keys": keys} if keys else {}
    loader = DataLoader()
    templar = Templar(loader=loader, variables=variables)
    return LookupModule(loader=loader, templar=templar).run([str(bundle)], variables, **options)


def test_a_program_that_the_controller_would_run_is_compared_before(bundle: Path, signer: Signer) -> None:
    sign(bundle, signer)
    assert len(entries(bundle, [signer.public], use=["tool"])) == 2
    (bundle / TOOL).write_bytes(b"evil")
    assert len(entries(bundle, [signer.public])) == 2
    with pytest.raises(AnsibleError, match="was changed after the bundle was made"):
        entries(bundle, [signer.public], use=["tool"])


def test_a_file_that_was_exchanged_goes_to_no_node_although_the_list_is_signed(bundle: Path, signer: Signer) -> None:
    sign(bundle, signer)
    (bundle / TOOL).write_bytes(b"evil")
    refused = _looked(node_artifact.ActionModule, {"name": "tool", "bundle_path": str(bundle)}, [signer.public])
    assert "was changed after the bundle was made" in refused["msg"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (["nonsense"], "bundle_public_keys, entry 1 is no public key as PEM"),
        ("-----BEGIN PUBLIC KEY-----", "must be a list of public keys"),
        ([1], "must be a list of public keys"),
        ([""], "entry 1 is no public key"),
        ("", "must be a list of public keys"),
    ],
)
def test_what_is_no_public_key_refuses_instead_of_trusting_anyone(bundle: Path, keys: Any, sentence: str) -> None:
    refused = act(bundle_signature.ActionModule, {"path": str(bundle)}, keys)
    assert refused["failed"] and sentence in refused["msg"]


def test_keys_of_another_kind_are_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    other = Signer(tmp_path, curve=ec.SECP384R1())
    assert "P-256" in judge(bundle, other)["msg"]
    assert "P-256" in sign(bundle, other)["msg"]
    private = act(bundle_signature.ActionModule, {"path": str(bundle)}, [other.path.read_text(encoding="utf-8")])
    assert "is no public key" in private["msg"] and "PRIVATE" not in private["msg"]


def test_a_sealed_key_wants_its_passphrase_and_shows_neither(bundle: Path, tmp_path: Path) -> None:
    sealed = Signer(tmp_path, passphrase="of-the-signer")
    assert "no passphrase was given" in sign(bundle, sealed, passphrase="")["msg"]
    assert "passphrase is wrong" in sign(bundle, sealed, passphrase="of-someone-else")["msg"]
    done = sign(bundle, sealed)
    assert done["changed"] and "of-the-signer" not in repr(done)
    assert "a passphrase was given" in sign(bundle, Signer(tmp_path), passphrase="superfluous")["msg"]


def test_a_key_may_be_sealed_with_the_vault_of_the_play(bundle: Path, signer: Signer) -> None:
    plain = signer.path.read_bytes()
    signer.path.write_bytes(VaultLib([("default", PASSWORD)]).encrypt(plain))
    assert sign(bundle, signer)["changed"]
    assert judge(bundle, signer)["signer"]
    signer.path.write_bytes(VaultLib([("default", VaultSecret(b"other"))]).encrypt(plain))
    assert "cannot open it" in sign(bundle, signer)["msg"]


def test_signatures_travel_and_a_tar_of_somebody_else_leaves_the_bundle_as_it_was(
    bundle: Path, signer: Signer, tmp_path: Path
) -> None:
    def pack(name: str) -> Path:
        archive.pack(bundle, tmp_path / name, Progress(), False, threading.Event())
        return tmp_path / name

    def unpack(stick: Path, to: Path, keys: list[str] | None) -> dict[str, Any]:
        """The action, which judges, and then what the module does."""
        given: dict[str, Any] = {"path": str(to), "archive": str(stick), "state": "unpacked", "manifest_sha256": ""}

        def module(self: Any, module_args: dict[str, Any] | None = None, **_named: Any) -> dict[str, Any]:
            arguments = module_args or given
            done = archive.unpack(stick, to, arguments["manifest_sha256"], Progress(), False, threading.Event())
            return {"changed": done.changed, "pinned": arguments["manifest_sha256"]}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundle_archive.ActionModule, "_execute_module", module, raising=False)
            return act(bundle_archive.ActionModule, given, keys)

    unsigned = pack("unsigned.tar")
    sign(bundle, signer)
    signed, there = pack("signed.tar"), tmp_path / "there"
    done = unpack(signed, there, [signer.public])
    assert done["changed"] and done["pinned"] == hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    assert (there / "bundle.json.sig").read_bytes() == (bundle / "bundle.json.sig").read_bytes()
    assert (there / PROOF).read_bytes() == (bundle / PROOF).read_bytes()
    assert not unpack(signed, there, [signer.public])["changed"]

    (bundle / TOOL).write_bytes(b"evil")
    write_manifest(bundle)
    foreign = pack("foreign.tar")
    before = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    for stick, sentence in ((unsigned, "there is no bundle.json.sig"), (foreign, "was not signed as it is")):
        refused = unpack(stick, there, [signer.public])
        assert refused["failed"] and sentence in refused["msg"] and str(stick) in refused["msg"]
    assert {path: path.read_bytes() for path in there.rglob("*") if path.is_file()} == before
    assert unpack(unsigned, there, None)["changed"] and not (there / "bundle.json.sig").exists()
    shutil.rmtree(there)
