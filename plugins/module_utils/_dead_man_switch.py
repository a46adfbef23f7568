# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts files back by itself unless somebody who still gets in says in time that all is well.

Copies of the files lie beside a script that restores them, and a systemd timer runs the script. The timer is a real
unit, enabled, so that a node that loses power in between counts again from its next boot.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

STATE = Path("var/lib/holdfast/dead-man-switch")
UNITS = Path("etc/systemd/system")

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]


class SwitchError(Exception):
    """The switch is not what was thought, in a sentence."""


@dataclass(frozen=True)
class Switch:
    """One switch on the machine whose file system starts at `root`."""

    name: str
    run: Run
    root: Path = Path("/")

    @property
    def folder(self) -> Path:
        return self.root / STATE / self.name

    @property
    def unit(self) -> str:
        return f"holdfast-restore-{self.name}"

    @property
    def timer(self) -> Path:
        return self.root / UNITS / f"{self.unit}.timer"

    @property
    def service(self) -> Path:
        return self.root / UNITS / f"{self.unit}.service"

    @property
    def armed(self) -> bool:
        return self.timer.exists() and (self.folder / "restore").exists()

    def arm(self, files: Sequence[str], commands: Sequence[str], seconds: int) -> None:
        """Keep the files and start the clock. One that is armed has the good files: only its clock starts anew."""
        if not self.armed:
            self._keep(files, commands)
        self._write(self.service, _service(self.unit, self.folder), 0o644)
        self._write(self.timer, _timer(self.unit, seconds), 0o644)
        self._systemctl("daemon-reload")
        self._systemctl("enable", self.timer.name)
        # The change that follows is synced, and must not survive a power cut that the way back does not.
        os.sync()
        self._systemctl("restart", self.timer.name)

    def release(self) -> None:
        """Stop the clock; the new files stay."""
        if not self.armed:
            raise SwitchError(
                f"the switch {self.name} is not armed any more: its time was up, and what it guards was put back"
            )
        self._systemctl("disable", "--now", self.timer.name)
        # It may have run out in the meantime, with its script at work or done.
        if not self.armed:
            raise SwitchError(f"the time of the switch {self.name} was up, and what it guards was put back as it was")
        self._forget()

    def fire(self) -> None:
        """Put the files back now; nothing to do where its time was up."""
        if self.armed:
            self._systemctl("start", self.service.name)

    def _keep(self, files: Sequence[str], commands: Sequence[str]) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, mode=0o700)
        lines = ["#!/bin/sh", "# Puts back what was there before the change that was never confirmed."]
        for number, path in enumerate(files):
            there = self.root / path.lstrip("/")
            copy = self.folder / str(number)
            if there.exists():
                shutil.copy2(there, copy)
                stat = there.stat()
                os.chown(copy, stat.st_uid, stat.st_gid)
                beside = shlex.quote(f"{path}.restored")
                lines.append(f"cp -p {shlex.quote(str(copy))} {beside} && mv -f {beside} {shlex.quote(path)}")
            else:
                lines.append(f"rm -f {shlex.quote(path)}")
        lines += commands
        units = " ".join(shlex.quote(str(path)) for path in (self.timer, self.service))
        # A shell reads on in a script that is gone. The copies go last: without them nothing could be put back again.
        lines += [f"systemctl disable {shlex.quote(self.timer.name)}", f"rm -f {units}", "systemctl daemon-reload"]
        lines += [f"rm -rf {shlex.quote(str(self.folder))}", ""]
        self._write(self.folder / "restore", "\n".join(lines), 0o700)

    def _forget(self) -> None:
        self.timer.unlink()
        self.service.unlink()
        shutil.rmtree(self.folder)
        self._systemctl("daemon-reload")

    def _write(self, path: Path, text: str, mode: int) -> None:
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def _systemctl(self, *arguments: str) -> None:
        code, _out, error = self.run(["systemctl", *arguments])
        if code:
            raise SwitchError(f"systemctl {' '.join(arguments)} failed: {error.strip()}")


def _service(unit: str, folder: Path) -> str:
    return f"""[Unit]
Description=Puts back what a change took that nobody confirmed ({unit})

[Service]
Type=oneshot
ExecStart=/bin/sh {folder}/restore
"""


def _timer(unit: str, seconds: int) -> str:
    return f"""[Unit]
Description=Waits for the word that a change is well ({unit})

[Timer]
OnActiveSec={seconds}
AccuracySec=1s
Unit={unit}.service

[Install]
WantedBy=timers.target
"""
