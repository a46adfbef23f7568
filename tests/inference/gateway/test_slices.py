# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a site's nodes: from EndpointSlices while there is an API, from disk while there is none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import pytest
from holdfast_inference.gateway import slices
from holdfast_inference.gateway.nodes import Member
from holdfast_inference.gateway.settings import GatewaySettings, Kubernetes
from holdfast_inference.gateway.slices import follow_list, members_of, read_nodes, write_nodes

from .slices_api import SERVICE, Api, endpoint, slice_of, slices_api

WANTED = Kubernetes(SERVICE)
A = Member("engine-0", "http://10.0.0.1:8080", 8081)
B = Member("engine-1", "http://10.0.0.2:8080", 8081)


# -- what a slice says ------------------------------------------------------------------------------------------------
def test_all_endpoints_count_once_also_those_that_are_not_ready() -> None:
    first = slice_of("x", endpoint("engine-0", "10.0.0.1"), endpoint("engine-1", "10.0.0.2", ready=False))
    second = slice_of("y", endpoint("engine-0", "10.0.0.1"))
    assert members_of([first, second], WANTED, 0) == [A, B]


def test_slices_that_say_less() -> None:
    bare = {"addresses": ["10.0.0.9"], "nodeName": "edge-9"}
    only_http = slice_of("x", bare, ports=[{"name": "http", "port": 80}])
    assert members_of([only_http], WANTED, 7) == [Member("edge-9", "http://10.0.0.9:80", 7)]
    six = slice_of("x", {"addresses": ["fd00::1"]}, addressType="IPv6")
    assert members_of([six], WANTED, 0) == [Member("fd00::1", "http://[fd00::1]:8080", 8081)]
    assert six["addressType"] == "IPv6"
    assert Member("", "http://[fd00::1]:8080", 8081).heartbeat_address() == ("fd00::1", 8081)
    for useless in (
        slice_of("x", endpoint("n", "1.1.1.1"), ports=[{"name": "metrics", "port": 1}]),
        slice_of("x", {"addresses": []}),
        slice_of("x", ports=None, endpoints=None),
        slice_of("x", endpoint("n", "shop.example"), addressType="FQDN"),
    ):
        assert members_of([useless], WANTED, 0) == []


