# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells for whom a site's backups are sealed, and seals what the controller adds to one. No node is asked."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.parsing.vault import VaultLib
from ansible.plugins.action import ActionBase
from ansible_collections.holdfast.edge.plugins.module_utils._backup.controller import (
    IDENTITY_NAME,
    find_program,
    seal_secrets,
    write_private,
)
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError
from ansible_collections.holdfast.edge.plugins.module_utils._backup.sealing import new_identity, public_keys
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.plugin_utils._bundle_trust import keys_of_play, read_trusted
from ansible_collections.holdfast.edge.plugins.plugin_utils._vault import seals

NOBODY = (
    "No backups can be sealed, so none are made: backup_age_recipients names nobody and this run has no vault "
    "password. Give public keys of age (age-keygen -o key.txt prints one), or --vault-password-file."
)
ARGUMENTS = {
    "secrets_path": {"type": "path", "required": True},
    "bundle_path": {"type": "path", "required": True},
    "recipients": {"type": "list", "elements": "str", "default": []},
    "secrets": {"type": "bool", "default": False},
    "required": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Without a recipient an identity is made once, and it rests and travels sealed with the play's vault secret."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        folder, bundle = Path(arguments["secrets_path"]), Path(arguments["bundle_path"])
        recipients = [str(entry).strip() for entry in arguments["recipients"] if str(entry).strip()]

        def program(name: str) -> str:
            # Only what is about to run is a reason to ask whose the bundle is.
            entries = read_trusted(bundle, keys_of_play(task_vars or {}, self._templar)) or ()
            return find_program(name, bundle, entries)

        try:
            wrong = [entry for entry in recipients if entry.upper().startswith("AGE-SECRET-KEY")]
            if wrong:
                raise BackupError(
                    "backup_age_recipients holds an identity (AGE-SECRET-KEY-…), which opens backups and must not "
                    "reach a node. Nothing was changed. Give its public key (age-keygen -y); and make a new pair, "
                    "since this one was seen."
                )
            if not recipients and not arguments["required"] and not self._can_seal(folder):
                return {
                    **result,
                    "changed": False,
                    "recipients": [],
                    "identity_vault": "",
                    "controller_part": "",
                    "problem": NOBODY,
                }
            identity, changed = ("", False) if recipients else self._own_identity(folder, program)
            if identity == "-":
                recipients = ["age1-not-made-yet"]
            elif identity:
                recipients = self._recipients_of(identity, folder, program)
            part = b""
            if arguments["secrets"] and not self._task.check_mode and folder.is_dir():
                part = seal_secrets(program("age"), recipients, folder)
        except (BackupError, BundleError) as error:
            return {**result, "failed": True, "msg": str(error)}
        except OSError as error:
            return {
                **result,
                "failed": True,
                "msg": f"The controller refused: {error}. Put that right, then run this again.",
            }
        return {
            **result,
            "changed": changed,
            "recipients": recipients,
            "identity_vault": identity if identity != "-" else "",
            "controller_part": base64.b64encode(part).decode(),
            "problem": "",
        }

    def _can_seal(self, folder: Path) -> bool:
        return (folder / IDENTITY_NAME).is_file() or bool(self._loader._vault.secrets)

    def _own_identity(self, folder: Path, program: Callable[[str], str]) -> tuple[str, bool]:
        """What the file of the identity holds, sealed; "-" where check mode would make it."""
        path = folder / IDENTITY_NAME
        if path.is_file():
            content = path.read_text(encoding="utf-8")
            if not content.startswith("$ANSIBLE_VAULT;"):
                raise BackupError(
                    f"{path} is not sealed with Ansible Vault, so it may not travel inside of backups. Run: "
                    f"ansible-vault encrypt {path}"
                )
            return content, False
        seal, _unseal = seals(self._loader, path)
        if seal is None:
            raise BackupError(NOBODY)
        if self._task.check_mode:
            return "-", True
        keygen = program("age-keygen")
        plain = new_identity(keygen)
        sealed = seal(plain)
        write_private(
            path.with_name(f"{IDENTITY_NAME}.pub"), "".join(f"{key}\n" for key in public_keys(keygen, plain)).encode()
        )
        write_private(path, sealed)
        return sealed.decode(), True

    def _recipients_of(self, sealed: str, folder: Path, program: Callable[[str], str]) -> list[str]:
        """From the file beside it, so that a run without the vault's password can go on; else from the identity."""
        public = folder / f"{IDENTITY_NAME}.pub"
        if public.is_file():
            return public.read_text(encoding="utf-8").split()
        return public_keys(program("age-keygen"), open_vault(self._loader, sealed.encode()))


def open_vault(loader: Any, sealed: bytes) -> bytes:
    """What Ansible Vault sealed, by the play's own vault secrets."""
    from ansible.errors import AnsibleError

    try:
        plain: bytes = VaultLib(loader._vault.secrets).decrypt(sealed)
    except AnsibleError as error:
        raise BackupError(
            "The identity that opens the backups is sealed with Ansible Vault and this run cannot open it. Nothing was "
            "changed. Run it again with --ask-vault-pass or --vault-password-file and the password of the time when it "
            "was sealed."
        ) from error
    return plain
