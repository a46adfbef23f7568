# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs a bundle on the controller, or judges who signed it; no node is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import manifest_bytes
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.signatures import signatures_in
from ansible_collections.holdfast.edge.plugins.module_utils._site_secret import SecretError
from ansible_collections.holdfast.edge.plugins.plugin_utils._bundle_sign import read_signing_key, sign
from ansible_collections.holdfast.edge.plugins.plugin_utils._bundle_trust import (
    VARIABLE,
    judge,
    keys_of_play,
    no_bundle,
)
from ansible_collections.holdfast.edge.plugins.plugin_utils._vault import seals

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "key": {"type": "path", "default": "", "no_log": False},
    "passphrase": {"type": "str", "default": "", "no_log": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """The key is read here and nowhere else, from a file that Ansible Vault may have sealed."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self.validate_argument_spec(argument_spec=ARGUMENTS)[1]
        bundle = Path(given["path"])
        try:
            if given["key"]:
                answer = self._signed(bundle, Path(given["key"]), given["passphrase"])
            else:
                answer = self._judged(bundle, task_vars or {})
        except (BundleError, SecretError) as error:
            return {**result, "failed": True, "msg": str(error)}
        except OSError as error:
            msg = f"The controller refused: {error}. Put that right, then run this again."
            return {**result, "failed": True, "msg": msg}
        return {**result, **answer}

    def _signed(self, bundle: Path, path: Path, passphrase: str) -> dict[str, Any]:
        content = path.read_bytes()
        if content.startswith(b"$ANSIBLE_VAULT;"):
            content = seals(self._loader, path)[1](content)
        done = sign(bundle, read_signing_key(content, passphrase, path), self._task.check_mode)
        lines = "".join(f"{name}: signed by {done.signer}\n" for name in done.made)
        return {
            "changed": bool(done.made),
            "signer": done.signer,
            "made": list(done.made),
            "summary": f"{bundle} is signed by {done.signer}",
            "diff": {"before": "", "after": lines},
        }

    def _judged(self, bundle: Path, variables: dict[str, Any]) -> dict[str, Any]:
        keys, manifest = keys_of_play(variables, self._templar), manifest_bytes(bundle)
        if manifest is None:
            raise no_bundle(bundle)
        signer = judge(manifest, signatures_in(bundle, ()), keys, bundle) if keys else ""
        whose = f"is signed by {signer}" if signer else f"is used whoever made it, since {VARIABLE} names no key"
        return {"changed": False, "signer": signer, "made": [], "summary": f"{bundle} {whose}"}
