# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make bench-inference` measures of our engine and server, one function each."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import multiprocessing
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from holdfast_inference.engine.exactness import find_quantum
from holdfast_inference.engine.local import LocalEngine, Settings
from holdfast_inference.engine.plan import MIB, make_plan
from holdfast_inference.engine.runner import Rows, Runner
from holdfast_inference.engine.scheduler import Limits
from holdfast_inference.model_folder import read_card
from holdfast_inference.words import Finish, Request, Sampling, Token

CHUNK = 128
MODEL = "bench"


def _runner(folder: Path, slots: int, threads: int, context: int) -> Runner:
    card = read_card(folder, verify=False)
    plan = make_plan(card, granted=2**40, slots=slots, context=context, prefix=0, chunk=CHUNK)
    return Runner(folder, card, plan, threads=threads)


def decode(folder: Path, sequences: int, threads: int, context: int, steps: int, *, exact: bool) -> dict[str, Any]:
    """Tokens a second of so many answers at a time, steps as the engine does them."""
    runner = _runner(folder, sequences, threads, context)
    quantum = find_quantum(runner)
    if not exact:
        runner.quantum = 1
    for _ in range(4):
        runner.step([Rows(slot, [5], 1) for slot in range(sequences)])
    begun = time.perf_counter()
    for number in range(steps):
        runner.step([Rows(slot, [7 + number % 300], 1) for slot in range(sequences)])
    spent = time.perf_counter() - begun
    return {"tokens_per_second": sequences * steps / spent, "ms_per_step": 1000 * spent / steps, "quantum": quantum}


def prefill(folder: Path, threads: int, context: int, prompt: int) -> float:
    """Tokens a second of one prompt, in chunks."""
    runner = _runner(folder, 1, threads, context)
    find_quantum(runner)
    ids = [5 + place % 300 for place in range(prompt)]
    spent = []
    for _ in range(3):
        runner.keep(0, 0)
        begun = time.perf_counter()
        for first in range(0, prompt, CHUNK):
            runner.step([Rows(0, ids[first : first + CHUNK], int(first + CHUNK >= prompt))])
        spent.append(time.perf_counter() - begun)
    return prompt / min(spent)


def read_bandwidth(threads: int) -> float:
    """Bytes a second that so many threads can read."""
    parts = [np.ones(32 * MIB, np.uint64) for _ in range(threads)]
    best = 0.0
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for _ in range(4):
            begun = time.perf_counter()
            list(pool.map(lambda part: part.sum(), parts))
            best = max(best, sum(part.nbytes for part in parts) / (time.perf_counter() - begun))
    return best


# -- with the engine's own loop ---------------------------------------------------------------------------------------
@contextlib.contextmanager
def _engine(folder: Path, threads: int, **changes: Any) -> Iterator[LocalEngine]:
    engine = LocalEngine()
    settings = {"slots": 4, "context": 1024, "threads": threads, "verify": False, "chunk": CHUNK}
    engine.activate(MODEL, folder, Settings(**(settings | changes)))
    try:
        yield engine
    finally:
        engine.close()


def _request(number: int, ids: Sequence[int], tokens: int) -> Request:
    return Request(f"b{number}", MODEL, tuple(ids), tokens, sampling=Sampling(temperature=0.0), ignore_eos=True)


def _read(engine: LocalEngine, request: Request) -> tuple[list[Token], float, float]:
    """Tokens, seconds to the first, seconds in all."""
    begun = time.perf_counter()
    first, tokens = 0.0, []
    for event in engine.submit(request):
        if isinstance(event, Finish):
            break
        first = first or time.perf_counter() - begun
        tokens.append(event)
    return tokens, first, time.perf_counter() - begun


def _ids(count: int, seed: int) -> list[int]:
    return [int(item) for item in np.random.default_rng(seed).integers(4, 380, count)]


def bit_equal(folder: Path, threads: int, tokens: int) -> bool:
    """The same answers, log probabilities included, alone and in a company of four."""
    asked = [
        Request(f"b{n}", MODEL, tuple(_ids(20 + 17 * n, n)), tokens, sampling=Sampling(seed=n), logprobs=2)
        for n in range(4)
    ]
    with _engine(folder, threads, prefix_bytes=0) as engine:
        alone = [_read(engine, request)[0] for request in asked]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda request: _read(engine, request)[0], asked))
    return alone == together


