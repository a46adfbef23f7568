# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of container hosts: side by side, interrupted, refused, and gone without a trace."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import HostsError, Wish, down, engine, heal, load, run, state, up

from .containers_support import (
    Live,
    boot_id,
    command,
    live_set,
    of_set,
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


def test_up_with_another_shape_is_refused_and_changes_nothing(live: Live) -> None:
    with pytest.raises(HostsError, match=r"another shape \(hosts: 3, and 2 was asked for\).*down it-life"):
        up(Wish(name=live.host_set.name, count=2))
    assert all(reachable(host) for host in live.host_set.hosts)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("up", "--name", "it-spare", "--tier", "cloud"),
            "There is no tier cloud; the test bed knows container and vm.",
        ),
        (("up", "--name", "it-spare", "--distribution", "plan9"), "There is no distribution plan9"),
        (("up", "--name", "it-spare", "--network", "10.0.0.0/33"), "is not an IPv4 network"),
        (("up", "--name", "it-spare", "--network", "198.18.0.0/8"), "is not an IPv4 network"),
        (("up", "--name", "it-spare", "--network", "9.9.9.0/24"), "is not a private network"),
        (("up", "--name", "it-spare", "--network", "10.77.255.0/29", "--count", "9"), "has room for 5 hosts, and 9"),
        (("up", "--name", "it-spare", "--count", "0"), "at least one host"),
        (("up", "--name", "it-spare", "--memory", "99999999"), "MB free. Nothing was made."),
        (("up", "--name", "it-spare", "--memory", "1"), "1 MB is too little"),
        (("up", "--name", "it-spare", "--disk", "99999999"), "GB are free there. Nothing was made."),
        (("up", "--name", "it-spare", "--cpus", "4096"), "a host cannot have 4096"),
        (("up", "--name", "No Good"), "cannot name a set"),
        (("down", "../up"), "cannot name a set"),
        (("fault", "it-nobody", "x", "cut"), "There is no set it-nobody"),
        (("fault", "it-life", "it-life-9", "cut"), "there is no host it-life-9 in this set"),
        (("fault", "it-life", "it-life-1", "melt"), "There is no fault melt; the test bed knows kill, pause, cut"),
        (("fault", "it-life", "it-life-1", "skew"), "shares the machine's clock"),
        (("fault", "it-life", "it-life-1", "slow", "--rate", "fast"), "fast is not a rate"),
        (("fault", "it-life", "it-life-1", "fill", "--megabytes", "-1"), "not a number of megabytes"),
    ],
)
def test_bad_input_gets_one_sentence_and_changes_nothing(live: Live, arguments: tuple[str, ...], sentence: str) -> None:
    said = command(*arguments)
    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr.startswith("error: ")
    assert said.stderr.count("\n") == 1
    assert sentence in said.stderr
    assert traces("it-spare") == []
    assert all(reachable(host) for host in live.host_set.hosts)


def test_a_network_in_use_is_refused_by_the_name_of_its_user(live: Live) -> None:
    said = command("up", "--name", "it-spare", "--network", live.host_set.network)
    assert f"overlaps {live.host_set.network} of the set it-life" in said.stderr
    client = engine.connect()
    bridge = client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"]
    said = command("up", "--name", "it-spare", "--network", bridge)
    assert "of the container network bridge" in said.stderr
    assert traces("it-spare") == []


def test_an_engine_that_cannot_be_used_is_refused_with_the_remedy() -> None:
    said = command("up", "--name", "it-spare", environment={"DOCKER_HOST": "tcp://192.0.2.1:2375"})
    assert "Unset DOCKER_HOST" in said.stderr
    said = command("up", "--name", "it-spare", environment={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert "does not answer. Start it, or unset DOCKER_HOST" in said.stderr
    assert traces("it-spare") == []


def test_missing_programs_are_named_with_the_packages_that_bring_them(tmp_path: Path) -> None:
    said = command("up", "--name", "it-spare", environment={"PATH": str(tmp_path)})
    assert said.returncode == 1
    assert "need ip, mkfs.ext4, mount, nsenter, ssh, tc, umount on this machine" in said.stderr
    assert "apt-get install e2fsprogs iproute2 mount openssh-client util-linux" in said.stderr


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
    assert [trace for trace in traces(spare) if trace.startswith("container")] == ["container holdfast-it-spare-1"]


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
    engine.connect().containers.get("holdfast-it-spare-1").remove(force=True)
    with pytest.raises(HostsError, match=r"its container is gone.*Run 'up --name it-spare'"):
        heal(spare, "it-spare-1")
    outcome = up(Wish(name=spare))
    assert outcome.changed
    assert outcome.host_set.network == host_set.network
    assert all(reachable(host) for host in outcome.host_set.hosts)


def test_the_engine_is_not_stopped_while_hosts_run_in_it(live: Live) -> None:
    said = command("engine", "stop")
    assert "unchanged: the test bed started no engine." in said.stdout or "so it was not stopped" in said.stderr
    assert reachable(live.first)
