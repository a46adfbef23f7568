# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a sealed backup on the controller, proves it, and brings it to a node's memory. The identity stays here."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.parsing.vault import VaultLib, match_encrypt_secret
from ansible.plugins.action import ActionBase
from ansible_collections.holdfast.edge.plugins.module_utils._backup.controller import (
    find_program,
    put_missing,
    write_private,
)
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError
from ansible_collections.holdfast.edge.plugins.module_utils._backup.fitness import faults, newest
from ansible_collections.holdfast.edge.plugins.module_utils._backup.make import file_system_of
from ansible_collections.holdfast.edge.plugins.module_utils._backup.opening import open_controller_part, open_node_part
from ansible_collections.holdfast.edge.plugins.module_utils._backup.restore import BEFORE, STAGE, password_of, unused
from ansible_collections.holdfast.edge.plugins.module_utils._backup.shape import (
    IDENTITY,
    MANIFEST,
    Manifest,
    Sealed,
    inspect,
)
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import Entry
from ansible_collections.holdfast.edge.plugins.module_utils._site_secret import SecretError, Wish, obtain
from ansible_collections.holdfast.edge.plugins.plugin_utils._bundle_trust import keys_of_play, read_trusted

from .backup_keys import open_vault

# Secrets of the controller, and where a node has them.
TOKENS = {"k3s-token": "k3s/token", "k3s-agent-token": "k3s/agent-token"}
ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "bundle_path": {"type": "path", "required": True},
    "identity_file": {"type": "path", "default": ""},
    "secrets_path": {"type": "path"},
    "to": {"type": "path"},
    "replace": {"type": "bool", "default": False},
    "site": {"type": "str", "default": ""},
    "other_site": {"type": "bool", "default": False},
    "etcd_version": {"type": "str", "default": ""},
    "k3s_version": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Without `to` it only proves and tells; with it the files are put into that folder of the node."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        path = Path(arguments["path"])
        try:
            if not path.is_file():
                raise BackupError(f"{path} is not there, so nothing was restored. Check the path.")
            sealed = inspect(path)
            bundle = Path(arguments["bundle_path"])
            entries = read_trusted(bundle, keys_of_play(task_vars or {}, self._templar)) or ()
            age = find_program("age", bundle, entries)
            identity = self._identity(sealed, arguments["identity_file"])
            to = arguments["to"] if not self._task.check_mode else None
            back: list[str] = []
            with _workshop() as work:
                manifest = open_node_part(age, identity, sealed, work)
                if to:
                    self._carry(work, manifest, to, task_vars or {})
                if arguments["secrets_path"] and not self._task.check_mode:
                    folder = Path(arguments["secrets_path"])
                    back = put_missing(folder, open_controller_part(age, identity, sealed))
                    for name, source in TOKENS.items():
                        if (work / source).is_file():
                            token = (work / source).read_text(encoding="utf-8")
                            back += [name] * self._keep_token(folder, name, token, arguments["replace"])
        except (BackupError, BundleError, SecretError) as error:
            return {**result, "failed": True, "msg": str(error)}
        except OSError as error:
            return {
                **result,
                "failed": True,
                "msg": f"The controller refused: {error}. Put that right, then run this again.",
            }
        return {
            **result,
            "changed": bool(arguments["to"]) or bool(back),
            "header": {"site": manifest.header.site, "node": manifest.header.node, "created": manifest.header.created},
            "nodes": dict(manifest.nodes),
            "etcd": dict(manifest.etcd),
            "k3s": dict(manifest.k3s),
            "files": [file.path for file in manifest.files],
            "faults": self._faults(manifest, arguments, entries),
            "secrets_back": back,
        }

    def _faults(self, manifest: Manifest, arguments: dict[str, Any], entries: Sequence[Entry]) -> list[str]:
        """The versions are those that were asked for, else the newest of the bundle, as the roles choose them."""
        wanted = {
            name: arguments[f"{name}_version"] or newest({entry.version for entry in entries if entry.name == name})
            for name in ("etcd", "k3s")
        }
        return list(faults(manifest, arguments["site"], arguments["other_site"], wanted["etcd"], wanted["k3s"]))

    def _identity(self, sealed: Sealed, given: str | None) -> bytes:
        if given:
            content = Path(given).read_bytes()
        elif IDENTITY in sealed.parts:
            content = sealed.small(IDENTITY)
        else:
            raise BackupError(
                f"{sealed.path} is sealed for an age identity. Nothing was changed. Give the file that holds it with "
                "backup_identity_file."
            )
        return open_vault(self._loader, content) if content.startswith(b"$ANSIBLE_VAULT;") else content

    def _carry(self, work: Path, manifest: Manifest, to: str, task_vars: dict[str, Any]) -> None:
        """The node makes the folder in a tmpfs, for the user who connects, and one tar goes straight there."""
        made = self._execute_module(
            "holdfast.edge.restore_node", {"path": to, "state": "prepared"}, task_vars=task_vars
        )
        if made.get("failed"):
            raise BackupError(str(made.get("msg")))
        (work / MANIFEST).write_bytes(manifest.render())
        # The node's old configuration is for people to read; roles write the new one.
        names = [file.path for file in manifest.files if not file.path.startswith("configuration/")]
        with tarfile.open(work / STAGE, "w") as tar:
            for name in (MANIFEST, *names):
                tar.add(work / name, arcname=name)
        self._connection.put_file(str(work / STAGE), f"{to}/{STAGE}")

    def _keep_token(self, folder: Path, name: str, token: str, replace: bool) -> bool:
        """The token that opens the datastore of the backup becomes the site's; whether the controller had another."""
        secrets = self._loader._vault.secrets
        vault = VaultLib(secrets)

        def seal(plain: bytes) -> bytes:
            vault_id, secret = match_encrypt_secret(secrets)
            sealed: bytes = vault.encrypt(plain, secret=secret, vault_id=vault_id if vault_id != "default" else None)
            return sealed

        def unseal(sealed: bytes) -> bytes:
            return open_vault(self._loader, sealed)

        path = folder / name
        if path.is_file() and not replace:
            present = obtain(Wish(folder, name), None, unseal, check_mode=True).value
            if password_of(present) != password_of(token):
                raise BackupError(
                    f"{path} is another token than the one that opens this backup. Nothing was changed. If the site "
                    "shall go back to it, run this again with -e restore_replace=true; the present one is then kept "
                    "beside it."
                )
            return False
        if path.is_file():
            write_private(unused(path.with_name(f"{name}{BEFORE}")), path.read_bytes())
        wish = Wish(folder, name, value=password_of(token))
        return obtain(wish, seal if secrets else None, unseal, check_mode=self._task.check_mode).changed


@contextmanager
def _workshop() -> Iterator[Path]:
    """A folder in the controller's memory where it has such a place, else one that only this user may enter."""
    shm = Path("/dev/shm")
    memory = shm.is_dir() and os.access(shm, os.W_OK) and file_system_of(shm) == "tmpfs"
    folder = tempfile.mkdtemp(prefix="holdfast-restore-", dir=shm if memory else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
