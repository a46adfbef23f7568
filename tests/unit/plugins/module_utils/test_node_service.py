# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit is brought to its state without blocking, and what fails is told with its journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._node_service import (
    Service,
    ServiceError,
    Wish,
    parse,
    told,
)

UNIT = {
    "LoadState": "loaded",
    "ActiveState": "inactive",
    "SubState": "dead",
    "UnitFileState": "disabled",
    "Result": "success",
    "NRestarts": "0",
    "ExecMainStatus": "0",
    "InvocationID": "",
    "NeedDaemonReload": "no",
    "Type": "simple",
    "Job": "0",
    "ConditionResult": "yes",
    "ActiveEnterTimestampMonotonic": "0",
}


class Machine:
    """A systemd that follows a script: after a verb, each look shows the next of its states."""

    def __init__(self, script: Mapping[str, Sequence[Mapping[str, str]]] | None = None, **unit: Any) -> None:
        self.unit: dict[str, str] = {**UNIT, **unit}
        self.script = script or {}
        self.coming: list[Mapping[str, str]] = []
        self.said: list[list[str]] = []
        self.now = 100.0

    def command(self, argv: list[str]) -> tuple[int, str, str]:
        if argv[0] == "journalctl":
            return (0, "line one\nline two\n", "")
        if argv[1] == "show":
            if self.coming:
                self.unit.update(self.coming.pop(0))
            return (0, "".join(f"{key}={value}\n" for key, value in self.unit.items()), "")
        self.said.append(argv[1:-1])
        self.coming = list(self.script.get(argv[1], []))
        if argv[1] in ("enable", "disable"):
            self.unit["UnitFileState"] = f"{argv[1]}d"
        return (0, "", "")

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def bring(self, check_mode: bool = False, **wish: Any) -> dict[str, Any]:
        wanted = Wish(name="demo", **wish)
        service = Service(wanted, self.command, "node-1", clock=lambda: self.now, sleep=self.sleep)
        return told(service.bring(check_mode), wanted, check_mode)


RUNNING: dict[str, Any] = {
    "ActiveState": "active",
    "SubState": "running",
    "InvocationID": "b",
    "ActiveEnterTimestampMonotonic": "90000000",
}
JUST_NOW = {**RUNNING, "ActiveEnterTimestampMonotonic": "100000000"}


def test_what_runs_and_is_enabled_is_left_alone() -> None:
    machine = Machine(**RUNNING, UnitFileState="enabled")
    assert not machine.bring(state="started", enabled=True)["changed"]
    assert (machine.said, machine.now) == ([], 100.0)


def test_it_is_started_without_blocking_and_awaited() -> None:
    coming = [{"ActiveState": "activating", "SubState": "start", "Job": "7"}] * 3 + [{**JUST_NOW, "Job": "0"}]
    machine = Machine({"start": coming})
    result = machine.bring(state="started", enabled=True, daemon_reload=True)
    assert machine.said == [[], ["enable"], ["start", "--no-block"]]
    assert (result["changed"], result["acted"], result["status"]["active_state"]) == (True, "start", "active")
    assert machine.now - 100 >= 1.0, "it must have been active for settle_seconds"


def test_a_restart_waits_for_another_life() -> None:
    old = {"InvocationID": "a", "Job": "7"}
    machine = Machine({"restart": [old, old, {**RUNNING, "Job": "0"}]}, **{**RUNNING, "InvocationID": "a"})
    result = machine.bring(state="restarted")
    assert (result["acted"], result["status"]["invocation_id"]) == ("restart", "b")


def test_a_unit_that_failed_before_is_forgiven_first() -> None:
    machine = Machine({"start": [JUST_NOW]}, ActiveState="failed", SubState="failed", Result="exit-code")
    machine.bring(state="started")
    assert machine.said == [["reset-failed"], ["start", "--no-block"]]


def test_one_that_waits_for_its_next_start_is_started_now() -> None:
    machine = Machine({"start": [JUST_NOW]}, ActiveState="activating", SubState="auto-restart", NRestarts="7")
    assert machine.bring(state="started")["acted"] == "start"


