# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Running the applications on their sockets: one for clients, one for the operator, both in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from holdfast_inference import words
from holdfast_inference.server.admin import wait_for_works
from holdfast_inference.server.app import admin_app, public_app
from holdfast_inference.server.connection import connection_class
from holdfast_inference.server.service import Service
from holdfast_inference.server.settings import Settings, SettingsError
from holdfast_inference.server.tls import TlsFiles

log = logging.getLogger(__name__)

Load = Callable[[], Awaitable[words.Engine]]
"""Makes the engine, while health is answered already."""
TLS_LOOK_SECONDS = 5.0
BACKLOG = 2048


class _Server(uvicorn.Server):
    """Signals are handled once for both sockets, not by each."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def check_access(settings: Settings) -> None:
    """Deny by default: a server that anybody could ask does not start by accident."""
    access = settings.access
    if not (access.keys_file or access.client_authority or access.anonymous):
        raise SettingsError(
            "Nobody is told who may ask. Set access.keys_file, or access.client_authority, or access.anonymous = true."
        )
    if access.anonymous and not _is_own_machine(settings.host):
        raise SettingsError(f"access.anonymous is for your own machine; {settings.host} can be reached from others.")
    if access.client_authority and not access.certificate:
        raise SettingsError("access.client_authority needs access.certificate and access.private_key.")


def _is_own_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def public_socket(settings: Settings) -> socket.socket:
    """The socket for clients. Bound before the models are loaded, so that a taken port is known at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)


def admin_socket(path: Path) -> socket.socket:
    """The operator's socket, for the user of this process only."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    return listening


def _uvicorn(app: ASGIApp, settings: Settings, tls: TlsFiles | None) -> _Server:
    context = tls.context if tls else None
    config = uvicorn.Config(
        app,
        http=connection_class(settings.header_seconds, settings.write_seconds),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=1,
        ssl_context_factory=(lambda _config, _default: context) if context else None,
    )
    return _Server(config)


async def serve(
    settings: Settings,
    load: Load,
    sockets: Sequence[socket.socket],
    stop: asyncio.Event,
    *,
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    beat: Callable[[Service], AbstractContextManager[None]] | None = None,
) -> None:
    """Serve until told to stop. The first socket is for clients; a second one is the operator's. A gateway wraps the
    clients' application in a layer of its own; a node beats while it serves."""
    service = Service(settings)
    tls = TlsFiles(settings.access) if settings.access.certificate else None
    with beat(service) if beat else contextlib.nullcontext():
        servers = [_uvicorn(wrap(public_app(service)), settings, tls)]
        if len(sockets) > 1:
            servers.append(_uvicorn(admin_app(service), settings, None))
        await _run(service, servers, sockets, load, stop, tls)


async def _run(
    service: Service,
    servers: Sequence[_Server],
    sockets: Sequence[socket.socket],
    load: Load,
    stop: asyncio.Event,
    tls: TlsFiles | None,
) -> None:
    running = [
        asyncio.create_task(server.serve(sockets=[listening]))
        for server, listening in zip(servers, sockets, strict=True)
    ]
    loading = asyncio.create_task(_load(service, load))
    stopping = asyncio.create_task(stop.wait())
    looking = asyncio.create_task(_look_at(tls)) if tls else None
    sending = asyncio.create_task(service.spans.run())
    try:
        await asyncio.wait({stopping, loading, *running}, return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            # Raises what went wrong, if anything did: without a model there is nothing to serve.
            loading.result()
            await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
        await _drain(service)
    finally:
        # Also what still waits: a thread that loads a model is left to end by itself.
        for task in (stopping, looking, loading):
            if task is not None:
                task.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(loading, *running, return_exceptions=True)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        if service.engine is not None:
            await asyncio.to_thread(service.engine.close)


async def _load(service: Service, load: Load) -> None:
    engine = await load()
    service.engine = engine
    log.info("ready", extra={"models": sorted(engine.models())})


async def _drain(service: Service) -> None:
    """What runs may end; what does not end in time is handed over, so that nobody takes half an answer for a whole."""
    service.drain()
    await wait_for_works(service, service.settings.drain_seconds)
    service.hand_over()
    await wait_for_works(service, 1.0)


async def _look_at(tls: TlsFiles) -> None:
    while True:
        await asyncio.sleep(TLS_LOOK_SECONDS)
        tls.look()


@contextlib.contextmanager
def signals_set(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and Ctrl-C say to stop."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