def speculation_gain(folder: Path, threads: int, tokens: int) -> dict[str, float]:
    """How much faster an answer comes behind what the model said before, with guesses and without."""
    speeds, accepted, guessed = {}, 0, 0
    for name, most in (("off", 0), ("on", 2)):
        with _engine(folder, threads, limits=Limits(guess_up_to=most)) as engine:
            said = [token.id for token in _read(engine, _request(0, _ids(32, 1), 2 * tokens))[0]]
            before = engine.status().models[MODEL]
            _, first, whole = _read(engine, _request(1, [*_ids(32, 1), *said], tokens))
            after = engine.status().models[MODEL]
            speeds[name] = (tokens - 1) / (whole - first)
            accepted, guessed = after.accepted - before.accepted, after.speculated - before.speculated
    return {"gain": round(speeds["on"] / speeds["off"], 3), "guessed": guessed, "accepted": accepted, "of": tokens}


def prefix_hit(folder: Path, threads: int, prompt: int) -> float:
    """Time to the first token of a prompt whose beginning is known, by that of one that is not."""
    with _engine(folder, threads, prefix_bytes=256 * MIB) as engine:
        _read(engine, _request(0, _ids(prompt, 99), 1))
        begins = [_ids(prompt, 10 + n) for n in range(3)]
        miss = [_read(engine, _request(1 + n, [*ids, 5, 6], 1))[1] for n, ids in enumerate(begins)]
        hit = [_read(engine, _request(9 + n, [*ids, 7, 8], 1))[1] for n, ids in enumerate(begins)]
    return sorted(hit)[1] / sorted(miss)[1]


def memory_and_idle(folder: Path, threads: int, seconds: float) -> dict[str, float]:
    """In a process of its own: what it takes by what was planned, and the share of a core that it burns when idle."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_memory_and_idle, folder, threads, seconds).result()


def _memory_and_idle(folder: Path, threads: int, seconds: float) -> dict[str, float]:
    with _engine(folder, threads) as engine:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: _read(engine, _request(n, _ids(300, n), 16)), range(4)))
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        taken = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
        planned = engine.models()[MODEL].memory_bytes
        time.sleep(0.5)
        before = _processor_seconds()
        time.sleep(seconds)
        return {"rss_over_plan": taken / planned, "idle_cpu": (_processor_seconds() - before) / seconds}


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# -- over HTTP --------------------------------------------------------------------------------------------------------
def server_overhead(folder: Path, threads: int, tokens: int) -> dict[str, float]:
    """Milliseconds a token of one stream, bare and through the server's process, in turn: the machine's own speed
    changes by more than the server takes."""
    bare, over_http = [], []
    with _engine(folder, threads) as engine, _server(folder, threads) as port:
        for number in range(4):
            _, first, whole = _read(engine, _request(number, _ids(16, 3), tokens))
            bare.append(1000 * (whole - first) / (tokens - 1))
            over_http.append(1000 * _stream(port, tokens))
    # The first of each warms up.
    more = [theirs - ours for theirs, ours in zip(over_http[1:], bare[1:], strict=True)]
    return {
        "bare_ms": statistics.median(bare[1:]),
        "http_ms": statistics.median(over_http[1:]),
        "overhead_ms_per_token": statistics.median(more),
    }


def _stream(port: int, tokens: int) -> float:
    """Seconds a token. The client only counts what comes: whatever else it did would take the engine's processors."""
    asked = {"model": MODEL, "prompt_ids": _ids(16, 3), "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    body = json.dumps({**asked, "stream": True}).encode()
    head = (
        f"POST /generate HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    seen, first = 0, 0.0
    with socket.create_connection(("127.0.0.1", port), timeout=600) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        while data := connection.recv(65536):
            seen += data.count(b'"index":')
            first = first or (time.perf_counter() if seen else 0.0)
            if seen == tokens:
                return (time.perf_counter() - first) / (tokens - 1)
    raise RuntimeError(f"the server sent {seen} of {tokens} tokens")


@contextlib.contextmanager
def _server(folder: Path, threads: int) -> Iterator[int]:
    """Its port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = folder.parent / "server.toml"
    settings.write_text(
        f'port = {port}\n[models]\n{MODEL} = "{folder}"\n[engine]\nthreads = {threads}\ncontext = 1024\n'
        "[access]\nanonymous = true\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "holdfast_inference.server", "run", "--settings", str(settings)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_ready(url, process)
            yield port
        finally:
            process.terminate()


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the server was not ready within two minutes")
