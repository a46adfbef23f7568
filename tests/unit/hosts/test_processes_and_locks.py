# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes are never taken for others, and locks end with their holder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hosts import processes
from tests.hosts.files import write_atomically
from tests.hosts.locks import lock
from tests.hosts.model import HostsError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep locks out of the real cache."""
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    return tmp_path


def test_a_started_program_is_known_again_and_ended(tmp_path: Path) -> None:
    process = processes.start_detached(["sleep", "60"], tmp_path / "log")
    processes.save(process, tmp_path / "sleep.json")
    assert processes.load(tmp_path / "sleep.json") == process
    assert processes.is_running(process)
    assert os.getsid(process.pid) == process.pid
    processes.stop(process)
    assert not processes.is_running(process)
    processes.stop(process)


def test_a_program_that_ignores_the_polite_end_is_ended_all_the_same(tmp_path: Path) -> None:
    ignore = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = processes.start_detached([sys.executable, "-c", ignore], tmp_path / "log")
    while not (tmp_path / "log").read_text(encoding="utf-8"):
        time.sleep(0.01)
    processes.stop(process, grace_seconds=0.2)
    assert not processes.is_running(process)


def test_another_process_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    stranger = processes.start_detached(["sleep", "60"], tmp_path / "log")
    try:
        for other in (replace(stranger, started=stranger.started - 1), replace(stranger, boot="an earlier one")):
            assert not processes.is_running(other)
            processes.stop(other)
        assert processes.is_running(stranger)
    finally:
        processes.stop(stranger)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": 1, "boot": "b"}'])
def test_a_damaged_note_of_a_process_is_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "note.json").write_text(text, encoding="utf-8")
    assert processes.load(tmp_path / "note.json") is None
    assert processes.load(tmp_path / "none.json") is None


def test_a_lock_excludes_others_and_two_shared_ones_do_not() -> None:
    with lock("a"), pytest.raises(HostsError, match="taken"), lock("a", busy="taken"):
        pass
    readers = (lock("a", shared=True), lock("a", shared=True), lock("b"))
    with readers[0], readers[1], readers[2], pytest.raises(HostsError, match="read"), lock("a", busy="read"):
        pass
    with lock("a"):
        pass


def test_a_lock_is_free_again_when_its_holder_is_killed() -> None:
    program = "import time\nfrom tests.hosts.locks import lock\nwith lock('a'):\n print(1, flush=True)\n time.sleep(60)"
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"1\n"
        with pytest.raises(HostsError), lock("a", busy="held"):
            pass
        holder.kill()
        with lock("a", busy="still held", wait_seconds=5):
            pass


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    write_atomically(path, "one", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "one"
    assert [item.name for item in path.parent.iterdir()] == ["file"]
