# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a node's hardening is not files: packages, settings of ssh, the loaded firewall, the kernel's guard."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .kernel import Run

DIGEST = Path("run/holdfast/firewall.sha256")
"""Written by the unit that loads the firewall: what the kernel said of it at that moment."""


@dataclass(frozen=True)
class Seen:
    """One look; `sshd` tells each setting that is not as wanted, `accounts` those that are not there."""

    container: str
    packages_missing: tuple[str, ...]
    sshd: dict[str, str]
    sshd_error: str
    firewall_loaded: bool
    accounts_missing: tuple[str, ...]
    security_modules: tuple[str, ...]
    enforcing: bool


def container(root: Path = Path("/")) -> str:
    """What kind of container this is; nothing where it has a kernel of its own."""
    return _read(root / "run/systemd/container").strip()


def missing_packages(names: Sequence[str], query: Sequence[str], run: Run) -> tuple[str, ...]:
    """Those that are not installed; `query` prints a name, and perhaps its state, on each line."""
    if not names:
        return ()
    lines = [line.split() for line in run(query)[1].splitlines()]
    installed = {words[0] for words in lines if words and words[1:] in ([], ["installed"])}
    return tuple(name for name in names if name not in installed)


def effective_sshd(text: str) -> dict[str, list[str]]:
    """What `sshd -T` prints: each setting with all its values, names in small letters."""
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _space, value = line.partition(" ")
        settings.setdefault(name.lower(), []).append(value.strip())
    return settings


def differing(wanted: Mapping[str, object], effective: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each wanted setting that another one overrides, with the value that holds. Some are never told: DebianBanner."""
    found = {name: list(effective[name.lower()]) for name in wanted if name.lower() in effective}
    return {name: ", ".join(values) for name, values in found.items() if not _same(wanted[name], values)}


ALIASES = {"prohibit-password": "without-password"}


def _same(wanted: object, values: Sequence[str]) -> bool:
    texts = [str(item) for item in wanted] if isinstance(wanted, (list, tuple)) else [str(wanted)]
    return all(_plain(text) in [_plain(value) for value in values] for text in texts)


def _plain(text: str) -> str:
    text = text.lower()
    return ALIASES.get(text, text)


def firewall_loaded(table: str, run: Run, root: Path = Path("/")) -> bool:
    """The kernel has our table exactly as it was when it was loaded."""
    code, out, _error = run(["nft", "--stateless", "list", "table", *table.split()])
    return code == 0 and hashlib.sha256(out.encode()).hexdigest() == _read(root / DIGEST).split(" ")[0].strip()


def missing_accounts(names: Sequence[str], root: Path = Path("/")) -> tuple[str, ...]:
    """Those that /etc/passwd does not know."""
    known = {line.split(":")[0] for line in _read(root / "etc/passwd").splitlines()}
    return tuple(name for name in names if name not in known)


def security_modules(root: Path = Path("/")) -> tuple[str, ...]:
    """The guards that this kernel was booted with."""
    return tuple(filter(None, _read(root / "sys/kernel/security/lsm").strip().split(",")))


def enforcing(root: Path = Path("/")) -> bool:
    """SELinux refuses what its policy forbids."""
    return _read(root / "sys/fs/selinux/enforce").strip() == "1"


def look(
    packages: Sequence[str],
    query: Sequence[str],
    sshd: Mapping[str, object],
    table: str,
    accounts: Sequence[str],
    run: Run,
) -> Seen:
    """All of it at once."""
    code, out, error = run(["sshd", "-T"]) if sshd else (0, "", "")
    return Seen(
        container=container(),
        packages_missing=missing_packages(packages, query, run),
        sshd=differing(sshd, effective_sshd(out)) if code == 0 else {},
        sshd_error=error.strip() if code else "",
        firewall_loaded=firewall_loaded(table, run) if table else False,
        accounts_missing=missing_accounts(accounts),
        security_modules=security_modules(),
        enforcing=enforcing(),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
