# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel and first file system of a virtual machine."""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

from tests.hosts import vm_initrd
from tests.hosts.model import HostsError

MODULES_DEP = """\
kernel/virtio/virtio_ring.ko:
kernel/virtio/virtio.ko: kernel/virtio/virtio_ring.ko
kernel/block/virtio_blk.ko: kernel/virtio/virtio.ko kernel/virtio/virtio_ring.ko
kernel/fs/ext4.ko: kernel/lib/crc16.ko kernel/fs/jbd2.ko
kernel/fs/jbd2.ko:
kernel/lib/crc16.ko:
kernel/crypto/crc32c-generic.ko:
"""


def test_the_kernel_is_found_behind_its_unpacking_code_and_behind_what_only_looks_like_it() -> None:
    plain = b"\x7fELF" + bytes(range(256)) * 50
    packed = b"code" * 100 + vm_initrd.XZ + b"not a stream" + lzma.compress(plain) + b"after"
    assert vm_initrd.unpacked_kernel(packed) == plain


def test_a_kernel_in_another_packing_is_refused_with_the_remedy() -> None:
    with pytest.raises(HostsError, match="no image was made"):
        vm_initrd.unpacked_kernel(b"code" * 100)


def test_what_unpacks_to_something_else_than_a_program_is_refused() -> None:
    with pytest.raises(HostsError, match="xz"):
        vm_initrd.unpacked_kernel(lzma.compress(b"a text"))


def test_modules_come_after_what_they_need_and_each_once() -> None:
    order = vm_initrd.load_order(["virtio_blk", "ext4", "crc32c_generic", "virtio"], MODULES_DEP)
    assert order == [
        "kernel/virtio/virtio_ring.ko",
        "kernel/virtio/virtio.ko",
        "kernel/block/virtio_blk.ko",
        "kernel/fs/jbd2.ko",
        "kernel/lib/crc16.ko",
        "kernel/fs/ext4.ko",
        "kernel/crypto/crc32c-generic.ko",
    ]


def test_a_module_that_the_kernel_does_not_have_is_named() -> None:
    with pytest.raises(HostsError, match="no module floppy"):
        vm_initrd.load_order(["floppy"], MODULES_DEP)


def test_every_part_of_the_archive_starts_at_a_multiple_of_four() -> None:
    archive = vm_initrd.initrd(b"odd", {"one.ko": b"12345"})
    positions = [index for index in range(len(archive)) if archive.startswith(b"070701", index)]
    assert len(positions) > 8
    assert [position % 4 for position in positions] == [0] * len(positions)
    assert len(archive) % 4 == 0


def test_the_archive_holds_what_was_given_by_name_size_and_mode() -> None:
    found = _read(vm_initrd.initrd(b"busy", {"b.ko": b"second", "a.ko": b"first!!"}))
    assert found["bin/busybox"] == (0o100755, b"busy")
    assert found["init"] == (0o100755, vm_initrd.INIT.encode())
    assert found["modules/00-b.ko"] == (0o100644, b"second")
    assert found["modules/01-a.ko"] == (0o100644, b"first!!")
    assert found["target"] == (0o040755, b"")


def test_the_seed_follows_as_a_second_archive_that_only_root_can_read() -> None:
    archive = vm_initrd.initrd(b"busy", {})
    seeded = vm_initrd.with_seed(archive, b"who I am")
    assert seeded.startswith(archive)
    assert _read(seeded[len(archive) :]) == {"seed.tar": (0o100600, b"who I am")}


def test_the_first_program_is_a_script_that_a_shell_accepts(tmp_path: Path) -> None:
    script = tmp_path / "init"
    script.write_text(vm_initrd.INIT, encoding="utf-8")
    done = subprocess.run(["sh", "-n", str(script)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def _read(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Read a cpio archive, independently of the code that writes it."""
    found: dict[str, tuple[int, bytes]] = {}
    position = 0
    while True:
        fields = [int(archive[position + 6 + 8 * index : position + 14 + 8 * index], 16) for index in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[position + 110 : position + 110 + name_size - 1].decode()
        start = (position + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[start : start + size])
        position = (start + size + 3) // 4 * 4