# -- on disk ----------------------------------------------------------------------------------------------------------
def test_the_last_list_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nodes.json"
    assert read_nodes(path) == []
    write_nodes(path, [A, B])
    assert read_nodes(path) == [A, B]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def fail(*_arguments: Any, **_named: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(json, "dump", fail)
    with pytest.raises(OSError, match="no space"):
        write_nodes(path, [A])
    assert read_nodes(path) == [A, B]
    assert [entry.name for entry in tmp_path.iterdir()] == ["nodes.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"nodes": [{"name": "a"}]}', '{"nodes": 3}', "\x00\xff"])
def test_a_list_that_is_broken_is_no_list(tmp_path: Path, content: str) -> None:
    (tmp_path / "nodes.json").write_text(content, encoding="latin-1")
    assert read_nodes(tmp_path / "nodes.json") == []


# -- from the API -----------------------------------------------------------------------------------------------------
class Followed:
    """What was told, while a list is followed."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.told: list[list[Member]] = []

    def take(self, members: Iterable[Member]) -> None:
        self.told.append(list(members))

    async def until(self, wanted: list[Member]) -> None:
        await until(lambda: bool(self.told) and self.told[-1] == wanted)

    def run(self, meanwhile: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def both() -> None:
            following = asyncio.create_task(follow_list(self._settings, self.take))
            try:
                await meanwhile()
                assert not following.done()
            finally:
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following

        asyncio.run(both())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


def followed(api: Api, folder: Path) -> Followed:
    cluster = Kubernetes(SERVICE, url=api.url, account=api.account)
    return Followed(GatewaySettings(kubernetes=cluster, nodes_file=folder / "nodes.json"))


def test_changes_are_told_and_kept(tmp_path: Path) -> None:
    with slices_api(tmp_path) as api:
        api.put("ADDED", slice_of("x", endpoint("engine-0", "10.0.0.1")))
        following = followed(api, tmp_path)

        async def meanwhile() -> None:
            await following.until([A])
            await until(lambda: api.watches == 1)
            api.put("ADDED", slice_of("y", endpoint("engine-1", "10.0.0.2")))
            await following.until([A, B])
            assert read_nodes(tmp_path / "nodes.json") == [A, B]
            api.put("BOOKMARK", {"metadata": {}})
            api.put("MODIFIED", slice_of("y", endpoint("engine-1", "10.0.0.2", ready=False)))
            api.put("DELETED", slice_of("x"))
            await following.until([B])
            assert len(following.told) == 4, "the file's, and what changed: readiness is no change"
            assert (api.lists, api.watches) == (1, 1)
            api.put("DELETED", slice_of("y"))
            await following.until([])
            assert read_nodes(tmp_path / "nodes.json") == [B], "no node at all is no list to start with"

        following.run(meanwhile)


def test_a_history_that_is_too_short_is_asked_anew(tmp_path: Path) -> None:
    with slices_api(tmp_path) as api:
        api.put("ADDED", slice_of("x", endpoint("engine-0", "10.0.0.1")))
        following = followed(api, tmp_path)

        async def meanwhile() -> None:
            await following.until([A])
            await until(lambda: api.watches == 1)
            api.items["y"] = slice_of("y", endpoint("engine-1", "10.0.0.2"))
            api.forget()
            await following.until([A, B])
            assert api.lists == 2

        following.run(meanwhile)


def test_an_api_that_goes_and_comes_takes_nobody_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "AGAIN_SECONDS_MOST", 0.1)
    monkeypatch.setattr(slices, "AGAIN_SECONDS", 0.1)
    write_nodes(tmp_path / "nodes.json", [B])
    with slices_api(tmp_path) as api:
        api.put("ADDED", slice_of("x", endpoint("engine-0", "10.0.0.1")))
        api.break_off(broken=True)
        following = followed(api, tmp_path)

        async def meanwhile() -> None:
            await following.until([B])
            await asyncio.sleep(0.3)
            assert following.told == [[B]], "an API that fails says nothing about nodes"
            api.break_off(broken=False)
            await following.until([A])
            # The kubelet exchanges tokens; an old one is refused, and the new one is in the same file.
            api.token = "second"
            api.break_off(broken=True)
            await asyncio.sleep(0.2)
            api.break_off(broken=False)
            await asyncio.sleep(0.2)
            assert following.told[-1] == [A]
            (api.account / "token").write_text("second\n", encoding="utf-8")
            api.put("ADDED", slice_of("y", endpoint("engine-1", "10.0.0.2")))
            await following.until([A, B])

        following.run(meanwhile)


def test_an_api_server_that_says_nothing_any_more_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was unplugged does not even reset its connections; another has its address."""
    monkeypatch.setattr(slices, "WATCH_SECONDS", 0.1)
    monkeypatch.setattr(slices, "LATE_SECONDS", 0.2)
    monkeypatch.setattr(slices, "AGAIN_SECONDS", 0.1)
    with slices_api(tmp_path) as api:
        api.put("ADDED", slice_of("x", endpoint("engine-0", "10.0.0.1")))
        following = followed(api, tmp_path)

        async def meanwhile() -> None:
            await following.until([A])
            # Behind its back: its watch never says so.
            api.items["y"] = slice_of("y", endpoint("engine-1", "10.0.0.2"))
            await following.until([A, B])

        following.run(meanwhile)


def test_an_api_whose_certificate_is_another_ones_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(slices, "AGAIN_SECONDS", 0.1)
    (tmp_path / "other").mkdir()
    with slices_api(tmp_path) as api, slices_api(tmp_path / "other") as other:
        (api.account / "ca.crt").write_bytes((other.account / "ca.crt").read_bytes())
        following = followed(api, tmp_path)

        async def meanwhile() -> None:
            await until(lambda: "CERTIFICATE_VERIFY_FAILED" in str([vars(record) for record in caplog.records]))
            assert (following.told, api.lists) == ([[]], 0)

        following.run(meanwhile)
