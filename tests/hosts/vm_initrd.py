# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel and the first file system of a virtual machine, made small because every instruction is emulated.

The distribution's own way takes over twenty emulated seconds: it unpacks the kernel, then 30 MB, and starts udev twice.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping, Sequence

from .model import HostsError

SEED = "seed.tar"
"""The file of the first file system in which a machine finds its own identity."""

PROBE = "holdfast.probe"
"""On the kernel's command line: say PROBE_ANSWER and switch off."""

PROBE_ANSWER = "holdfast: this processor runs programs"

INIT = f"""#!/bin/busybox sh
b=/bin/busybox
stop() {{
    echo "holdfast: $1"
    $b poweroff -f
}}
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
for module in /modules/*.ko; do
    $b insmod $module || stop "$module does not load"
done
if $b grep -q {PROBE} /proc/cmdline; then
    echo "{PROBE_ANSWER}"
    $b poweroff -f
fi
for try in 1 2 3 4 5 6 7 8 9 10; do
    for disk in /sys/block/vd*; do
        [ "$($b cat $disk/serial)" = root ] && root=/dev/${{disk##*/}}
    done
    [ -n "$root" ] && break
    $b sleep 1
done
$b mount -t ext4 $root /target || stop "the root disk cannot be mounted"
# Only at the first boot: what a play changes later is its own. The mark is written last, so that a power cut in between
# starts over.
if [ ! -e /target/etc/holdfast-seeded ]; then
    $b tar -xf /{SEED} -C /target && $b sync && echo seeded > /target/etc/holdfast-seeded && $b sync || \\
        stop "the seed cannot be unpacked"
fi
$b umount /proc
$b umount /sys
exec $b switch_root /target /sbin/init
"""

ELF = b"\x7fELF"
XZ = b"\xfd7zXZ\x00"
REGULAR = 0o100000
FOLDER = 0o040000


def unpacked_kernel(kernel: bytes) -> bytes:
    """Return the kernel proper out of the distribution's self-unpacking one; QEMU starts it by its PVH entry."""
    start = kernel.find(XZ)
    while start >= 0:
        try:
            plain = lzma.LZMADecompressor().decompress(kernel[start:])
        except lzma.LZMAError:
            plain = b""
        if plain.startswith(ELF):
            return plain
        start = kernel.find(XZ, start + 1)
    raise HostsError(
        "The kernel's package is packed in a way that the test bed does not know (it knows xz), so no image was made. "
        "Name a package with an xz kernel in tests/hosts/vm_distributions."
    )


def load_order(wanted: Sequence[str], modules_dep: str) -> list[str]:
    """Return the paths of the wanted modules and all that they need, each after what it needs."""
    needs: dict[str, list[str]] = {}
    by_name: dict[str, str] = {}
    for line in modules_dep.splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        by_name[path.rpartition("/")[2].partition(".")[0].replace("-", "_")] = path
    order: list[str] = []
    for name in wanted:
        if name not in by_name:
            raise HostsError(f"The kernel has no module {name}, which a virtual machine needs to find its disk.")
        path = by_name[name]
        # depmod writes what is needed first at the end of the line.
        order += [item for item in (*reversed(needs[path]), path) if item not in order]
    return order


def initrd(busybox: bytes, modules: Mapping[str, bytes]) -> bytes:
    """Return the archive; the modules are loaded in the order in which they are given."""
    files: dict[str, tuple[int, bytes]] = dict.fromkeys(
        ("bin", "dev", "modules", "proc", "sys", "target"), (FOLDER | 493, b"")
    )
    files["bin/busybox"] = (REGULAR | 0o755, busybox)
    files["init"] = (REGULAR | 0o755, INIT.encode())
    for number, (name, content) in enumerate(modules.items()):
        files[f"modules/{number:02d}-{name}"] = (REGULAR | 0o644, content)
    return newc(files)


def with_seed(archive: bytes, seed: bytes) -> bytes:
    """Return the archive for one machine; the kernel unpacks archives that follow each other as one."""
    return archive + newc({SEED: (REGULAR | 0o600, seed)})


def newc(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Write a cpio archive in the form that the kernel unpacks."""
    parts = []
    for number, (name, (mode, content)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], start=1):
        label = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(label), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + label
        parts.append(_padded(header) + _padded(content))
    return b"".join(parts)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
