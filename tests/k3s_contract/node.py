# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host on which the binary runs as a server or an agent: its files, its unit, its journal."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.integration.kubernetes_remote import Content, wait_until

from .api import Api
from .inputs import Release
from .reach import Reach
from .units import BINARY, NAMES, unit_files
from .wiping import WIPE

DATA = "/var/lib/rancher/k3s"
CONFIG = "/etc/rancher/k3s/config.yaml"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
IMAGES = f"{DATA}/agent/images"
START_SECONDS = 180
# The test hosts may not lower an out-of-memory score, and some have cgroup v1 only. Both are facts of these hosts.
CONTAINERD_DROP_IN = b"""version = 3
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended that was not started by systemd; code 124 means that it had to be stopped."""

    code: int
    output: str


class Node:
    """A host with the binary in place."""

    def __init__(self, remote: Reach, role: str) -> None:
        self.remote = remote
        self.role = role
        self.unit = NAMES[role]

    @property
    def name(self) -> str:
        """Return the node's name in the cluster."""
        return self.remote.host.name

    @property
    def address(self) -> str:
        """Return the host's address."""
        return self.remote.host.address

    def run(self, command: str, seconds: float = 120) -> str:
        """Run a shell command that must succeed."""
        return self.remote.run(command, seconds)

    def attempt(self, command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a shell command, however it ends."""
        return self.remote.attempt(command, seconds)

    def install(self, release: Release, images: Mapping[str, Content] | None = None) -> None:
        """Bring the binary by a rename, as an upgrade does, and the images for a node without a registry."""
        archives: dict[str, Content] = {f"{IMAGES}/{path.name}": path for path in release.images}
        archives |= {f"{IMAGES}/{name}": content for name, content in (images or {}).items()}
        self.run(f"rm -f {IMAGES}/*.tar*")
        self.remote.place({f"{BINARY}.new": release.binary, **archives})
        self.run(f"mv {BINARY}.new {BINARY}")

    def configure(
        self,
        config: Mapping[str, Any] | str,
        drop_ins: Mapping[str, Mapping[str, Any] | str] | None = None,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write the configuration file, its drop-ins, the unit with its environment, and further files."""
        written: dict[str, Content] = {CONFIG: _yaml(config)}
        written |= {f"{CONFIG}.d/{name}": _yaml(content) for name, content in (drop_ins or {}).items()}
        written |= {f"{DATA}/agent/etc/containerd/config-v3.toml.d/10-test-host.toml": CONTAINERD_DROP_IN}
        written |= unit_files(self.role, environment=environment) | dict(files or {})
        self.run(f"rm -rf {CONFIG}.d")
        self.remote.place(written)
        self.run("systemctl daemon-reload")

    def host_arguments(self) -> list[str]:
        """Return what the kubelet must be told on this kind of host, and on no other."""
        unified = self.run("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"
        return [] if unified else ["fail-cgroupv1=false"]

    def start(self) -> None:
        """Ask for a start and wait for nothing."""
        self.run(f"systemctl start --no-block {self.unit}")

    def restart(self) -> None:
        """Ask for a restart and wait for nothing."""
        self.run(f"systemctl restart --no-block {self.unit}")

    def stop(self) -> None:
        """Stop the service; pods stay."""
        self.run(f"systemctl stop {self.unit}")

    def show(self, name: str) -> str:
        """Return one property of the unit."""
        return self.run(f"systemctl show -p {name} --value {self.unit}").strip()

    def is_active(self) -> bool:
        """Return whether the service has said READY."""
        return self.attempt(f"systemctl is-active {self.unit}").stdout.strip() == "active"

    def wait_active(self, seconds: float = START_SECONDS) -> None:
        """Return when the service has said READY."""
        wait_until(f"{self.name} is active", self.is_active, seconds, self.journal)

    def restart_and_wait(self) -> None:
        """Restart and return when the new process has said READY."""
        before = self.show("MainPID")
        self.restart()
        wait_until(
            f"{self.name} is active again",
            lambda: self.show("MainPID") not in ("0", before) and self.is_active(),
            START_SECONDS,
            self.journal,
        )

    def mark(self) -> str:
        """Return a place in the journal, to read from there later."""
        said = self.run("journalctl -n 0 --show-cursor -o cat")
        return said.partition("cursor:")[2].strip()

    def journal(self, since: str = "", lines: int = 60) -> str:
        """Return what the service said: the last lines, or all since a place."""
        which = f"--after-cursor={shlex.quote(since)}" if since else f"-n {lines}"
        return self.attempt(f"journalctl --no-pager -o cat -u {self.unit} {which}").stdout

    def whole_journal(self) -> str:
        """Return all that the service said since the host was made."""
        return self.run(f"journalctl --no-pager -o cat -u {self.unit}")

    def wait_logged(self, pattern: str, since: str, seconds: float = 30) -> str:
        """Return the line that matches, once it is there."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [line for line in self.journal(since).splitlines() if re.search(pattern, line)]
            return bool(found)

        wait_until(f"{self.name} logs {pattern}", there, seconds, lambda: self.journal(since)[-4000:])
        return found[0]

    def command_line(self, component: str) -> list[str]:
        """Return the arguments of a component as the journal has them, those of its last start."""
        said = re.findall(rf"Running {component} (--[^\n]*)", self.whole_journal())
        assert said, f"{self.name}: the journal has no 'Running {component} --…'"
        # The line is one logrus field, so its end is a quotation mark.
        return str(said[-1]).rstrip('"').replace('\\"', '"').split()

    def k3s(self, arguments: str, seconds: float = 60) -> str:
        """Run the binary with a verb that must succeed."""
        return self.run(f"{BINARY} {arguments}", seconds)

    def kubectl(self, arguments: str) -> str:
        """Run the binary's own kubectl."""
        return self.run(f"{BINARY} kubectl {arguments}")

    def kubectl_json(self, arguments: str) -> Any:
        """Run the binary's own kubectl and read its answer."""
        return json.loads(self.kubectl(f"{arguments} -o json"))

    def api(self) -> Api:
        """Return the way into this server's API as its administrator."""
        return Api.from_kubeconfig(self.run(f"cat {KUBECONFIG}"), self.address)

    def try_start(
        self,
        role: str,
        config: Mapping[str, Any] | str = "",
        arguments: str = "",
        environment: Mapping[str, str] | None = None,
        seconds: int = 20,
    ) -> Ended:
        """Start the binary by hand beside what runs, in a data directory of its own, for so long at most."""
        path, data = "/tmp/attempt.yaml", "/var/lib/rancher/attempt"
        self.remote.place({path: _yaml(config)})
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in (environment or {}).items())
        command = f"{BINARY} {role} --config {path} --data-dir {data} {arguments}"
        done = self.attempt(
            f"cd /; env {variables} timeout -k 5 {seconds} {command} 2>&1; echo code=$?; "
            f"rm -rf {data}/server {data}/agent",
            seconds + 60,
        )
        output, _separator, code = done.stdout.rpartition("code=")
        return Ended(int(code), output)

    def wipe(self) -> None:
        """Bring the host back to where k3s never was."""
        self.remote.place({"/tmp/wipe": WIPE.encode()})
        self.run("sh /tmp/wipe; rm -f /tmp/wipe")

    def processes(self) -> dict[int, str]:
        """Return the service's own processes by id, main process first; pods and their shims are not among them."""
        main = int(self.show("MainPID"))
        listed = self.run("ps -e -o pid=,ppid=,comm=")
        rows = [line.split(None, 2) for line in listed.splitlines()]
        parents = {int(pid): int(parent) for pid, parent, _name in rows}
        names = {int(pid): name.strip() for pid, _parent, name in rows}
        return {pid: name for pid, name in names.items() if "shim" not in name and _descends(pid, main, parents)}

    def containers(self) -> dict[str, int]:
        """Return the id and the process of each container that has a shim, whether or not containerd runs."""
        listed = self.run("ps -e -o pid=,ppid=,args=")
        rows = [line.split(None, 2) for line in listed.splitlines()]
        shims = {int(pid) for pid, _parent, command in rows if "containerd-shim" in command.split()[0]}
        return {f"{parent}/{command}": int(pid) for pid, parent, command in rows if int(parent) in shims}

    def wait_file(self, path: str, seconds: float = 60) -> None:
        """Return when a file is there."""
        wait_until(f"{self.name} has {path}", lambda: self.attempt(f"test -e {path}").returncode == 0, seconds)

    def fetch(self, url: str) -> str:
        """Return what a URL answers to this host, which has no other tool for it than Python."""
        program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"
        return self.run(f"python3 -c {shlex.quote(program)} {shlex.quote(url)}").strip()

    def sleep(self, seconds: float) -> None:
        """Let time pass where only time can tell, such as that something does not happen."""
        time.sleep(seconds)


def _descends(pid: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    while pid not in (0, ancestor):
        pid = parents.get(pid, 0)
    return pid == ancestor


def _yaml(content: Mapping[str, Any] | str) -> bytes:
    return (content if isinstance(content, str) else yaml.safe_dump(dict(content), sort_keys=False)).encode()
