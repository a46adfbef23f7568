# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a certificate of the site on the controller, signed by an authority of the site; no node is asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.holdfast.edge.plugins.module_utils._certificate import (
    certificates_in,
    read_all,
    reason_to_renew,
)
from ansible_collections.holdfast.edge.plugins.module_utils._disk import sync_file, sync_folder, temporary_for
from ansible_collections.holdfast.edge.plugins.module_utils._site_secret import SecretError, Wish, obtain
from ansible_collections.holdfast.edge.plugins.plugin_utils._authority import (
    CERTIFICATE,
    KEY,
    LONGEST_DAYS,
    MISSING,
    Authority,
    AuthorityError,
    Order,
    judge,
)
from ansible_collections.holdfast.edge.plugins.plugin_utils._vault import seals

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "authority": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "required": True},
    "days": {"type": "int", "default": LONGEST_DAYS},
    "renew_share": {"type": "float", "default": 0.3},
    "served": {"type": "str", "default": ""},
    "replace_authority": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Authority and certificate are secrets of the site, each with its key in one file."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self.validate_argument_spec(argument_spec=ARGUMENTS)[1]
        if MISSING:
            msg = f"The controller lacks the package cryptography ({MISSING}). Install it. Nothing was changed."
            return {**result, "failed": True, "msg": msg}
        try:
            answer = self._certificate(Path(given["path"]), given)
        except (AuthorityError, SecretError) as error:
            return {**result, "failed": True, "msg": str(error)}
        except OSError as error:
            msg = f"The controller refused: {error}. Put that right, then run this again."
            return {**result, "failed": True, "msg": msg}
        # Nobody may see the key, not with -vvv either.
        self._task.no_log = True
        return {**result, **answer}

    def _certificate(self, folder: Path, given: dict[str, Any]) -> dict[str, Any]:
        order = Order("server", given["name"], tuple(dict.fromkeys(given["names"])), given["days"])
        judge(order)
        authority_name, shown = f"{given['authority']}.pem", folder / f"{given['authority']}.crt"
        kept = self._kept(folder, authority_name)
        if not given["replace_authority"]:
            _refuse_a_stranger(folder / authority_name, kept, _known(given["served"], shown))
        kept = kept or Authority.create(given["authority"]).text
        authority = Authority.read(kept, str(folder / authority_name))
        text = self._kept(folder, f"{given['name']}.pem")
        reason = reason_to_renew(
            certificates_in(text.encode()),
            KEY.search(text) is not None,
            frozenset(order.names),
            certificates_in(authority.certificates.encode()),
            given["renew_share"],
            time.time(),
        )
        if reason:
            issued = authority.issue(order)
            text = issued.key + issued.certificate
        changed = self._keep(folder, authority_name, kept)
        changed |= self._keep(folder, f"{given['name']}.pem", text)
        if not shown.is_file() or shown.read_text(encoding="utf-8") != authority.certificates:
            changed = True
            if not self._task.check_mode:
                new = temporary_for(shown)
                new.write_text(authority.certificates, encoding="utf-8")
                sync_file(new)
                new.replace(shown)
                sync_folder(folder)
        return {
            "changed": changed,
            "reason": reason,
            "certificate": "".join(CERTIFICATE.findall(text)),
            "key": "".join(KEY.findall(text)),
            "authority": authority.certificates,
            "authority_path": str(shown),
        }

    def _kept(self, folder: Path, name: str) -> str:
        """What the controller has by this name; nothing where it has not."""
        if not (folder / name).is_file():
            return ""
        seal, unseal = seals(self._loader, folder / name)
        return obtain(Wish(folder=folder, name=name), seal, unseal, check_mode=True).value

    def _keep(self, folder: Path, name: str, value: str) -> bool:
        """Have it there; whether that changed anything."""
        seal, unseal = seals(self._loader, folder / name)
        wish = Wish(folder=folder, name=name, value=value)
        return obtain(wish, seal, unseal, check_mode=self._task.check_mode).changed


def _known(served: str, shown: Path) -> set[str]:
    """The keys by which an authority signed what clients trust already: as it is served, else as they were given it."""
    signers = {one.signer_key for one in certificates_in(served.encode())[:1]}
    return signers or {one.key for one in read_all(shown)}


def _refuse_a_stranger(path: Path, kept: str, known: set[str]) -> None:
    """What another authority signs shuts out every client that trusts the one before."""
    if not known or known & {one.key for one in certificates_in(kept.encode())}:
        return
    wrong = "is not the authority that clients trust" if kept else "is not there, and clients trust that authority"
    raise AuthorityError(
        f"{path} {wrong}. Nothing was changed, and what is served stays as it is. Bring the file back from a backup of "
        "the controller, or name the right folder (site_secrets_path). If it is lost for good, set replace_authority "
        f"(inference_new_authority for the role inference), and give every client the new {path.stem}.crt at once."
    )
