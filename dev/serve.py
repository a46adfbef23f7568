# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make serve`: the inference server alone, with the fixture model, for people who want to see the API.

It listens on loopback only, asks for a key that is made for this run, and says with which commands to ask it. Ctrl-C
ends it. HOLDFAST_PORT and HOLDFAST_KEY choose port and key.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from holdfast_inference.server.keys import digest_of, new_key

from dev.fixture.versions import NAME, VERSIONS, export_version
from dev.paths import ROOT

HOST, PORT = "127.0.0.1", 8080
OPERATOR = "operator.sock"
START_SECONDS = 120.0
STOP_SECONDS = 40.0
LOOK_SECONDS = 0.05
LINES_SHOWN = 5


class ServeError(Exception):
    """Why there is no server, with what to do about it."""


def say(text: str) -> None:
    print(text, flush=True)


def choose_port() -> int:
    """The port that was asked for, or 8080, or any free one where somebody else has that."""
    wanted = os.environ.get("HOLDFAST_PORT", "")
    if wanted and not (wanted.isascii() and wanted.isdecimal() and int(wanted) < 2**16):
        raise ServeError(f"HOLDFAST_PORT={wanted} is no port. Give a number from 0 to 65535.")
    port = int(wanted or PORT)
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        if wanted:
            raise ServeError(
                f"Port {port} cannot be had: {error}. Give another one: HOLDFAST_PORT=… make serve"
            ) from None
        say(f"serve: port {port} is taken, so another one is used")
        return 0
    return port


def choose_key() -> tuple[str, str]:
    """The key, and its line for the key file."""
    given = os.environ.get("HOLDFAST_KEY", "")
    if not given:
        return new_key("you")
    if not (given.isascii() and given.isprintable() and len(given) >= 8) or set(given) & set("'\"\\$` "):
        raise ServeError("HOLDFAST_KEY must be 8 characters or more that need no quotes in a shell.")
    return given, f"you sha256:{digest_of(given)}"


def prepare(folder: Path, port: int, line: str) -> Path:
    """The exported model, the key file and the settings; returns the settings' path."""
    model = folder / "model"
    begun = time.monotonic()
    card = export_version(VERSIONS[0], model)
    say(f"serve: exported the fixture model in {time.monotonic() - begun:.1f} s, digest {card.digest[:16]}")
    keys = folder / "keys"
    keys.write_text(line + "\n", encoding="utf-8")
    settings = folder / "server.toml"
    told = {"host": HOST, "port": port, "admin_socket": str(folder / OPERATOR), "drain_seconds": 5.0}
    tables = {"models": {NAME: str(model)}, "access": {"keys_file": str(keys)}}
    # A JSON text of these kinds is one of TOML too.
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return settings


def examples(url: str, key: str, operator: Path) -> str:
    """Commands that work as they stand."""
    curl = f"curl -sS -H 'Authorization: Bearer {key}' {url}"
    chat = json.dumps({"model": NAME, "messages": [{"role": "user", "content": "Where is the lamp?"}]})
    stream = json.dumps(
        {"model": NAME, "messages": [{"role": "user", "content": "When are you open?"}], "stream": True}
    )
    plain = json.dumps({"messages": [{"role": "user", "content": "How much is the kettle?"}]})
    return f"""
The key of this run: {key}

{curl}/v1/chat/completions -d '{chat}'
{curl}/v1/chat/completions -N -d '{stream}'
{curl}/generate -d '{plain}'
{curl}/v1/models
{curl}/metrics/summary
curl -sS --unix-socket {operator} http://operator/admin/probe -d '{{}}'

OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key} is what OpenAI's own client reads.
A page to look at: {url}/status (any name, the key as the password)
Ask about lamps, kettles, ladders …, what they cost, how many there are, and when the shop is open. Ctrl-C ends it.
"""


@contextmanager
def server(settings: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program itself, in a group of its own so that Ctrl-C reaches it once, from here."""
    command = [sys.executable, "-m", "holdfast_inference.server", "run", "--settings", str(settings)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "inference" / "src")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stderr=output, stdout=output, start_new_session=True)
    try:
        yield process
    finally:
        # Asked twice, it still ends what it started.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """The server's address, once it answers."""
    until = time.monotonic() + START_SECONDS
    url = ""
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if "\n" in line]
        listening = [entry["port"] for entry in told if entry.get("event") == "listening"]
        if listening:
            url = f"http://{HOST}:{listening[0]}"
            if _is_ready(url):
                return url
        time.sleep(LOOK_SECONDS)
    raise ServeError(f"The server did not come up. {_end_of(log)}")


def _end_of(log: Path) -> str:
    return "\n".join(["The end of its log:", *log.read_text(encoding="utf-8").splitlines()[-LINES_SHOWN:]])


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def run() -> None:
    """Serve until told to stop. What a run makes lies in a folder of its own, which goes with it."""
    key, line = choose_key()
    port = choose_port()
    with tempfile.TemporaryDirectory(prefix="holdfast-serve-") as name:
        folder = Path(name)
        settings = prepare(folder, port, line)
        log = folder / "server.log"
        with server(settings, log) as process:
            url = wait_until_ready(process, log)
            say(examples(url, key, folder / OPERATOR))
            try:
                process.wait()
            except KeyboardInterrupt:
                say("serve: stopping; what is being answered may end")
                return
            raise ServeError(f"The server ended with {process.returncode}. {_end_of(log)}")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    # A shell starts what runs in the background deaf to SIGINT; who sends it nevertheless means it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        run()
    except ServeError as error:
        print(f"serve: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    say("serve: ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
