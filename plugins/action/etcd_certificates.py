# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issues certificates of the datastore on the controller; no node is asked, and the authority's key goes nowhere."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.errors import EtcdError
from ansible_collections.holdfast.edge.plugins.module_utils._site_secret import SecretError, Wish, obtain
from ansible_collections.holdfast.edge.plugins.plugin_utils._authority import (
    LONGEST_DAYS,
    MISSING,
    Authority,
    AuthorityError,
    Order,
    fingerprints,
    judge,
)
from ansible_collections.holdfast.edge.plugins.plugin_utils._vault import seals

NAME = "etcd-ca.pem"
ARGUMENTS = {
    "path": {"type": "path", "default": ""},
    "ca_certificate": {"type": "str", "default": ""},
    "ca_key": {"type": "str", "default": "", "no_log": True},
    "ca_name": {"type": "str", "default": "etcd"},
    "trusted": {"type": "list", "elements": "str", "default": []},
    "rotate": {"type": "str", "choices": ["", "begin", "switch", "end"], "default": ""},
    "certificates": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": ["server", "peer", "client"], "default": "client"},
            "common_name": {"type": "str", "default": ""},
            "names": {"type": "list", "elements": "str", "default": []},
            "days": {"type": "int", "default": LONGEST_DAYS},
        },
    },
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """The vault secret of the play seals the authority, and opens it."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        orders = {
            str(item["name"]): Order(
                kind=str(item["kind"]),
                common_name=str(item["common_name"] or item["name"]),
                names=tuple(str(name) for name in item["names"]),
                days=int(item["days"]),
            )
            for item in given["certificates"]
        }
        if MISSING:
            msg = f"The controller lacks the package cryptography ({MISSING}). Install it. Nothing was changed."
            return {**result, "failed": True, "msg": msg}
        try:
            for order in orders.values():
                judge(order)
            authority, made = self._authority(given)
            _refuse_a_stranger(authority, given)
            issued = {name: authority.issue(order) for name, order in orders.items()}
        except (AuthorityError, EtcdError, SecretError) as error:
            return {**result, "failed": True, "msg": str(error)}
        except OSError as error:
            return {
                **result,
                "failed": True,
                "msg": f"The controller refused: {error}. Put that right, then run this again.",
            }
        # Nobody may see the keys, not with -vvv either.
        self._task.no_log = True
        return {
            **result,
            "changed": made or bool(issued),
            "ca_certificate": authority.certificates,
            "ca_created": made,
            "signer": authority.signer,
            "certificates": {name: {"certificate": one.certificate, "key": one.key} for name, one in issued.items()},
        }

    def _authority(self, given: dict[str, Any]) -> tuple[Authority, bool]:
        """The site's authority, and whether it was made or changed now."""
        if given["ca_certificate"] or given["ca_key"]:
            if given["rotate"]:
                raise EtcdError("An authority that is given as a variable is changed there. Nothing was changed.")
            return Authority.read(
                f"{given['ca_key']}\n{given['ca_certificate']}", "etcd_ca_certificate and etcd_ca_key"
            ), False
        if not given["path"]:
            raise EtcdError("Give the folder of secrets as path, or ca_certificate and ca_key. Nothing was changed.")
        folder = Path(given["path"])
        if self._task.check_mode:
            return self._kept(folder, given, write=False)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _only_one(folder):
            return self._kept(folder, given, write=True)

    def _kept(self, folder: Path, given: dict[str, Any], write: bool) -> tuple[Authority, bool]:
        path = folder / NAME
        if not path.exists():
            if given["trusted"]:
                raise EtcdError(
                    f"The members trust an authority whose key should be in {path}, and it is "
                    f"not there. Nothing was changed and "
                    "etcd goes on. Bring the file back from a backup, or name the right folder in site_secrets_path."
                )
            authority = Authority.create(given["ca_name"])
            if write:
                self._obtain(folder, authority.text)
            return authority, True
        authority = Authority.read(self._obtain(folder, "", write), str(path))
        if not given["rotate"]:
            return authority, False
        changed = (
            authority.begin(given["ca_name"]) if given["rotate"] == "begin" else getattr(authority, given["rotate"])()
        )
        if write and changed.text != authority.text:
            self._obtain(folder, changed.text)
        return changed, changed.text != authority.text

    def _obtain(self, folder: Path, value: str, write: bool = True) -> str:
        seal, unseal = seals(self._loader, folder / NAME)
        return obtain(Wish(folder=folder, name=NAME, value=value), seal, unseal, check_mode=not write).value


def _refuse_a_stranger(authority: Authority, given: dict[str, Any]) -> None:
    """Certificates of an authority that the members do not know would shut them out from each other."""
    known = fingerprints("\n".join(given["trusted"]))
    if known and not known & fingerprints(authority.certificates):
        raise EtcdError(
            "The authority on the controller is not the one that the members trust. Nothing "
            "was changed and etcd goes on. Bring back "
            f"the right {NAME} in the site's folder of secrets (site_secrets_path), or the "
            f"right etcd_ca_certificate and etcd_ca_key."
        )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hosts that ask at once wait for each other. The kernel drops the lock when a run dies."""
    handle = os.open(folder / ".etcd-ca.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
