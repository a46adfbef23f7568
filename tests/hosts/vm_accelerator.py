# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine's processor can run virtual machines itself: found by trying, for a device file proves nothing.

Where the machine is itself a guest of a certain kind, /dev/kvm is there and a stock kernel hangs in its first second.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path

from .files import write_atomically
from .locks import lock
from .model import Report
from .paths import hosts_root
from .vm_image import VmImage
from .vm_initrd import PROBE, PROBE_ANSWER

PROBE_SECONDS = 15.0
KVM_DEVICE = Path("/dev/kvm")

KVM = ("-accel", "kvm", "-cpu", "host")
EMULATION = ("-accel", "tcg,thread=multi", "-cpu", "max")


def choose(image: VmImage, report: Report) -> tuple[str, ...]:
    """Return QEMU's options for the fastest way that works here; the answer is kept until something of it changes."""
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return EMULATION
    record = hosts_root() / "vm-accelerator.json"
    with lock("vm-accelerator", busy="Another command has been trying KVM for a minute.", wait_seconds=60):
        facts = _facts(image)
        known = _load(record)
        if known is None or known.get("facts") != facts:
            report(f"Trying whether KVM works on this machine (at most {PROBE_SECONDS:.0f} s, once).")
            works = kvm_works(image)
            report("KVM works." if works else "KVM hangs here, so the processor is emulated: slower, and as true.")
            known = {"facts": facts, "works": works}
            write_atomically(record, json.dumps(known) + "\n")
        return KVM if known["works"] else EMULATION


def kvm_works(image: VmImage, seconds: float = PROBE_SECONDS, accelerator: tuple[str, ...] = KVM) -> bool:
    """Return whether the image's kernel comes as far as its first program within that time."""
    command = [
        "qemu-system-x86_64",
        *("-machine", "pc", *accelerator, "-m", "256", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-serial", "stdio", "-no-reboot", "-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", f"console=ttyS0 panic=-1 {PROBE}"),
    ]
    # Should we be killed meanwhile, the trial ends with us.
    command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
    try:
        done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return PROBE_ANSWER.encode() in done.stdout


def _facts(image: VmImage) -> dict[str, str]:
    version = subprocess.run(["qemu-system-x86_64", "--version"], check=False, capture_output=True, text=True).stdout
    return {
        "image_kernel": hashlib.sha256(image.kernel.read_bytes()).hexdigest(),
        "machine_kernel": platform.release(),
        "qemu": version.partition("\n")[0],
    }


def _load(record: Path) -> dict[str, object] | None:
    try:
        data = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and isinstance(data.get("works"), bool) else None
