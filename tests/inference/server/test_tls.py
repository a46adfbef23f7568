# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS and client certificates, from files that change while the server runs."""

from __future__ import annotations

import dataclasses
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from holdfast_inference.server import serving
from holdfast_inference.server.settings import Access, Settings

from .certificates import Authority, Pair
from .running import Running, running, wait_until
from .scripted_engine import ScriptedEngine


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "site")


@pytest.fixture
def server(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(serving, "TLS_LOOK_SECONDS", 0.05)
    pair = authority.pair("server")

    def settings(access: Access) -> Settings:
        with_tls = dataclasses.replace(
            access, certificate=pair.certificate, private_key=pair.key, client_authority=authority.path
        )
        return Settings(port=0, access=with_tls, drain_seconds=0.1)

    with running(tmp_path, ScriptedEngine, settings) as server:
        yield server


def ask(server: Running, trusted: Path, client: Pair | None, path: str = "/v1/models") -> int:
    """The status of a request, or 0 where there was no connection."""
    context = ssl.create_default_context(cafile=str(trusted))
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    try:
        with httpx.Client(verify=context, headers={"x-api-key": server.key}) as asking:
            return asking.get(f"https://127.0.0.1:{server.port}{path}").status_code
    except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
        return 0


def test_only_health_answers_without_a_certificate(server: Running, authority: Authority, tmp_path: Path) -> None:
    client = authority.pair("client")
    wait_until(lambda: ask(server, authority.path, client, "/health/ready") == 200)
    assert ask(server, authority.path, client) == 200
    assert ask(server, authority.path, None) == 401
    assert ask(server, authority.path, None, "/health/live") == 200
    stranger = Authority(tmp_path, "stranger").pair("strangers-client")
    assert ask(server, authority.path, stranger) == 0
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{server.port}/health/live")


def test_a_certificate_is_not_enough_where_there_are_keys(server: Running, authority: Authority) -> None:
    client = authority.pair("client")
    context = ssl.create_default_context(cafile=str(authority.path))
    context.load_cert_chain(client.certificate, client.key)
    refused = httpx.get(f"https://127.0.0.1:{server.port}/v1/models", verify=context)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_new_authority_takes_the_place_of_the_old_one(server: Running, authority: Authority, tmp_path: Path) -> None:
    client = authority.pair("client")
    wait_until(lambda: ask(server, authority.path, client) == 200)
    (tmp_path / "new").mkdir()
    new = Authority(tmp_path / "new", "site")
    pair, new_client = new.pair("server"), new.pair("client")
    shutil.copy(authority.path, tmp_path / "old.crt")
    (tmp_path / "server.key").write_text("half a key", encoding="utf-8")
    assert ask(server, tmp_path / "old.crt", client) == 200
    for source, name in ((pair.certificate, "server.crt"), (pair.key, "server.key"), (new.path, "site.crt")):
        shutil.copy(source, tmp_path / f"{name}.part")
        (tmp_path / f"{name}.part").replace(tmp_path / name)
    wait_until(lambda: ask(server, new.path, new_client) == 200)
    assert ask(server, new.path, client) == 0, "the old authority is not trusted any more"
    assert ask(server, tmp_path / "old.crt", new_client) == 0


def test_a_session_does_not_outlive_the_authority_of_its_client(
    server: Running, authority: Authority, tmp_path: Path
) -> None:
    client, old = authority.pair("client"), tmp_path / "old.crt"
    shutil.copy(authority.path, old)
    context = ssl.create_default_context(cafile=str(old))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(client.certificate, client.key)
    asked = f"GET /v1/models HTTP/1.1\r\nHost: a\r\nx-api-key: {server.key}\r\nConnection: close\r\n\r\n".encode()

    def answered(session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None]:
        with server.connect() as plain:
            try:
                with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as connection:
                    connection.sendall(asked)
                    return connection.recv(4096)[:12], connection.session
            except OSError:
                return b"", None

    wait_until(lambda: ask(server, old, client) == 200)
    first, session = answered(None)
    assert first == b"HTTP/1.1 200"
    (tmp_path / "new").mkdir()
    new = Authority(tmp_path / "new", "site")
    new.path.replace(authority.path)
    wait_until(lambda: ask(server, old, client) == 0)
    assert answered(session)[0] == b""
