# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a systemd unit to a state and waits for it with a deadline; what fails is told with the unit's own journal.

No command here blocks on a job of systemd: a unit that hangs while it starts would hang the run with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Runs a command: exit status, what it printed, what it complained.
Command = Callable[[list[str]], "tuple[int, str, str]"]

POLL_SECONDS = 0.2
RESTARTS_TOO_MANY = 3
SUFFIXES = (".service", ".socket", ".timer", ".mount", ".target", ".slice", ".path", ".automount", ".swap")
PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Result",
    "NRestarts",
    "MainPID",
    "ExecMainStatus",
    "InvocationID",
    "NeedDaemonReload",
    "Type",
    "Job",
    "ConditionResult",
    "ActiveEnterTimestampMonotonic",
)


class ServiceError(Exception):
    """The unit did not come to its state; the text says what, where, its journal and what to do."""


@dataclass(frozen=True)
class Wish:
    """What is wanted of a unit. Empty `state` and None leave alone what is there."""

    name: str
    state: str = ""
    enabled: bool | None = None
    daemon_reload: bool = False
    wait_seconds: float = 60.0
    settle_seconds: float = 1.0
    journal_lines: int = 30


@dataclass(frozen=True)
class Status:
    """The unit as systemd sees it."""

    load: str
    active: str
    sub: str
    file: str
    result: str
    restarts: int
    pid: int
    exit_status: str
    invocation: str
    stale: bool
    type: str
    job: bool
    condition: bool
    active_since: float

    @property
    def there(self) -> bool:
        return self.load not in ("not-found", "")

    @property
    def up(self) -> bool:
        """Whether it runs, or ran to its end where that is all it does."""
        ran = (
            self.type == "oneshot" and self.active == "inactive" and self.result == "success" and bool(self.invocation)
        )
        return self.active in ("active", "reloading") or (ran and not self.job)

    @property
    def enabled(self) -> bool:
        return self.file in ("enabled", "enabled-runtime", "alias", "linked")

    def as_dict(self) -> dict[str, Any]:
        return {
            "active_state": self.active,
            "sub_state": self.sub,
            "unit_file_state": self.file,
            "result": self.result,
            "restarts": self.restarts,
            "main_pid": self.pid,
            "invocation_id": self.invocation,
        }

    def __str__(self) -> str:
        return f"state: {self.active if self.there else 'not there'}\nenabled: {str(self.enabled).lower()}\n"


def parse(text: str) -> Status:
    """Read what `systemctl show` printed."""
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def number(name: str) -> int:
        value = found.get(name, "")
        return int(value) if value.isdigit() else 0

    return Status(
        load=found.get("LoadState", ""),
        active=found.get("ActiveState", "inactive"),
        sub=found.get("SubState", ""),
        file=found.get("UnitFileState", ""),
        result=found.get("Result", ""),
        restarts=number("NRestarts"),
        pid=number("MainPID"),
        exit_status=found.get("ExecMainStatus", ""),
        invocation=found.get("InvocationID", ""),
        stale=found.get("NeedDaemonReload") == "yes",
        type=found.get("Type", ""),
        job=found.get("Job", "0") not in ("", "0"),
        condition=found.get("ConditionResult") != "no",
        active_since=number("ActiveEnterTimestampMonotonic") / 1e6,
    )


