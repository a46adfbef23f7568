# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What container hosts refuse, each with one sentence, nothing left half-made, and the next run as good as new."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import HostsError, Wish, engine, state, up

from .containers_support import (
    REPOSITORY,
    Live,
    command,
    live_set,
    reachable,
    spare_set,
    traces,
    wait_until,
)


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Three hosts that the tests of this file share."""
    with live_set("it-refusals") as made:
        yield made


@pytest.fixture
def spare() -> Iterator[str]:
    """Give the name of a set that a test makes and breaks."""
    with spare_set("it-spare") as name:
        yield name


def test_up_with_another_shape_is_refused_and_changes_nothing(live: Live) -> None:
    with pytest.raises(HostsError, match=r"another shape \(hosts: 3, and 2 was asked for\).*down it-refusals"):
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
        (("fault", "it-refusals", "it-refusals-9", "cut"), "there is no host it-refusals-9 in this set"),
        (
            ("fault", "it-refusals", "it-refusals-1", "melt"),
            "There is no fault melt; the test bed knows kill, pause, cut",
        ),
        (("fault", "it-refusals", "it-refusals-1", "skew"), "shares the machine's clock"),
        (("fault", "it-refusals", "it-refusals-1", "slow", "--rate", "fast"), "fast is not a rate"),
        (("fault", "it-refusals", "it-refusals-1", "fill", "--megabytes", "-1"), "not a number of megabytes"),
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
    assert f"overlaps {live.host_set.network} of the set it-refusals" in said.stderr
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


def test_the_engine_is_not_stopped_while_hosts_run_in_it(live: Live) -> None:
    said = command("engine", "stop")
    assert "unchanged: the test bed started no engine." in said.stdout or "so it was not stopped" in said.stderr
    assert reachable(live.first)


def test_a_record_that_cannot_be_read_is_named_and_does_not_hide_the_other_sets(live: Live, spare: str) -> None:
    folder = state.directory(spare)
    folder.mkdir(parents=True)
    (folder / "set.json").write_text("{half", encoding="utf-8")
    said = command("list")
    assert live.first.name in said.stdout
    assert f"{spare}: its record {folder / 'set.json'} cannot be read" in said.stderr
    said = command("up", "--name", spare)
    assert said.returncode == 1
    assert f"'down {spare}' removes the set all the same" in said.stderr


@pytest.mark.parametrize(
    ("namespaces", "sentence"),
    [
        (("--user",), "Container hosts need root on this machine"),
        (("--user", "--mount", "--map-root-user"), "No container engine is installed, and this machine has no apt-get"),
    ],
)
def test_no_right_and_no_engine_are_said_with_the_remedy(
    namespaces: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in ("ip", "mkfs.ext4", "mount", "nsenter", "ssh", "tc", "umount"):
        found = shutil.which(program)
        assert found is not None
        (programs / program).symlink_to(found)
    hide = 'if [ "$(id -u)" = 0 ]; then mount -t tmpfs none /run; fi; '
    said = subprocess.run(
        [
            *("unshare", *namespaces, "sh", "-c", f'{hide} PATH="$0" exec "$@"', str(programs)),
            *(sys.executable, "-m", "tests.hosts", "up", "--name", "it-spare"),
        ],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.returncode == 1
    assert said.stderr.startswith(f"error: {sentence}")
    assert traces("it-spare") == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_build_of_the_image_that_was_ended_leaves_nothing_running_and_nothing_half_made(
    number: signal.Signals, tmp_path: Path
) -> None:
    program = (
        "from tests.hosts import distribution, image\n"
        "image.ensure_tar(distribution.load('debian12'), lambda line: print(line, flush=True))\n"
    )
    images = tmp_path / "hosts" / "images"

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            env={**os.environ, "HOLDFAST_CACHE": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def working() -> bool:
        return any(log.stat().st_size > 100 for log in images.glob("*.partial/build.log"))

    with start() as build:
        wait_until(working, "mmdebstrap's first words")
        if number == signal.SIGKILL:
            build.kill()
        else:
            # Ctrl-C goes to everything in the terminal's foreground.
            os.killpg(build.pid, number)
        build.wait(timeout=30)
    wait_until(lambda: not _programs_in(tmp_path), "the end of all that the build started")
    assert [path.name for path in images.glob("*") if not path.name.endswith(".partial")] == []
    with start() as again:
        assert again.stdout is not None
        assert again.stdout.readline().startswith("Making the image of Debian 12 hosts")
        wait_until(working, "the next build's first words")
        os.killpg(again.pid, signal.SIGTERM)


def _programs_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if str(folder) in line and process.name != str(os.getpid()):
                found.append(line)
    return found
