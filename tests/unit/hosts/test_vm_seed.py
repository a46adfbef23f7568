# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes one virtual machine of many."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.hosts import vm_machine, vm_network, vm_seed
from tests.hosts.model import Host, HostSet


@pytest.fixture
def host_set(tmp_path: Path) -> HostSet:
    hosts = tuple(Host(f"edge-{number}", f"10.9.8.{10 + number}", "vm", "edge") for number in (1, 2))
    key = tmp_path / "id_ed25519"
    key.with_name("id_ed25519.pub").write_text("ssh-ed25519 AAAA of-the-set\n", encoding="utf-8")
    return HostSet("edge", "vm", "10.9.8.0/24", hosts, tmp_path, key)


def test_the_seed_has_the_hosts_name_address_and_the_keys_with_tight_modes(host_set: HostSet, tmp_path: Path) -> None:
    with tarfile.open(vm_seed.ensure_seed(host_set, host_set.hosts[0], tmp_path)) as archive:
        modes = {entry.name: entry.mode for entry in archive}
        texts = {entry.name: _text(archive, entry) for entry in archive if entry.isfile()}
    assert texts["etc/hostname"] == "edge-1\n"
    assert "Address=10.9.8.11/24" in texts["etc/systemd/network/10-holdfast.network"]
    assert "Gateway=10.9.8.1\n" in texts["etc/systemd/network/10-holdfast.network"]
    assert "10.9.8.12 edge-2" in texts["etc/hosts"]
    assert texts["root/.ssh/authorized_keys"] == "ssh-ed25519 AAAA of-the-set\n"
    assert texts["etc/ssh/ssh_host_ed25519_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert modes["etc/ssh/ssh_host_ed25519_key"] == 0o600
    assert modes["root/.ssh"] == 0o700


def test_a_second_call_keeps_the_identity_and_another_host_has_its_own(host_set: HostSet, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    first = vm_seed.ensure_seed(host_set, host_set.hosts[0], folders[0]).read_bytes()
    assert vm_seed.ensure_seed(host_set, host_set.hosts[0], folders[0]).read_bytes() == first
    vm_seed.ensure_seed(host_set, host_set.hosts[1], folders[1])
    assert vm_seed.public_host_key(folders[0]) != vm_seed.public_host_key(folders[1])


def test_half_a_key_pair_of_an_interrupted_run_is_made_again(host_set: HostSet, tmp_path: Path) -> None:
    (tmp_path / vm_seed.HOST_KEY).write_text("half", encoding="utf-8")
    vm_seed.ensure_seed(host_set, host_set.hosts[0], tmp_path)
    assert (tmp_path / vm_seed.HOST_KEY).read_text(encoding="utf-8") != "half"
    assert vm_seed.public_host_key(tmp_path).startswith("ssh-ed25519 ")


def test_the_private_parts_are_readable_by_their_owner_only(host_set: HostSet, tmp_path: Path) -> None:
    seed = vm_seed.ensure_seed(host_set, host_set.hosts[0], tmp_path)
    assert seed.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / vm_seed.HOST_KEY).stat().st_mode & 0o777 == 0o600


def test_network_names_fit_the_kernel_and_differ_by_folder(host_set: HostSet, tmp_path: Path) -> None:
    other = HostSet("edge", "vm", host_set.network, host_set.hosts, tmp_path / "elsewhere", host_set.key)
    names = vm_network.network_of(host_set)
    assert len(names.outside) <= 15
    assert names != vm_network.network_of(other)
    assert names == vm_network.network_of(host_set)


def test_a_machine_that_was_never_made_is_missing(host_set: HostSet) -> None:
    assert vm_machine.state(host_set, host_set.hosts[0]) == "missing"


def _text(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    stream = archive.extractfile(entry)
    assert isinstance(stream, io.BufferedIOBase)
    return stream.read().decode()