class Service:
    """One unit on this machine."""

    def __init__(
        self,
        wish: Wish,
        command: Command,
        host: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wish = wish
        self._unit = wish.name if wish.name.endswith(SUFFIXES) else f"{wish.name}.service"
        self._command = command
        self._host = host
        self._clock = clock
        self._sleep = sleep
        self._acted_at = 0.0

    def bring(self, check_mode: bool = False) -> dict[str, Any]:
        """Do what is to be done and wait; what it was and is."""
        if self._wish.daemon_reload and not check_mode:
            self._reload_units()
        before = self._status()
        self._refuse(before, check_mode)
        enable = (
            self._wish.enabled is not None
            and self._wish.enabled != before.enabled
            and (before.there or self._wish.enabled)
        )
        act = self._verb(before)
        result = {"changed": bool(enable or act), "acted": act, "before": before}
        if check_mode:
            return {**result, "after": before}
        if enable:
            self._systemctl("enable" if self._wish.enabled else "disable")
        if act:
            self._acted_at = time.time()
            if before.active == "failed":
                self._systemctl("reset-failed")
            self._systemctl(act, "--no-block")
        after = self._await(before, act) if self._wish.state and self._wish.wait_seconds else self._status()
        return {**result, "after": after}

    def _verb(self, before: Status) -> str:
        """The verb for systemctl; empty where nothing is to be done."""
        if self._wish.state == "started":
            # A unit that waits for its next automatic start is started now.
            waiting = before.sub == "auto-restart"
            coming = before.active in ("activating", "reloading") and not waiting
            oneshot = before.type == "oneshot"
            return "" if before.active == "active" or coming or (oneshot and before.up) else "start"
        if self._wish.state == "stopped":
            return "stop" if before.there and before.active not in ("inactive", "failed") else ""
        return {"restarted": "restart", "reloaded": "reload-or-restart"}.get(self._wish.state, "")

    def _refuse(self, before: Status, check_mode: bool) -> None:
        wanted = self._wish.state in ("started", "restarted", "reloaded") or self._wish.enabled
        if not before.there and wanted and not check_mode:
            raise ServiceError(
                f"{self._host}: there is no unit {self._unit}. Nothing was changed. "
                "Write it first, with daemon_reload where systemd has not seen it yet."
            )
        if before.load == "masked" and wanted:
            raise ServiceError(
                f"{self._host}: {self._unit} is masked, so it cannot be started. Nothing was changed. "
                f"Find out who masked it; then: systemctl unmask {self._unit}"
            )
        if before.load in ("error", "bad-setting"):
            raise ServiceError(
                self._with_journal(
                    f"systemd cannot read {self._unit} ({before.load}), so nothing was changed", "Correct the unit"
                )
            )
        if self._wish.enabled and before.there and before.file in ("static", "generated", "transient"):
            raise ServiceError(
                f"{self._host}: {self._unit} is {before.file}, so it cannot be enabled. Nothing was changed. "
                "Give it an [Install] section."
            )

    def _await(self, before: Status, act: str) -> Status:
        began = self._clock()
        lowest: int | None = None
        while True:
            status = self._status()
            lowest = status.restarts if lowest is None else min(lowest, status.restarts)
            # After a restart the old life still shows until systemd has ended it.
            old_life = act == "restart" and status.invocation == before.invocation and bool(before.invocation)
            if self._reached(status) and not old_life and not status.job:
                return status
            waited = self._clock() - began
            if not old_life or not status.job:
                self._refuse_to_wait(status, status.restarts - lowest, waited)
            if waited >= self._wish.wait_seconds:
                raise ServiceError(
                    self._with_journal(
                        f"{self._unit} is not {'stopped' if self._wish.state == 'stopped' else 'ready'} after "
                        f"{waited:.0f} s (it is {status.active}, {status.sub})",
                        "It was left as it is",
                    )
                )
            self._sleep(POLL_SECONDS)

    def _reached(self, status: Status) -> bool:
        if self._wish.state == "stopped":
            return status.active in ("inactive", "failed")
        settled = self._clock() - status.active_since >= self._wish.settle_seconds
        return status.up and (settled or status.type in ("oneshot", ""))

    def _refuse_to_wait(self, status: Status, grown: int, waited: float) -> None:
        """End early where waiting helps nobody."""
        if self._wish.state == "stopped" or status.job:
            return
        ended = f"result {status.result}, exit status {status.exit_status}"
        if grown >= RESTARTS_TOO_MANY:
            raise ServiceError(
                self._with_journal(
                    f"{self._unit} keeps ending and was started again {grown} times in {waited:.0f} s ({ended})",
                    "It was left as it is, and systemd goes on trying",
                )
            )
        if status.active == "failed":
            raise ServiceError(self._with_journal(f"{self._unit} failed ({ended})", "It does not run now"))
        if status.active == "inactive" and not status.up:
            why = "it ended or what it needs failed" if status.condition else "a condition in its unit is not met"
            raise ServiceError(
                self._with_journal(f"{self._unit} did not start: {why} ({ended})", "It does not run now")
            )

    def _with_journal(self, what: str, now: str) -> str:
        lines = (self._acted_at and self._journal("--since", f"@{self._acted_at:.0f}")) or self._journal()
        return (
            f"{self._host}: {what}. {now}; nothing else on this node was touched. Its last journal lines:\n"
            f"{lines or '(none)'}\nPut right what they name, then run this again."
        )

    def _journal(self, *since: str) -> str:
        lines = ["--lines", str(self._wish.journal_lines), "--output", "short-iso", "--no-pager", "--quiet"]
        status, printed, complained = self._command(["journalctl", "--unit", self._unit, *lines, *since])
        return printed.strip() if status == 0 else complained.strip()

    def _reload_units(self) -> None:
        status, printed, complained = self._command(["systemctl", "daemon-reload"])
        if status != 0:
            raise ServiceError(
                f"{self._host}: systemctl daemon-reload failed: {(complained or printed).strip()}. Nothing was changed."
            )

    def _systemctl(self, *words: str) -> None:
        status, printed, complained = self._command(["systemctl", *words, self._unit])
        if status != 0:
            raise ServiceError(
                self._with_journal(
                    f"systemctl {words[0]} {self._unit} failed: {(complained or printed).strip()}", "It is as it was"
                )
            )

    def _status(self) -> Status:
        status, printed, complained = self._command(
            ["systemctl", "show", self._unit, "--property", ",".join(PROPERTIES)]
        )
        if status != 0:
            raise ServiceError(
                f"{self._host}: systemd does not answer: {(complained or printed).strip()}. Nothing was changed."
            )
        return parse(printed)


def told(result: Mapping[str, Any], wish: Wish, check_mode: bool) -> dict[str, Any]:
    """What the module returns."""
    before: Status = result["before"]
    after: Status = result["after"]
    shown = str(after)
    if check_mode:
        running = {"started": "active", "restarted": "active", "reloaded": "active", "stopped": "inactive"}
        state = running.get(wish.state, before.active) if result["acted"] else before.active
        enabled = before.enabled if wish.enabled is None else wish.enabled
        shown = f"state: {state}\nenabled: {str(enabled).lower()}\n"
    difference = {"before": str(before), "after": shown, "before_header": wish.name, "after_header": wish.name}
    return {"changed": result["changed"], "acted": result["acted"], "status": after.as_dict(), "diff": difference}
