# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine is started where none answers, outlives its starter, and only ours is ever stopped.

Each test has an engine of its own, in namespaces where the machine's own engine cannot be seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .containers_support import REPOSITORY

HIDE = (
    "mount -t tmpfs tmpfs /run && mkdir -p /var/lib/docker && mount -t tmpfs tmpfs /var/lib/docker && ip link set lo up"
)
NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")


def alone(script: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script where no engine is, with ``$HOSTS`` for the test bed's command."""
    environment = {**os.environ, "HOLDFAST_CACHE": str(cache), "HOSTS": f"{sys.executable} -m tests.hosts"}
    environment.pop("DOCKER_HOST", None)
    return subprocess.run(
        # With a process namespace of its own nothing that the script started can outlive it.
        ["unshare", *NAMESPACES, "sh", "-c", f"set -eu; {HIDE}; {script}"],
        check=False,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_an_engine_is_started_once_outlives_the_command_and_is_stopped_by_name(tmp_path: Path) -> None:
    said = alone("for action in start start stop stop; do $HOSTS engine $action; done; pgrep dockerd || true", tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == [
        "changed: the container engine was started.",
        "unchanged: the container engine answers.",
        "changed: the container engine was stopped.",
        "unchanged: the test bed started no engine.",
    ]


def test_two_commands_at_once_start_one_engine(tmp_path: Path) -> None:
    script = "$HOSTS engine start & one=$!; $HOSTS engine start; wait $one; pgrep -c -x dockerd; $HOSTS engine stop"
    said = alone(script, tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[2:] == ["1", "changed: the container engine was stopped."]


def test_an_engine_that_was_there_before_is_used_and_never_stopped(tmp_path: Path) -> None:
    script = (
        "dockerd >/dev/null 2>&1 & for i in $(seq 300); do test -S /run/docker.sock && break; sleep 0.1; done; "
        "$HOSTS engine start; $HOSTS engine stop; $HOSTS clean; pgrep -c -x dockerd"
    )
    said = alone(script, tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == [
        "unchanged: the container engine answers.",
        "unchanged: the test bed started no engine.",
        "changed: every set, image and engine of the test bed is gone.",
        "1",
    ]


def test_an_engine_that_cannot_start_is_quoted_and_nothing_is_left_running(tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text('{"no-such-setting": 1}\n', encoding="utf-8")
    script = (
        f"mkdir -p /etc/docker; mount -t tmpfs tmpfs /etc/docker; cp {tmp_path}/daemon.json /etc/docker/; "
        "$HOSTS engine start || { pgrep dockerd || true; exit 3; }"
    )
    said = alone(script, tmp_path / "cache")
    assert said.returncode == 3
    assert said.stdout == ""
    assert "its last words were: " in said.stderr
    assert "no-such-setting" in said.stderr
    assert not (tmp_path / "cache" / "hosts" / "engine" / "dockerd.json").exists()
