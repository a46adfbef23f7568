# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine: the machine's own when it answers, else one that we install and start."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import time
from pathlib import Path

import docker
from docker.errors import APIError, DockerException

from . import processes
from .locks import lock
from .model import HostsError, Report
from .networks import UsedNetwork
from .paths import engine_root

START_SECONDS = 60.0
IMAGE_REPOSITORY = "holdfast/host"
SOCKET = "unix:///var/run/docker.sock"


def connect() -> docker.DockerClient:
    """Return a client of an engine that answers, or raise HostsError."""
    client = _try_connect()
    if client is None:
        raise HostsError(
            f"No container engine answers at {address()}, so the hosts in it cannot be reached; nothing was changed. "
            "Run the same 'up' again as root: it starts the engine."
        )
    return client


def ensure(report: Report) -> docker.DockerClient:
    """Return a client; install and start an engine first where there is none."""
    with lock("engine", busy="Another command has been starting the container engine for minutes.", wait_seconds=300):
        client = _try_connect()
        if client is None:
            refuse_unless_startable()
            _install(report)
            # A package on a machine with systemd starts its own service.
            client = _try_connect() or _start(report)
    return client


def address() -> str:
    """Return where the engine listens; one on another machine is refused, its networks are not ours to break."""
    chosen = os.environ.get("DOCKER_HOST", "") or SOCKET
    if not chosen.startswith("unix://"):
        raise HostsError(
            f"DOCKER_HOST is {chosen}, but test hosts need an engine on this very machine: "
            "their addresses and faults live in its kernel. Unset DOCKER_HOST and run this again."
        )
    return chosen


def answers() -> bool:
    """Return whether an engine answers now."""
    return _try_connect() is not None


def words(error: Exception) -> str:
    """Return what the engine said, without the address that it was asked at."""
    said = error.explanation if isinstance(error, APIError) and error.explanation else error
    return str(said).strip().rstrip(".")


def used_networks() -> list[UsedNetwork]:
    """Return the networks of the engine, by the names that its users know; none when no engine answers."""
    client = _try_connect()
    found = []
    for network in client.networks.list() if client else []:
        for pool in (network.attrs.get("IPAM") or {}).get("Config") or []:
            subnet = ipaddress.ip_network(pool["Subnet"], strict=False)
            if isinstance(subnet, ipaddress.IPv4Network):
                found.append(UsedNetwork(subnet, f"the container network {network.name}"))
    return found


def remove_images(report: Report) -> None:
    """Remove the images of container hosts from the engine, if one answers."""
    client = _try_connect()
    tags = {tag for image in client.images.list(name=IMAGE_REPOSITORY) for tag in image.tags} if client else set()
    for tag in sorted(tags):
        report(f"Removing the image {tag} from the container engine.")
        try:
            assert client is not None
            client.images.remove(tag)
        except DockerException as error:
            raise HostsError(f"The image {tag} was not removed: {words(error)}. Take its hosts down first.") from error


def stop(report: Report) -> bool:
    """End the engine that we started, and only that one; return whether there was one."""
    record = engine_root() / "dockerd.json"
    process = processes.load(record)
    ours = process is not None and processes.is_running(process)
    if process is not None and ours:
        client = _try_connect()
        left = [container.name for container in client.containers.list()] if client else []
        if left:
            raise HostsError(
                f"The container engine still runs {', '.join(sorted(str(name) for name in left))}, so it was not "
                "stopped. Take those down first, then run this again."
            )
        report("Stopping the container engine that the test bed started (a few seconds).")
        processes.stop(process, grace_seconds=30)
    record.unlink(missing_ok=True)
    return ours


def refuse_unless_startable() -> None:
    """Raise HostsError when no engine answers and we may not start one either."""
    if answers():
        return
    if os.environ.get("DOCKER_HOST"):
        raise HostsError(
            f"The container engine at {address()} (from DOCKER_HOST) does not answer. Start it, or unset DOCKER_HOST "
            "so that the test bed may start its own."
        )
    if os.geteuid() != 0:
        raise HostsError(
            "No container engine answers to this user, and only root may start one. Run the same command with sudo, "
            "or start Docker and join the group 'docker'."
        )
    if shutil.which("dockerd") is None and shutil.which("apt-get") is None:
        raise HostsError(
            "No container engine is installed, and this machine has no apt-get to install it with. "
            "Install Docker Engine 20.10 or later, then run this again."
        )


def _try_connect() -> docker.DockerClient | None:
    try:
        client = docker.DockerClient(base_url=address(), timeout=120)
        client.ping()
    except (DockerException, OSError):
        return None
    return client


def _install(report: Report) -> None:
    if shutil.which("dockerd") is not None:
        return
    report("Installing the container engine, Debian's docker.io (usually under a minute).")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A list that cannot be fetched may be one that we do not need; whether this one works, installing will tell.
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "docker.io"]):
        done = subprocess.run(
            ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    if done.returncode != 0:
        raise HostsError(
            f"The container engine could not be installed: 'apt-get install docker.io' said: "
            f"{_last_line(done.stderr or done.stdout)} Put that right, or install Docker Engine 20.10 or later "
            "yourself, then run this again."
        )
    if shutil.which("dockerd") is None:
        raise HostsError(
            "Debian's docker.io is installed and yet there is no program dockerd, so no engine was started. "
            "Run: apt-get install --reinstall docker.io, then run this again."
        )


def _start(report: Report) -> docker.DockerClient:
    report("Starting the container engine (usually 5 s).")
    folder = engine_root()
    log = folder / "dockerd.log"
    # The scope of an earlier life would only mislead whoever reads the log after a failure.
    log.unlink(missing_ok=True)
    process = processes.start_detached(["dockerd"], log)
    processes.save(process, folder / "dockerd.json")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        client = _try_connect()
        if client is not None:
            return client
        if not processes.is_running(process):
            break
        time.sleep(0.2)
    processes.stop(process)
    (folder / "dockerd.json").unlink(missing_ok=True)
    raise HostsError(
        f"The container engine did not start within {START_SECONDS:.0f} s; its last words were: "
        f"{_last_line(_tail(log))} The whole log is {log}. Nothing was left running."
    )


def _tail(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[-4000:]
    except OSError:
        return ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "(nothing)"
