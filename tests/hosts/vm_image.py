# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of virtual machines: a kernel, a first file system and a disk that every machine starts from."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import vm_initrd
from .distribution import ROOTFS
from .files import write_atomically
from .image_build import forwarded_apt_options, matching_sources
from .locks import lock
from .model import HostsError, Report
from .paths import images_root, sets_root
from .vm_recipe import OWN_FILES, VmRecipe, recipe_hash

PARTIAL = ".partial"
DISK_BYTES = 2 << 30
"""The file system as it is made; each machine grows its own to the disk that it got, at its first boot."""


@dataclass(frozen=True)
class VmImage:
    """The parts of an image; none of them is ever written to again."""

    folder: Path

    @property
    def kernel(self) -> Path:
        """Return the unpacked kernel."""
        return self.folder / "vmlinux"

    @property
    def initrd(self) -> Path:
        """Return the first file system."""
        return self.folder / "initrd"

    @property
    def disk(self) -> Path:
        """Return the raw, sparse disk that overlays are put on."""
        return self.folder / "disk.raw"

    @property
    def parts(self) -> tuple[Path, ...]:
        """Return all files that make the image."""
        return (self.kernel, self.initrd, self.disk)


def image_of(recipe: VmRecipe) -> VmImage:
    """Return where the image of this recipe lies, made or not."""
    return VmImage(images_root() / f"vm-{recipe.base.key}-{recipe_hash(recipe)}")


def is_whole(image: VmImage) -> bool:
    """Return whether the image is there in the sizes in which it was made."""
    try:
        sizes = json.loads((image.folder / "manifest.json").read_text(encoding="utf-8"))["sizes"]
        return {part.name: part.stat().st_size for part in image.parts} == dict(sizes)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def ensure_image(recipe: VmRecipe, report: Report) -> VmImage:
    """Return the image, made now if it is not in the cache."""
    image = image_of(recipe)
    if is_whole(image):
        return image
    busy = f"Another command has been making the image of {recipe.base.title} machines for fifteen minutes."
    with lock("vm-image", busy=busy, wait_seconds=900) as descriptor:
        if not is_whole(image):
            users = _sets_on(image)
            if users:
                raise HostsError(
                    f"The image {image.folder} was damaged, and machines of {', '.join(users)} still stand on it, so "
                    "it was not made anew. Run 'down' for each of them, then run this again."
                )
            shutil.rmtree(image.folder, ignore_errors=True)
            _build(recipe, image, report, descriptor)
            _prune(recipe, image)
    return image


