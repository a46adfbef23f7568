# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at the balancer makes of what the system says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils import _control_plane_lb as balancer

LISTED = json.dumps(
    [
        {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
        {
            "ifname": "eth0",
            "addr_info": [
                {"family": "inet", "local": "192.0.2.11", "prefixlen": 24},
                {"family": "inet", "local": "192.0.2.10", "prefixlen": 32},
            ],
        },
    ]
)
SHOWN = """Id=haproxy.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=keepalived.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
"""


class Health(BaseHTTPRequestHandler):
    """Serves at the third question."""

    asked = 0

    def do_GET(self) -> None:
        Health.asked += 1
        self.send_response(200 if Health.asked >= 3 else 503)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def health() -> Iterator[str]:
    Health.asked = 0
    server = HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/serving"
    server.shutdown()
    server.server_close()


def says(**answers: str) -> balancer.Command:
    def command(words: Sequence[str]) -> str:
        return answers.get(words[0], "")

    return command


def wanted(**others: str) -> balancer.Wanted:
    return balancer.Wanted(
        address="192.0.2.11",
        vip=others.get("vip", "192.0.2.10"),
        units=balancer.UNITS,
        programs=("sh", "no-such-program"),
        files=("/proc/self/status", "/nowhere/server-ca.crt"),
    )


def test_the_interface_is_the_one_with_the_address() -> None:
    assert balancer.interface_of(LISTED, "192.0.2.11") == "eth0"
    assert balancer.interface_of(LISTED, "192.0.2.99") == ""
    assert balancer.interface_of("", "192.0.2.11") == ""


def test_units_are_read_block_by_block() -> None:
    assert balancer.unit_states(SHOWN) == {
        "haproxy.service": {"active": "active", "enabled": "enabled", "loaded": "loaded"},
        "keepalived.service": {"active": "inactive", "enabled": "", "loaded": "not-found"},
    }
    assert balancer.unit_states("") == {}


def test_a_look_tells_what_is_missing_and_who_holds_the_address() -> None:
    seen = balancer.look(wanted(), says(ip=LISTED, systemctl=SHOWN, journalctl="one\ntwo\n"))
    assert seen.holds_vip
    assert seen.missing_programs == ["no-such-program"]
    assert seen.missing_files == ["/nowhere/server-ca.crt"]
    assert seen.units["haproxy.service"]["active"] == "active"
    assert (seen.serving, seen.journal) == (False, ["one", "two"])
    assert not balancer.look(wanted(vip="192.0.2.99"), says(ip=LISTED)).holds_vip


@pytest.mark.parametrize(("noted", "applied"), [('{"/a": "1"}', {"/a": "1"}), ("", {}), ("[1]", {}), (None, {})])
def test_what_it_serves_with_is_read_where_it_was_noted(tmp_path: Path, noted: str | None, applied: object) -> None:
    """A note that is missing or cut short means that everything is applied again."""
    note = tmp_path / "applied.json"
    if noted is not None:
        note.write_text(noted, encoding="utf-8")
    assert balancer.look(replace(wanted(), applied=str(note)), says()).applied == applied
    assert balancer.look(wanted(), says()).applied == {}


def test_it_waits_until_the_balancer_serves(health: str) -> None:
    assert balancer.answers_within(health, 5)
    assert Health.asked == 3


def test_it_asks_once_and_gives_up_in_time(health: str) -> None:
    assert not balancer.answers_within(health, 0)
    assert Health.asked == 1
    assert not balancer.answers_within("http://127.0.0.1:1/serving", 0)


def test_authentication_is_known_where_the_kernel_has_a_state_of_it(tmp_path: Path) -> None:
    assert balancer.knows_authentication(says(ip="src 192.0.2.11 dst 192.0.2.12\n\tproto ah spi 0x6933"), tmp_path)
    assert not balancer.knows_authentication(says(), tmp_path)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("modules.builtin", "kernel/net/ipv4/ah4.ko"),
        ("modules.dep", "kernel/net/ipv4/ah4.ko.xz: kernel/net/xfrm/xfrm_algo.ko.xz"),
    ],
)
def test_authentication_is_known_where_the_kernel_can_load_it(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(f"kernel/fs/ext4/ext4.ko:\n{line}\n", encoding="utf-8")
    assert balancer.knows_authentication(says(), tmp_path)


def test_a_command_that_is_not_there_says_nothing() -> None:
    assert balancer.run(["no-such-program"]) == ""
    assert balancer.run(["sh", "-c", "echo said; exit 3"]) == ""
    assert balancer.run(["sh", "-c", "echo said"]) == "said\n"