def test_one_that_is_starting_is_awaited_only() -> None:
    machine = Machine(ActiveState="activating", SubState="start", InvocationID="b")
    with pytest.raises(ServiceError, match=r"demo.service is not ready after 5 s \(it is activating, start\)"):
        machine.bring(state="started", wait_seconds=5)
    assert machine.said == []


def failing(*states: dict[str, str]) -> Callable[..., str]:
    def run(**wish: Any) -> str:
        machine = Machine({"start": list(states)})
        with pytest.raises(ServiceError) as failed:
            machine.bring(state="started", **wish)
        assert machine.now < 110, "it must not wait for the deadline"
        return str(failed.value)

    return run


def test_a_failure_ends_early_with_the_journal_and_what_to_do() -> None:
    message = failing({"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "3"})()
    assert message.startswith("node-1: demo.service failed (result exit-code, exit status 3). It does not run now;")
    assert "nothing else on this node was touched" in message
    assert "line one\nline two\nPut right what they name, then run this again." in message


def test_a_unit_that_keeps_restarting_ends_early() -> None:
    loop = [{"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": str(n)} for n in (0, 1, 2, 3)]
    assert "keeps ending and was started again 3 times" in failing(*loop)()


def test_the_counter_of_an_earlier_life_does_not_count() -> None:
    states = [{"NRestarts": "40", "ActiveState": "activating"}, {**RUNNING, "NRestarts": "0"}]
    assert Machine({"start": states}).bring(state="started")["changed"]


def test_what_it_needs_failed() -> None:
    assert "what it needs failed" in failing({"Job": "5"}, {"Job": "0"})()


def test_a_condition_that_is_not_met_is_said() -> None:
    assert "a condition in its unit is not met" in failing({"ConditionResult": "no"})()


def test_a_oneshot_that_ran_to_its_end_is_there() -> None:
    ran = {"InvocationID": "b", "ActiveState": "inactive", "Result": "success"}
    assert Machine({"start": [ran]}, Type="oneshot").bring(state="started")["changed"]


def test_stopping_waits_until_it_is_gone() -> None:
    machine = Machine({"stop": [{"ActiveState": "deactivating"}] * 2 + [{"ActiveState": "inactive"}]}, **RUNNING)
    result = machine.bring(state="stopped", enabled=False)
    assert (result["acted"], result["status"]["active_state"]) == ("stop", "inactive")
    assert not Machine().bring(state="stopped")["changed"]


def test_a_unit_that_is_not_there_is_stopped_already() -> None:
    assert not Machine(LoadState="not-found").bring(state="stopped", enabled=False)["changed"]


def test_a_unit_that_is_not_there_cannot_be_started() -> None:
    with pytest.raises(ServiceError, match=r"node-1: there is no unit demo.service. Nothing was changed"):
        Machine(LoadState="not-found").bring(state="started")


def test_check_mode_does_nothing_and_expects_a_unit_that_is_not_there() -> None:
    machine = Machine(LoadState="not-found")
    result = machine.bring(check_mode=True, state="started", enabled=True, daemon_reload=True)
    assert (result["changed"], machine.said) == (True, [])
    assert result["diff"]["before"] == "state: not there\nenabled: false\n"
    assert result["diff"]["after"] == "state: active\nenabled: true\n"


@pytest.mark.parametrize(
    ("unit", "reason"), [({"LoadState": "masked"}, "is masked"), ({"UnitFileState": "static"}, "is static")]
)
def test_what_cannot_be_enabled_is_refused(unit: dict[str, Any], reason: str) -> None:
    with pytest.raises(ServiceError, match=reason):
        Machine(**unit).bring(enabled=True)


def test_a_unit_with_a_suffix_keeps_its_name() -> None:
    asked: list[str] = []

    def command(argv: list[str]) -> tuple[int, str, str]:
        asked.append(argv[2])
        return (0, "".join(f"{key}={value}\n" for key, value in {**UNIT, **RUNNING}.items()), "")

    Service(Wish("demo.timer", state="started"), command, "n", clock=lambda: 100.0).bring()
    assert set(asked) == {"demo.timer"}


def test_what_systemd_does_not_say_is_no_crash() -> None:
    assert not parse("").there
    assert parse("NRestarts=[not set]\nJob=").restarts == 0
