# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
from pathlib import Path

from ansible_collections.holdfast.edge.plugins.module_utils._listening import listening, parse_listening, parse_unit

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000 100 0 0 10 0
"""


def test_only_listening_sockets_count() -> None:
    assert parse_listening(TABLE) == {"4711": 8080}


def test_the_unit_is_found_in_both_kinds_of_control_groups() -> None:
    assert parse_unit("0::/holdfast.slice/etcd.service\n") == "etcd.service"
    assert (
        parse_unit("12:pids:/system.slice/k3s.service\n1:name=systemd:/system.slice/k3s.service/sub\n") == "k3s.service"
    )
    assert parse_unit("0::/user.slice/session-1.scope\n") == ""


def test_a_port_is_told_with_the_program_that_holds_it(tmp_path: Path) -> None:
    process = tmp_path / "4242"
    (process / "fd").mkdir(parents=True)
    (process / "fd/3").symlink_to("socket:[4711]")
    # One that cannot be read, as one that was closed a moment ago.
    (process / "fd/2").write_text("", encoding="utf-8")
    (process / "comm").write_text("mystery\n", encoding="utf-8")
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(TABLE, encoding="utf-8")
    assert listening(tmp_path) == {"8080": "mystery"}
    (process / "cgroup").write_text("0::/system.slice/haproxy.service\n", encoding="utf-8")
    assert listening(tmp_path) == {"8080": "haproxy.service"}
    (process / "fd/3").unlink()
    assert listening(tmp_path) == {"8080": "unknown"}


def test_a_port_of_this_very_process_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert str(server.getsockname()[1]) in listening()
