# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on this machine: three hosts up and checked, a bundle of real parts built and verified, a table of both.

`python -m dev.demo` does it all; `python -m dev.demo bundle` makes the bundle only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dev.paths import BUNDLE, CACHE, ROOT
from tests import hosts
from tests.playbook import run_playbook

# k3s itself has only its release way, which needs the internet: a stand-in takes its place here, and it is said.
STAND_IN = ROOT / "tests/k3s/artifacts.yml"
STAND_IN_WORDS = "k3s here is a stand-in: upstream Kubernetes behind k3s's command line (tests/k3s/README.md)"
MIB = 1024 * 1024

# inventory/local knows the hosts by these.
SET, NETWORK = "local", "10.78.0.0/24"
QUESTION = ". /etc/os-release; echo $PRETTY_NAME; systemctl is-system-running; uname -r; ps -o lstart= -p 1"


def say(text: str) -> None:
    print(text, flush=True)


def bundle_wishes(cache: Path) -> dict[str, Any]:
    """What demo, tests and benchmark ask of bundle.yml: everything that can be built here, below that folder."""
    return {
        "bundle_path": str(cache / BUNDLE.name),
        "bundle_cache_path": str(cache),
        "bundle_way": "build",
        "bundle_groups": ["site", "test"],
        "bundle_more_catalogues": [str(STAND_IN)],
    }


def make_bundle() -> bool:
    """Build what is missing of the bundle and verify the rest; whether it stands there whole."""
    run = run_playbook("playbooks/bundle.yml", extravars=bundle_wishes(CACHE), quiet=False)
    for failure in run.failures:
        say(f"demo: {failure}")
    return run.rc == 0


def columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def bundle_table() -> str:
    files: list[dict[str, Any]] = json.loads((BUNDLE / "bundle.json").read_text(encoding="utf-8"))["files"]
    rows: list[tuple[str, ...]] = [("part", "version", "way", "file", "MiB", "sha256")]
    rows += [
        (
            *(file["name"], file["version"], file["way"], Path(file["path"]).name),
            *(f"{file['size'] / MIB:.1f}", file["sha256"][:12]),
        )
        for file in files
    ]
    total = sum(file["size"] for file in files) / MIB
    return f"{columns(rows)}\n{len(files)} files, {total:.0f} MiB in {BUNDLE}\n{STAND_IN_WORDS}"


def raise_hosts() -> str:
    """Bring the hosts up, or find them up; returns how long it took."""
    started = time.monotonic()
    outcome = hosts.up(hosts.Wish(name=SET, count=3, network=NETWORK), lambda line: say(f"hosts: {line}"))
    seconds = time.monotonic() - started
    say(f"hosts: {outcome.sentence}")
    return f"{seconds:.1f} s"


def host_table() -> str:
    """What each host says of itself, over ssh."""
    rows: list[tuple[str, ...]] = [("host", "address", "system", "state", "kernel", "up since")]
    for host in hosts.load(SET).hosts:
        answer = hosts.run(hosts.load(SET), host, QUESTION).stdout
        rows.append((host.name, host.address, *answer.strip().splitlines()))
    return columns(rows)


def main() -> int:
    arguments = sys.argv[1:]
    if arguments == ["bundle"]:
        return 0 if make_bundle() else 1
    if arguments:
        say(f"demo: the only argument is 'bundle', not {' '.join(arguments)}. Nothing was done.")
        return 2
    say(f"demo: {STAND_IN_WORDS}")
    try:
        hosts_seconds = raise_hosts()
    except hosts.HostsError as error:
        say(f"demo: {error}")
        return 1
    started = time.monotonic()
    if not make_bundle():
        say("demo: the bundle is not whole; what was built so far is kept, and the next run goes on from there.")
        return 1
    bundle_seconds = f"{time.monotonic() - started:.0f} s"
    if run_playbook("site.yml", inventory=ROOT / "inventory/local", quiet=False).rc != 0:
        say("demo: site.yml refused a host; its reason is above. Nothing was changed on the hosts.")
        return 1
    say(f"\nHosts ({hosts_seconds})\n{host_table()}\n\nBundle ({bundle_seconds})\n{bundle_table()}\n")
    say("Look around:   .venv/bin/python -m tests.hosts ssh local local-1")
    say("Take it away:  make demo-down")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("demo: interrupted; what is there is kept, and the next run goes on from there.")
        sys.exit(130)
