# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of container hosts: side by side, interrupted, refused, and gone without a trace."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import HostsError, Wish, down, engine, heal, inflict, load, run, state, up
from tests.hosts.container_spec import container_name
from tests.hosts.disks import mount_point

from .containers_support import (
    Live,
    boot_id,
    command,
    live_set,
    of_set,
    output,
    reachable,
    spare_set,
    start_command,
    traces,
    wait_until,
)


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Three hosts that the tests of this file share."""
    with live_set("it-life") as made:
        yield made


@pytest.fixture
def spare() -> Iterator[str]:
    """Give the name of a set that a test makes and breaks."""
    with spare_set("it-spare") as name:
        yield name


def test_two_sets_stand_side_by_side_and_down_takes_only_its_own(live: Live, spare: str) -> None:
    outcome = up(Wish(name=spare, count=1))
    other = outcome.host_set
    assert other.network != live.host_set.network
    assert reachable(other.hosts[0])
    # Two internal networks do not know each other, as two sites without a link do not.
    assert run(other, other.hosts[0], f"timeout 1 bash -c '</dev/tcp/{live.first.address}/22'").returncode == 124
    boots = [boot_id(live.host_set, host) for host in live.host_set.hosts]
    assert down(spare)
    assert traces(spare) == []
    assert not down(spare)
    assert [boot_id(live.host_set, host) for host in live.host_set.hosts] == boots


def test_a_second_up_of_the_same_set_is_refused_at_once_and_another_set_goes_on(live: Live, spare: str) -> None:
    first = start_command("up", "--name", spare, "--count", "2")
    wait_until(lambda: state.load(spare) is not None, "the first 'up' writing its record")
    started = time.monotonic()
    with pytest.raises(HostsError, match="Another command is working on the set it-spare now"):
        up(Wish(name=spare, count=2))
    with pytest.raises(HostsError, match="Another command is working on the set it-spare now"):
        down(spare)
    assert time.monotonic() - started < 1
    assert not up(Wish(name=live.host_set.name)).changed
    assert first.wait(timeout=60) == 0
    assert all(reachable(host) for host in load(spare).hosts)


@pytest.mark.parametrize("moment", ["record", "network", "container", "address"])
def test_an_up_that_was_killed_in_the_middle_is_finished_by_the_next(spare: str, moment: str) -> None:
    client = engine.connect()
    labels = of_set(spare)
    reached = {
        "record": lambda: state.load(spare) is not None,
        "network": lambda: bool(client.networks.list(filters=labels)),
        "container": lambda: bool(client.containers.list(all=True, filters=labels, ignore_removed=True)),
        "address": lambda: bool(client.containers.list(filters=labels, ignore_removed=True)),
    }[moment]
    interrupted = start_command("up", "--name", spare, "--count", "2")
    wait_until(reached, moment)
    interrupted.send_signal(signal.SIGKILL)
    interrupted.wait(timeout=10)
    record = state.load(spare)
    assert record is not None
    assert record.stage == state.MAKING
    outcome = up(Wish(name=spare, count=1))
    assert outcome.changed
    assert [host.name for host in outcome.host_set.hosts] == ["it-spare-1"]
    assert reachable(outcome.host_set.hosts[0])
    names = [trace for trace in traces(spare) if trace.startswith("container")]
    assert names == [f"container {container_name(outcome.host_set, outcome.host_set.hosts[0])}"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_takes_away_what_it_made(spare: str, number: signal.Signals) -> None:
    client = engine.connect()
    interrupted = start_command("up", "--name", spare, "--count", "2")
    wait_until(
        lambda: bool(client.containers.list(all=True, filters=of_set(spare), ignore_removed=True)),
        "the first container",
    )
    interrupted.send_signal(number)
    assert interrupted.wait(timeout=60) == 130
    assert traces(spare) == []


def test_down_finds_all_of_a_set_whose_record_was_lost(spare: str) -> None:
    host_set = up(Wish(name=spare, count=1)).host_set
    (host_set.directory / "set.json").unlink()
    down(spare)
    assert traces(spare) == []


def test_down_goes_on_where_a_killed_down_stopped(spare: str) -> None:
    up(Wish(name=spare, count=2))
    client = engine.connect()
    interrupted = start_command("down", spare)
    wait_until(
        lambda: len(client.containers.list(all=True, filters=of_set(spare), ignore_removed=True)) < 2, "a first removal"
    )
    interrupted.send_signal(signal.SIGKILL)
    interrupted.wait(timeout=10)
    down(spare)
    assert traces(spare) == []


def test_a_set_whose_container_was_removed_behind_its_back_is_made_again(spare: str) -> None:
    host_set = up(Wish(name=spare, count=2)).host_set
    engine.connect().containers.get(container_name(host_set, host_set.hosts[0])).remove(force=True)
    with pytest.raises(HostsError, match=r"its container is gone.*Run 'up --name it-spare'"):
        heal(spare, "it-spare-1")
    outcome = up(Wish(name=spare))
    assert outcome.changed
    assert outcome.host_set.network == host_set.network
    assert all(reachable(host) for host in outcome.host_set.hosts)


def test_two_ups_of_different_sets_at_once_get_different_networks(spare: str) -> None:
    with spare_set("it-spare-too") as other:
        both = [start_command("up", "--name", name, "--count", "1") for name in (spare, other)]
        assert [one.wait(timeout=60) for one in both] == [0, 0]
        sets = [load(name) for name in (spare, other)]
        assert sets[0].network != sets[1].network
        assert all(reachable(host_set.hosts[0]) for host_set in sets)


def test_a_set_of_the_same_name_in_another_cache_is_another_set(spare: str, tmp_path: Path) -> None:
    mine = up(Wish(name=spare, count=1)).host_set
    environment = {"HOLDFAST_CACHE": str(tmp_path / "a cache with spaces")}
    try:
        said = command("up", "--name", spare, "--count", "1", "--json", environment=environment)
        assert said.returncode == 0, said.stderr
        theirs = json.loads(said.stdout)
        assert theirs["network"] != mine.network
        said = command("ssh", spare, "it-spare-1", "hostname", environment=environment)
        assert (said.stdout, said.returncode) == ("it-spare-1\n", 0)
    finally:
        said = command("down", spare, environment=environment)
    assert said.returncode == 0, said.stderr
    assert reachable(mine.hosts[0])


def test_up_brings_a_set_back_after_the_machine_itself_was_started_again(spare: str) -> None:
    host_set = up(Wish(name=spare, count=2)).host_set
    for host in host_set.hosts:
        output(host_set, host, "echo kept > /var/lib/holdfast/kept; sync")
        inflict(spare, host.name, "kill")
        # What a power cut of the machine leaves: containers that do not run, and no mounts.
        subprocess.run(["umount", str(mount_point(host_set, host))], check=True)
    assert up(Wish(name=spare)).changed
    for host in host_set.hosts:
        assert output(host_set, host, "cat /var/lib/holdfast/kept") == "kept"
