# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C ends a playbook with all that it started, and is told to the caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dev.paths import ROOT

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Sleep under a name that can be found
      ansible.builtin.command: sleep {seconds}
"""


def running(words: str) -> bool:
    found = subprocess.run(["pgrep", "-f", f"^{words}$"], check=False, stdout=subprocess.DEVNULL)
    return found.returncode == 0


def wait_until(wish: bool, words: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while running(words) != wish:
        assert time.monotonic() < end, f"{words}: running is still {not wish} after {seconds:.0f} s"
        time.sleep(0.1)


def test_an_interrupted_playbook_takes_its_module_and_command_with_it(tmp_path: Path) -> None:
    seconds = f"{900 + os.getpid() % 97}.{os.getpid()}"
    (tmp_path / "sleep.yml").write_text(PLAYBOOK.format(seconds=seconds), encoding="utf-8")
    code = (
        "import sys; from tests.playbook import run_playbook\n"
        f"try: run_playbook({str(tmp_path / 'sleep.yml')!r})\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        wait_until(True, f"sleep {seconds}")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        wait_until(False, f"sleep {seconds}", 10)
    finally:
        process.kill()
        subprocess.run(["pkill", "-f", f"^sleep {seconds}$"], check=False)
