# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the root file system of a container host as one tar, from the machine's own package sources."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .distribution import ROOTFS, Distribution, rootfs_files
from .model import HostsError

# Only what says how to reach the archive: a proxy, a mirror's old date, retries. The rest belongs to the machine.
FORWARDED_APT_OPTIONS = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries", "Acquire::Force")

REMEDIES = {
    "mmdebstrap": "apt-get install mmdebstrap",
    "dnf": "apt-get install dnf, and put the distribution's repository files into /etc/yum.repos.d",
}


def require_builder(distribution: Distribution) -> None:
    """Raise HostsError when the program that makes this image, or the right to run it, is missing."""
    remedy = REMEDIES.get(distribution.builder)
    if remedy is None:
        raise HostsError(f"{distribution.key}: its data file names an unknown builder, {distribution.builder}.")
    if shutil.which(distribution.builder) is None:
        raise HostsError(
            f"{distribution.title} hosts need the program {distribution.builder} on this machine, and it is missing: "
            f"{remedy}, then run this again."
        )
    if os.geteuid() != 0:
        raise HostsError(
            f"The image of {distribution.title} hosts is not made yet, and making it takes root: "
            "run the same command once with sudo."
        )


def build_tar(distribution: Distribution, folder: Path, inherited_lock: int) -> Path:
    """Make rootfs.tar in the folder, which is ours alone and thrown away by the caller when this fails."""
    staging = folder / "rootfs"
    stage(distribution, staging)
    target = folder / "rootfs.tar"
    if distribution.builder == "mmdebstrap":
        sources = folder / "sources.list"
        sources.write_text(matching_sources(distribution, _apt_sources()), encoding="utf-8")
        commands = [mmdebstrap_command(distribution, staging, target, sources, forwarded_apt_options(_apt_config()))]
    else:
        commands = dnf_commands(distribution, staging, folder / "installed", target)
    scratch = folder / "tmp"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"}
    for command in commands:
        _run(command, folder / "build.log", environment, inherited_lock)
    return target


def stage(distribution: Distribution, staging: Path) -> None:
    """Lay out our own files with the owner and modes that they have in the image."""
    for path in rootfs_files():
        target = staging / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOTFS / path, target)
        target.chmod(0o755 if (ROOTFS / path).stat().st_mode & 0o100 else 0o644)
    units = staging / "etc/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    for unit in distribution.masked_units:
        (units / unit).symlink_to("/dev/null")
    for folder in (staging, *(path for path in staging.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def matching_sources(distribution: Distribution, configured: str) -> str:
    """Pick the machine's own archives of this distribution; empty means that the builder knows better."""
    suites = {distribution.suite, *distribution.suites_beside}
    lines = {
        f"deb {uri} {suite} {component}"
        for uri, suite, component in (line.split() for line in configured.splitlines() if len(line.split()) == 3)
        if suite in suites and component in distribution.components
    }
    if not any(line.split()[2] == distribution.suite for line in lines):
        return ""
    return "".join(f"{line}\n" for line in sorted(lines))


def forwarded_apt_options(dumped: str) -> list[str]:
    """Pick the options of the machine's apt that decide whether the archive can be reached at all."""
    return [
        line.strip()
        for line in dumped.splitlines()
        if line.startswith(FORWARDED_APT_OPTIONS) and not line.rstrip().endswith('"";')
    ]


def mmdebstrap_command(
    distribution: Distribution, staging: Path, target: Path, sources: Path, apt_options: list[str]
) -> list[str]:
    """Return the command that makes the tar of a Debian or an Ubuntu."""
    command = [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--components={','.join(distribution.components)}",
        f"--include={','.join(distribution.packages)}",
        # The image is either whole or thrown away, so syncing each file to the disk would only cost time.
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *(f"--aptopt={option}" for option in apt_options),
        f"--customize-hook=sync-in {shlex.quote(str(staging))} /",
        # Installing the packages made these; every host must make its own.
        '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_* && : > "$1"/etc/machine-id',
        distribution.suite,
        str(target),
    ]
    if sources.stat().st_size:
        command.append(str(sources))
    return command


def dnf_commands(distribution: Distribution, staging: Path, root: Path, target: Path) -> list[list[str]]:
    """Return the commands that make the tar of a Rocky Linux, on a machine that has dnf and its repository files."""
    return [
        [
            "dnf",
            "--assumeyes",
            f"--installroot={root}",
            f"--releasever={distribution.suite}",
            "--setopt=install_weak_deps=False",
            "--setopt=tsflags=nodocs",
            "--disablerepo=*",
            *(f"--enablerepo={component}" for component in distribution.components),
            "install",
            *distribution.packages,
        ],
        ["cp", "--recursive", "--no-dereference", "--preserve=mode", f"{staging}/.", str(root)],
        ["find", f"{root}/etc/ssh", "-name", "ssh_host_*", "-delete"],
        ["truncate", "--size=0", f"{root}/etc/machine-id"],
        ["tar", "--create", "--numeric-owner", "--xattrs", f"--directory={root}", f"--file={target}", "."],
    ]


def _apt_sources() -> str:
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout if done.returncode == 0 else ""


def _apt_config() -> str:
    done = subprocess.run(["apt-config", "dump"], check=False, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def _run(command: list[str], log: Path, environment: Mapping[str, str], inherited_lock: int) -> None:
    # The builder ends with us. Should it linger for a moment, it holds the lock, so that nobody builds beside it.
    with log.open("ab") as output:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "TERM", "--", *command],
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(inherited_lock,),
        )
    if done.returncode != 0:
        words = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line[:2] == "E:"]
        kept = log.parent.parent / f"{log.parent.name.partition('.')[0]}.log"
        shutil.copyfile(log, kept)
        raise HostsError(
            f"{command[0]} could not make the image: {words[0] if words else f'it ended with {done.returncode}.'} "
            f"Nothing half-made was kept; the whole log is {kept}. Put that right and run this again."
        )
