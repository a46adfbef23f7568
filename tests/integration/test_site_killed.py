# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A first run of site.yml that is killed again and again is repeated to its end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

from dev.paths import ROOT
from tests.site import Site, site_hosts


def kill_a_run(site: Site, seconds: float) -> bool:
    """Kill ansible-playbook and all its workers after so many seconds; whether it was still running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(site.inventory), "site.yml"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def test_a_first_run_that_is_killed_ten_times_is_repeated_to_its_end() -> None:
    moments = random.Random(20261121)
    with site_hosts("site-killed", servers=3, variables={"site_vip": "10.75.0.10"}, network="10.75.0.0/24") as site:
        killed = [kill_a_run(site, moments.uniform(4, 40)) for _attempt in range(10)]
        assert sum(killed) >= 5, "most runs ended before they could be killed"
        run = site.run("site.yml")
        assert run.rc == 0, run.failures
        assert sum(site.run("site.yml").changed.values()) == 0
