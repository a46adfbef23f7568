# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch keeps the good files, whatever happens between arming and release."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._dead_man_switch import Switch, SwitchError


class Systemd:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = ""

    def __call__(self, command: Sequence[str]) -> tuple[int, str, str]:
        text = " ".join(command)
        self.asked.append(text)
        return (1, "", "no such bus") if self.fails and self.fails in text else (0, "", "")


@pytest.fixture
def systemd() -> Systemd:
    return Systemd()


@pytest.fixture
def switch(tmp_path: Path, systemd: Systemd) -> Switch:
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    return Switch("door", systemd, tmp_path)


def armed(switch: Switch, *files: str) -> Switch:
    switch.arm(files, ["echo held > held"], 30)
    return switch


def restore(switch: Switch) -> None:
    """Run the script as the node would, with paths below the test's folder and without systemd."""
    script = (switch.folder / "restore").read_text(encoding="utf-8")
    script = script.replace("/etc/door", str(switch.root / "etc/door")).replace("systemctl", "true")
    subprocess.run(["sh", "-c", script], check=True, cwd=switch.root)


def test_armed_it_waits_with_a_timer_that_outlives_a_boot(switch: Switch, systemd: Systemd) -> None:
    armed(switch, "/etc/door")
    assert switch.armed
    assert "OnActiveSec=30" in switch.timer.read_text(encoding="utf-8")
    assert systemd.asked[-2:] == [
        "systemctl enable holdfast-restore-door.timer",
        "systemctl restart holdfast-restore-door.timer",
    ]


def test_the_way_back_is_on_the_disk_when_the_clock_starts(
    switch: Switch, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The units too: a change that is synced would else outlive a power cut, and they would not."""
    monkeypatch.setattr("os.sync", lambda: systemd.asked.append("sync"))
    armed(switch, "/etc/door")
    assert [text.split()[0:2][-1] for text in systemd.asked] == ["daemon-reload", "enable", "sync", "restart"]


def test_the_script_puts_back_content_and_mode_and_takes_away_what_was_not_there(switch: Switch) -> None:
    door = switch.root / "etc/door"
    door.write_text("open", encoding="utf-8")
    door.chmod(0o640)
    armed(switch, "/etc/door", "/etc/door.new")
    door.write_text("shut", encoding="utf-8")
    door.chmod(0o600)
    (switch.root / "etc/door.new").write_text("x", encoding="utf-8")
    restore(switch)
    assert door.read_text(encoding="utf-8") == "open"
    assert door.stat().st_mode & 0o777 == 0o640
    assert not (switch.root / "etc/door.new").exists()
    assert (switch.root / "held").read_text(encoding="utf-8") == "held\n"
    assert not any(path.exists() for path in (switch.folder, switch.timer, switch.service))


def test_armed_again_it_keeps_the_good_files_of_the_first_time(switch: Switch) -> None:
    door = switch.root / "etc/door"
    door.write_text("open", encoding="utf-8")
    armed(switch, "/etc/door")
    door.write_text("shut", encoding="utf-8")
    armed(switch, "/etc/door")
    restore(switch)
    assert door.read_text(encoding="utf-8") == "open"


def test_released_it_leaves_nothing(switch: Switch) -> None:
    armed(switch, "/etc/door").release()
    assert not switch.armed
    assert not any(path.exists() for path in (switch.folder, switch.timer, switch.service))


def test_a_release_that_comes_too_late_is_an_error(switch: Switch) -> None:
    with pytest.raises(SwitchError, match="its time was up"):
        switch.release()


def test_fired_it_starts_the_service_once(switch: Switch, systemd: Systemd) -> None:
    armed(switch, "/etc/door").fire()
    assert systemd.asked[-1] == "systemctl start holdfast-restore-door.service"
    switch.timer.unlink()
    before = len(systemd.asked)
    switch.fire()
    assert len(systemd.asked) == before


def test_a_switch_that_cannot_be_armed_says_so(switch: Switch, systemd: Systemd) -> None:
    systemd.fails = "restart"
    with pytest.raises(SwitchError, match="no such bus"):
        armed(switch, "/etc/door")
