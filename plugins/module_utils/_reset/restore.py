# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts back what the ledger says was there before: files, units, users and kernel parameters of the system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .._disk import link_target, put_link, temporary_for
from .._found.ledger import FOLDER, Found, Ledger, content_of, read
from .._found.state import State, names, read_sysctl, sysctl_name, sysctl_path, units
from .errors import ResetError
from .owned import DISKS, PACKAGED, RESTORED, TREES, USERS, borrowed, is_below, is_unit_of_ours
from .system import System

# Beside those that our own files set: what k3s, the kubelet and kube-proxy set at their start.
SET_BY_K3S = (
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-iptables",
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.conf.default.forwarding",
    "net.ipv4.ip_forward",
    "net.ipv4.vs.conntrack",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.forwarding",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
)
SYSTEM_UNITS = "/etc/systemd/system/"
# Where reloading makes what was put back count: what is below, the unit.
RELOADED = (
    ("/etc/ssh/", "ssh.service"),
    ("/etc/ssh/", "sshd.service"),
    ("/etc/systemd/journald.conf", "systemd-journald.service"),
    ("/etc/audit/", "auditd.service"),
)


class Restore:
    """The ledger of a node against what is there now."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._folder = system.path(str(FOLDER))
        self._ledger: Ledger = read(self._folder)
        self._asked_to_start = False
        self._refuse_foreign_places()
        # Read now: the files that name them are deleted before the last look.
        self._own_sysctls = {*SET_BY_K3S, *sysctls_of_ours(system)}

    def look(self) -> list[str]:
        return [
            *(f"{path} (as it was)" for path, found in self._paths()),
            *(f"kernel parameter {name} = {value}" for name, value in self._sysctls()),
            *(f"unit {unit}" for unit in self._units()),
            *(f"running unit {name} (as it was)" for name in self._idle()),
            *(f"user {name}" for name in self._users()),
        ]

    def clear(self) -> None:
        paths = dict(self._paths())
        for path, found in paths.items():
            self._put_back(self._system.path(path), found)
        for link in self._units():
            self._put_unit_back(link)
        for name in self._users():
            self._system.run(["userdel", name])
        if paths:
            self._reload(list(paths))
        for name in self._idle():
            # Its folder in /run went with our drop-in, and only a boot would make it again.
            self._system.run(["systemd-tmpfiles", "--create", f"--prefix=/run/{name.split('.')[0]}"])
            self._system.run(["systemctl", "reset-failed", name])
            self._system.run(["systemctl", "start", "--no-block", name])
        self._asked_to_start = True
        for name, value in self._sysctls():
            self._system.run(["sysctl", "-q", "-w", f"{name}={value}"])

    def _paths(self) -> Iterator[tuple[str, Found]]:
        """What differs, what is in a folder before the folder: one that we made goes with the last file in it."""
        gone: set[Path] = set()
        for path, found in sorted(self._ledger.paths.items(), reverse=True):
            place = self._system.path(path)
            if self._counts(path, found) and self._differs(place, found, gone):
                yield path, found
                if found.kind == "none":
                    gone.add(place)

    def _counts(self, path: str, found: Found) -> bool:
        """What is ours is gone for good, even where the ledger came later; of a disk only the folder counts."""
        if path in DISKS:
            return found.kind == "folder" and self._system.path(path).is_dir()
        return not is_below(path, TREES) and not (path.startswith(SYSTEM_UNITS) and is_unit_of_ours(path))

    def _differs(self, path: Path, found: Found, gone: set[Path]) -> bool:
        if found.kind == "none":
            # A folder that somebody else put something into is not ours any more.
            return path.is_symlink() or path.is_file() or (path.is_dir() and gone.issuperset(path.iterdir()))
        if found.kind == "other":
            return False
        if found.kind == "link":
            return link_target(path) != found.target
        if not path.exists() or path.is_symlink():
            return True
        stats = path.stat()
        if (stats.st_mode & 0o7777, stats.st_uid, stats.st_gid) != (found.mode, found.uid, found.gid):
            return True
        return found.kind == "file" and path.read_bytes() != content_of(found, self._folder)

    def _put_back(self, path: Path, found: Found) -> None:
        if found.kind == "none":
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if found.kind == "link":
            put_link(path, found.target)
            return
        if found.kind == "folder":
            path.mkdir(exist_ok=True)
            os.chown(path, found.uid, found.gid)
            path.chmod(found.mode)
            return
        temporary = temporary_for(path)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            os.fchown(handle, found.uid, found.gid)
            os.fchmod(handle, found.mode)
            stream.write(content_of(found, self._folder))
            stream.flush()
            os.fsync(handle)
        temporary.replace(path)

    def _units(self) -> list[str]:
        """Links below /etc/systemd/system that were there and are not, or the other way round."""
        state = self._ledger.state
        if state is None:
            return []
        enabled, masked = units(self._system.root)
        before = {*state.enabled, *state.masked}
        return sorted(link for link in before ^ {*enabled, *masked} if self._is_unit_of_ours(link, link in before))

    def _is_unit_of_ours(self, link: str, was_there: bool) -> bool:
        """Units that the operator added since then stay; what hardening took away comes back."""
        return (was_there and not is_unit_of_ours(link)) or Path(link).name in PACKAGED

    def _put_unit_back(self, link: str) -> None:
        state = self._ledger.state or State()
        name = Path(link).name
        if link in state.masked:
            self._system.run(["systemctl", "mask", name])
        elif link in state.enabled:
            self._system.run(["systemctl", "unmask", name])
            self._system.run(["systemctl", "enable", name])
        else:
            self._system.run(["systemctl", "disable", name])

    def _idle(self) -> list[str]:
        """Units of packages that we stopped because they ran for us."""
        state = self._ledger.state
        # One that does not start with its own configuration never did more than we ask of it here.
        if state is None or self._asked_to_start:
            return []
        stopped = [name for name in PACKAGED if name in state.running and name not in borrowed(self._system.root)]
        return [name for name in stopped if self._system.run(["systemctl", "is-active", "--quiet", name]).status == 3]

    def _users(self) -> list[str]:
        """A user of the system's own etcd stays. The ledger does not tell: the user came before the first file."""
        there = names(self._system.path("/etc/passwd"))
        return [name for name in USERS if name in there and not self._system.path(f"/usr/bin/{name}").exists()]

    def _sysctls(self) -> list[tuple[str, str]]:
        state = self._ledger.state
        if state is None:
            return []
        # The kernel of a container is its machine's; only the network is the container's own.
        shared = self._system.path("/run/systemd/container").exists()
        found = []
        for name in sorted(self._own_sysctls):
            before = state.sysctls.get(name)
            if before is None or (shared and not name.startswith("net.")):
                continue
            if read_sysctl(sysctl_path(name, self._system.root)) not in (before, None):
                found.append((name, before))
        return found

    def _reload(self, paths: list[str]) -> None:
        reloaded = [unit for place, unit in RELOADED if any(path.startswith(place) for path in paths)]
        if any(unit.startswith("ssh") for unit in reloaded) and self._system.run(["sshd", "-t"]).status != 0:
            reloaded = [unit for unit in reloaded if not unit.startswith("ssh")]
        for unit in reloaded:
            self._system.run(["systemctl", "try-reload-or-restart", unit])

    def _refuse_foreign_places(self) -> None:
        wrong = [
            path
            for path in self._ledger.paths
            if ".." in path.split("/") or not path.startswith(RESTORED) or os.path.normpath(path) != path
        ]
        if wrong:
            raise ResetError(
                f"{FOLDER}/ledger.json names {', '.join(wrong[:3])}, which Holdfast never writes, so it is not "
                "believed. Nothing was changed. Look at who wrote it; take those lines out, then run this again."
            )


def sysctls_of_ours(system: System) -> set[str]:
    """The parameters that our own files in sysctl.d set, in the form in which the ledger has them."""
    found: set[str] = set()
    for path in system.path("/etc/sysctl.d").glob("*holdfast*"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name = line.partition("=")[0].strip().lstrip("-")
            if name and not name.startswith(("#", ";")):
                relative = sysctl_path(name, system.root).relative_to(system.path("/proc/sys"))
                found.add(sysctl_name(relative))
    return found
