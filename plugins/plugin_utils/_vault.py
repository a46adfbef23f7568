# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a play seals what the controller keeps: with its own vault secret, where it has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, match_encrypt_secret
from ansible_collections.holdfast.edge.plugins.module_utils._site_secret import Seal, SecretError


def seals(loader: Any, path: Path) -> tuple[Seal | None, Seal]:
    """What seals a file, where the play has a secret for that, and what opens it."""
    secrets = loader._vault.secrets
    vault = VaultLib(secrets)

    def seal(plain: bytes) -> bytes:
        vault_id, secret = match_encrypt_secret(secrets)
        sealed: bytes = vault.encrypt(plain, secret=secret, vault_id=vault_id if vault_id != "default" else None)
        return sealed

    def unseal(sealed: bytes) -> bytes:
        try:
            plain: bytes = vault.decrypt(sealed)
        except AnsibleError as error:
            raise SecretError(
                f"{path} is sealed with Ansible Vault and this run cannot open it. Nothing was changed. Run it again "
                "with --ask-vault-pass or --vault-password-file and the password that it was sealed with."
            ) from error
        return plain

    return (seal if secrets else None), unseal
