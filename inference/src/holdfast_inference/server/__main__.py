# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""python -m holdfast_inference.server: serve the models of a settings file, or make a key for its key file."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from holdfast_inference.engine.plan import DoesNotFit
from holdfast_inference.gateway.beating import beats
from holdfast_inference.model_folder import BadModelFolder
from holdfast_inference.server.keys import SCOPES, KeysError, new_key
from holdfast_inference.server.loading import load_engine
from holdfast_inference.server.logs import log_as_json
from holdfast_inference.server.serving import admin_socket, check_access, public_socket, serve, signals_set
from holdfast_inference.server.settings import Settings, SettingsError, read_settings

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status says whether it was understood and worked."""
    options = _parse(arguments)
    if options.command == "key":
        return _print_key(options)
    try:
        settings = _settings(options)
        check_access(settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    log_as_json("DEBUG" if options.verbose else "INFO")
    try:
        asyncio.run(_serve(settings))
    except (BadModelFolder, DoesNotFit, KeysError, OSError) as error:
        log.error("the server cannot run", extra={"reason": str(error)})
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m holdfast_inference.server", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="serve models")
    run.add_argument("--settings", type=Path, help="the TOML file; what is given below wins over it")
    run.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER", help="serve this model")
    run.add_argument("--host", help="the address to listen on")
    run.add_argument("--port", type=int, help="the port to listen on")
    run.add_argument("--anonymous", action="store_true", help="let anybody ask: for your own machine only")
    run.add_argument("--verbose", action="store_true", help="log requests of health and metrics too")
    key = commands.add_parser("key", help="make a key: it is printed once, its line goes into the key file")
    key.add_argument("name")
    key.add_argument("--scopes", default=",".join(sorted(SCOPES)), help="answers, metrics, or both")
    key.add_argument("--priority", type=int, default=0, help="higher is served first")
    return parser.parse_args(arguments)


def _print_key(options: argparse.Namespace) -> int:
    scopes = frozenset(options.scopes.split(","))
    if not scopes <= SCOPES:
        print(f"Scopes are {', '.join(sorted(SCOPES))}.", file=sys.stderr)
        return 2
    key, line = new_key(options.name, scopes, options.priority)
    print(f"key (shown once): {key}\nline for the key file: {line}")
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    settings = read_settings(options.settings) if options.settings else Settings()
    models = dict(settings.models)
    for model in options.model:
        name, found, folder = model.partition("=")
        if not (name and found and folder):
            raise SettingsError(f"--model {model} is not NAME=FOLDER.")
        models[name] = Path(folder)
    if not models:
        raise SettingsError("There is no model to serve. Give --model NAME=FOLDER, or [models] in the settings.")
    access = dataclasses.replace(settings.access, anonymous=True) if options.anonymous else settings.access
    return dataclasses.replace(
        settings,
        models=models,
        access=access,
        host=options.host or settings.host,
        port=settings.port if options.port is None else options.port,
    )


async def _serve(settings: Settings) -> None:
    sockets = [public_socket(settings)]
    if settings.admin_socket is not None:
        sockets.append(admin_socket(settings.admin_socket))
    log.info("listening", extra={"host": settings.host, "port": sockets[0].getsockname()[1]})
    stop = asyncio.Event()
    with signals_set(stop):
        await serve(settings, lambda: asyncio.to_thread(load_engine, settings), sockets, stop, beat=beats)


if __name__ == "__main__":
    sys.exit(main())
