# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: what is misspelt is an error, what is not set has its default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from holdfast_inference.engine.runner import Providers
from holdfast_inference.server.loading import engine_settings
from holdfast_inference.server.serving import check_access
from holdfast_inference.server.settings import Settings, SettingsError, read_settings, settings_from

FILE = """
port = 9000
admin_socket = "/run/a.sock"
ping_seconds = 2
[models]
shop = "/models/shop"
[limits]
choices = 4
[heartbeat]
beat_seconds = 1
[engine]
slots = 8
providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
[access]
keys_file = "/etc/keys"
origins = ["https://shop.example"]
"""


def test_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text(FILE, encoding="utf-8")
    settings = read_settings(path)
    assert (settings.port, settings.admin_socket, settings.ping_seconds) == (9000, Path("/run/a.sock"), 2.0)
    assert settings.models == {"shop": Path("/models/shop")}
    assert (settings.limits.choices, settings.limits.json_depth) == (4, 64)
    assert settings.access.keys_file == Path("/etc/keys")
    assert (settings.heartbeat.beat_seconds, settings.heartbeat.port, settings.engine.slots) == (1.0, 8081, 8)
    assert settings.access.origins == ("https://shop.example",)
    assert engine_settings(settings.engine).providers == Providers(
        ("CUDAExecutionProvider", "CPUExecutionProvider"), ({}, {})
    )
    assert engine_settings(Settings().engine).providers == Providers()


@pytest.mark.parametrize(
    "content",
    [
        {"prot": 1},
        {"port": "1"},
        {"port": True},
        {"limits": {"choice": 1}},
        {"limits": 3},
        {"models": {"a": 1}},
        {"access": {"anonymous": "yes"}},
        {"access": {"origins": "https://a.example"}},
    ],
)
def test_what_is_wrong_is_named(content: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        settings_from(content)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text("port = ", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"server\.toml"):
        read_settings(path)


def test_a_server_that_anybody_could_ask_does_not_start() -> None:
    with pytest.raises(SettingsError, match="who may ask"):
        check_access(Settings())
    for host in ("127.0.0.1", "::1", "localhost"):
        check_access(settings_from({"host": host, "access": {"anonymous": True}}))
    for host in ("0.0.0.0", "::", "10.0.0.1", "node1"):
        with pytest.raises(SettingsError, match="your own machine"):
            check_access(settings_from({"host": host, "access": {"anonymous": True}}))
        check_access(settings_from({"host": host, "access": {"keys_file": "/keys"}}))
