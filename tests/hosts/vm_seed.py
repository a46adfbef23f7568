# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes one machine of many: its name, its address, its keys. The machine unpacks it at its first boot."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from ipaddress import IPv4Network
from pathlib import Path

from .model import Host, HostSet

HOST_KEY = "ssh_host_ed25519_key"


def ensure_seed(host_set: HostSet, host: Host, folder: Path) -> Path:
    """Return the machine's seed, made at its first call; its ssh host key stays the same for the machine's life."""
    seed = folder / "seed.tar"
    if seed.exists():
        return seed
    key = folder / HOST_KEY
    for half in (key, key.with_name(f"{HOST_KEY}.pub")):
        half.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", str(key)],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    scratch = folder / "seed.tar.new"
    scratch.touch(mode=0o600)
    scratch.write_bytes(seed_tar(seed_files(host_set, host, key)))
    scratch.replace(seed)
    return seed


def public_host_key(folder: Path) -> str:
    """Return the public half of the machine's ssh host key."""
    return (folder / f"{HOST_KEY}.pub").read_text(encoding="utf-8")


def seed_files(host_set: HostSet, host: Host, host_key: Path) -> dict[str, tuple[int, str]]:
    """Return the mode and text of each file, by its path in the machine."""
    length = IPv4Network(host_set.network).prefixlen
    names = [f"{other.address} {other.name}" for other in host_set.hosts]
    network = f"""\
[Match]
Name=eth0

[Network]
Address={host.address}/{length}
# The route to nowhere: a box with a gateway whose uplink is gone.
Gateway={host_set.gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
    authorized = host_set.key.with_name(f"{host_set.key.name}.pub").read_text(encoding="utf-8")
    public = host_key.with_name(f"{host_key.name}.pub").read_text(encoding="utf-8")
    return {
        "etc/hostname": (0o644, f"{host.name}\n"),
        "etc/hosts": (0o644, "\n".join(["127.0.0.1 localhost", "::1 localhost", *names, ""])),
        "etc/machine-id": (0o444, f"{uuid.uuid4().hex}\n"),
        f"etc/ssh/{HOST_KEY}": (0o600, host_key.read_text(encoding="utf-8")),
        f"etc/ssh/{HOST_KEY}.pub": (0o644, public),
        "etc/systemd/network/10-holdfast.network": (0o644, network),
        "root/.ssh/authorized_keys": (0o600, authorized),
    }


def seed_tar(files: dict[str, tuple[int, str]]) -> bytes:
    """Pack the files, all of them root's; only root/.ssh is a folder that the image does not have."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folder = tarfile.TarInfo("root/.ssh")
        folder.type = tarfile.DIRTYPE
        folder.mode = 0o700
        archive.addfile(folder)
        for path, (mode, text) in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(path)
            entry.mode = mode
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
