# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""python -m holdfast_inference.gateway: one address in front of all nodes of a site."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from holdfast_inference.gateway.engine import SiteEngine
from holdfast_inference.gateway.event_ids import EventIds
from holdfast_inference.gateway.settings import GatewaySettings, check, read_gateway
from holdfast_inference.server.keys import KeysError
from holdfast_inference.server.logs import log_as_json
from holdfast_inference.server.serving import admin_socket, check_access, public_socket, serve, signals_set
from holdfast_inference.server.settings import Settings, SettingsError

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status says whether it was understood and worked."""
    options = _parse(arguments)
    try:
        settings, gateway = _settings(options)
        check_access(settings)
        check(gateway)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    log_as_json()
    # It would say each look at each node.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(settings, gateway))
    except (KeysError, OSError) as error:
        log.error("the gateway cannot run", extra={"reason": str(error)})
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m holdfast_inference.gateway", description=__doc__)
    parser.add_argument("--settings", type=Path, help="a TOML file as the server has it, with [gateway]")
    parser.add_argument("--node", action="append", default=[], metavar="NAME=URL", help="a node of the site")
    parser.add_argument("--node-key-file", type=Path, help="the file with the key that is shown to the nodes")
    parser.add_argument("--port", type=int, help="the port to listen on")
    parser.add_argument("--anonymous", action="store_true", help="let anybody ask: for your own machine only")
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> tuple[Settings, GatewaySettings]:
    settings, gateway = read_gateway(options.settings) if options.settings else (Settings(), GatewaySettings())
    nodes = dict(gateway.nodes)
    for node in options.node:
        name, found, url = node.partition("=")
        if not (name and found and url.startswith(("http://", "https://"))):
            raise SettingsError(f"--node {node} is not NAME=http://ADDRESS:PORT.")
        nodes[name] = url.rstrip("/")
    if options.anonymous:
        settings = dataclasses.replace(settings, access=dataclasses.replace(settings.access, anonymous=True))
    if options.port is not None:
        settings = dataclasses.replace(settings, port=options.port)
    return settings, dataclasses.replace(
        gateway, nodes=nodes, node_key_file=options.node_key_file or gateway.node_key_file
    )


async def _serve(settings: Settings, gateway: GatewaySettings) -> None:
    sockets = [public_socket(settings)]
    if settings.admin_socket is not None:
        sockets.append(admin_socket(settings.admin_socket))
    log.info("listening", extra={"host": settings.host, "port": sockets[0].getsockname()[1]})
    stop = asyncio.Event()
    with signals_set(stop):
        await serve(
            settings,
            lambda: SiteEngine.of(gateway),
            sockets,
            stop,
            wrap=lambda app: EventIds(app, settings.limits.body_bytes),
        )


if __name__ == "__main__":
    sys.exit(main())
