# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast hosts answer ssh, and how fast a bundle is there: `make bench-hosts`.

The images of both tiers are made first, outside of the measure. The cold bundle is built with empty caches in a
folder of its own, so it takes as long as a first `make demo` does; the warm one is verified only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from dev.bundle import bundle_wishes
from dev.paths import CACHE
from tests import hosts
from tests.hosts import tiers
from tests.playbook import run_playbook

COUNTS = {"container": 3, "vm": 1}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def seconds_to_ssh(tier: str) -> float:
    """From the wish for hosts to ssh answers on all of them, image cached."""
    tiers.find(tier).prepare(say)
    name = f"bench-{tier}"
    hosts.down(name)
    started = time.monotonic()
    try:
        hosts.up(hosts.Wish(name=name, count=COUNTS[tier], tier=tier), say)
        return round(time.monotonic() - started, 1)
    finally:
        hosts.down(name)


def bundle_seconds(cache: Path) -> float:
    """One run of bundle.yml on that cache."""
    started = time.monotonic()
    run = run_playbook("playbooks/bundle.yml", extravars=bundle_wishes(cache), quiet=False)
    if run.rc != 0:
        raise SystemExit("bench: the bundle did not get ready; its reason is above")
    return round(time.monotonic() - started, 1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hosts", description=__doc__)
    parser.add_argument("--tiers", default="container,vm", help="which tiers (default: %(default)s)")
    parser.add_argument("--no-cold", action="store_true", help="leave the cold build out, and say null for it")
    options = parser.parse_args()

    ssh = {tier: seconds_to_ssh(tier) for tier in options.tiers.split(",")}
    cold = None
    if not options.no_cold:
        empty = CACHE / "bench-cold"
        shutil.rmtree(empty, ignore_errors=True)
        try:
            cold = bundle_seconds(empty)
        finally:
            shutil.rmtree(empty, ignore_errors=True)
    bundle_seconds(CACHE)
    warm = bundle_seconds(CACHE)
    print(json.dumps({"bench": "hosts", "seconds_to_ssh": ssh, "bundle_seconds": {"cold": cold, "warm": warm}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