def _build(recipe: VmRecipe, image: VmImage, report: Report, inherited_lock: int) -> None:
    report(f"Making the image of {recipe.base.title} machines (usually 1 to 3 minutes, once).")
    images_root().mkdir(parents=True, exist_ok=True)
    for left in images_root().glob(f"vm-*{PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)
    partial = VmImage(image.folder.with_name(image.folder.name + PARTIAL))
    partial.folder.mkdir()
    started = time.monotonic()
    try:
        root = _bootstrap(recipe, partial.folder, inherited_lock)
        report("Making its kernel, first file system and disk (usually 10 s).")
        _make_boot_files(recipe, root, partial)
        _configure(recipe, root, partial.folder)
        _make_disk(root, partial)
        for scrap in ("root", "tmp"):
            shutil.rmtree(partial.folder / scrap, ignore_errors=True)
        manifest = {
            "sizes": {part.name: part.stat().st_size for part in partial.parts},
            "seconds": round(time.monotonic() - started, 1),
        }
        for part in partial.parts:
            part.chmod(0o444)
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
        write_atomically(partial.folder / "manifest.json", json.dumps(manifest) + "\n")
        partial.folder.rename(image.folder)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.copyfile(partial.folder / "build.log", images_root() / f"{image.folder.name}.log")
        shutil.rmtree(partial.folder, ignore_errors=True)
        raise


def _bootstrap(recipe: VmRecipe, folder: Path, inherited_lock: int) -> Path:
    root = folder / "root"
    scratch = folder / "tmp"
    scratch.mkdir()
    sources = folder / "sources.list"
    configured = _output(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    )
    sources.write_text(matching_sources(recipe.base, configured), encoding="utf-8")
    excludes = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", *recipe.path_excludes)
    command = [
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        f"--components={','.join(recipe.base.components)}",
        f"--include={','.join(recipe.all_packages)}",
        # The image is either whole or thrown away, so syncing each file to the disk would only cost time.
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in excludes),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *(f"--aptopt={option}" for option in forwarded_apt_options(_output(["apt-config", "dump"]))),
        recipe.base.suite,
        str(root),
        *([str(sources)] if sources.stat().st_size else []),
    ]
    # The distribution's own initrd would take half a minute to make, and nothing here boots from it.
    environment = {**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8", "INITRD": "No"}
    _run(command, folder / "build.log", environment, inherited_lock)
    return root


def _make_boot_files(recipe: VmRecipe, root: Path, image: VmImage) -> None:
    kernels = sorted((root / "boot").glob("vmlinuz-*"))
    if not kernels:
        raise HostsError(f"The package {recipe.kernel_package} brought no kernel, so no image was made.")
    kernel = kernels[-1]
    image.kernel.write_bytes(vm_initrd.unpacked_kernel(kernel.read_bytes()))
    modules = root / "lib/modules" / kernel.name.removeprefix("vmlinuz-")
    order = vm_initrd.load_order(recipe.first_modules, (modules / "modules.dep").read_text(encoding="utf-8"))
    contents = {Path(path).name: (modules / path).read_bytes() for path in order}
    image.initrd.write_bytes(vm_initrd.initrd((root / "bin/busybox").read_bytes(), contents))


def _configure(recipe: VmRecipe, root: Path, folder: Path) -> None:
    for path in OWN_FILES:
        target = root / path
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.copyfile(ROOTFS / path, target)
        target.chmod(0o644)
    (root / "etc/fstab").write_text("LABEL=root / ext4 defaults,x-systemd.growfs 0 0\n", encoding="utf-8")
    # Each machine gets its own of these from its seed, at its first boot.
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("machine-id", "hostname", "resolv.conf"):
        (root / "etc" / name).unlink(missing_ok=True)
        (root / "etc" / name).write_text("", encoding="utf-8")
    # Should the kernel's package have made one all the same: nothing here boots from it.
    for initrd in (root / "boot").glob("initrd.img-*"):
        initrd.unlink()
    log = folder / "build.log"
    _run(["systemctl", f"--root={root}", "mask", *recipe.masked_units], log, os.environ)
    _run(["systemctl", f"--root={root}", "enable", *recipe.enabled_units], log, os.environ)


def _make_disk(root: Path, image: VmImage) -> None:
    with image.disk.open("wb") as stream:
        stream.truncate(DISK_BYTES)
    # Nothing is kept back for root: whatever fills the disk in a test runs as root, and full must mean full.
    command = ["mke2fs", "-q", "-F", "-m", "0", "-t", "ext4", "-L", "root", "-d", str(root), str(image.disk)]
    # Inode tables are written when they are needed, and the lazy thread that would fill them costs emulated time.
    command[1:1] = ["-E", "lazy_itable_init=1,lazy_journal_init=1"]
    _run(command, image.folder / "build.log", os.environ)


def _sets_on(image: VmImage) -> list[str]:
    """Return the names of the sets whose machines have their disks on this image."""
    found = set()
    for path in sets_root().glob("*/vm/*/machine.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if json.loads(path.read_text(encoding="utf-8"))["image"] == str(image.folder):
                found.add(path.parents[2].name)
    return sorted(found)


def _prune(recipe: VmRecipe, current: VmImage) -> None:
    """Remove images of this distribution that an older recipe made and that no machine stands on."""
    for folder in images_root().glob(f"vm-{recipe.base.key}-*"):
        if folder.is_dir() and folder != current.folder and not _sets_on(VmImage(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def _run(command: list[str], log: Path, environment: Mapping[str, str], lock: int = -1) -> None:
    # The builder ends with us. Should it linger for a moment, it holds the lock, so that nobody builds beside it.
    with log.open("ab") as output:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "TERM", "--", *command],
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,) if lock >= 0 else (),
        )
    if done.returncode != 0:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("E:")] or lines[-1:]
        kept = log.parent.parent / f"{log.parent.name.removesuffix(PARTIAL)}.log"
        raise HostsError(
            f"{command[0]} could not make the image: {errors[0] if errors else f'it ended with {done.returncode}.'} "
            f"Nothing half-made was kept; the whole log is {kept}. Put that right and run this again."
        )
