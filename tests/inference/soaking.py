# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of all kinds for a long while, and what becomes of the memory of the processes that answer them.

What counts is a process's own memory (RssAnon): files that are mapped come and go with what else the machine does.
"""

from __future__ import annotations

import itertools
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.inference.gateway.real_nodes import MODEL, Site

CLIENTS = 3
EVERY = 25
"""Requests between two looks at the memory."""
QUESTIONS = 20
"""So few, each with a seed of its own, that the prefix cache has them all when the warm-up is over: it may grow."""
SCHEMA = {"type": "object", "properties": {"aisle": {"type": "integer"}, "open": {"type": "boolean"}}}

Ask = Callable[[httpx.Client, dict[str, Any]], str]


def plain(client: httpx.Client, body: dict[str, Any]) -> str:
    """Whole; what came of it, for the count."""
    return str(client.post("/v1/chat/completions", json=body).status_code)


def streamed(client: httpx.Client, body: dict[str, Any]) -> str:
    """To its end."""
    with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True, "logprobs": True}) as response:
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    return "streamed" if lines[-1] == "data: [DONE]" else lines[-1]


def cancelled(client: httpx.Client, body: dict[str, Any]) -> str:
    """Gone after the first tokens, with more to come."""
    longer = {**body, "stream": True, "ignore_eos": True, "max_tokens": 200}
    with client.stream("POST", "/v1/chat/completions", json=longer) as response:
        for _ in itertools.islice(response.iter_lines(), 6):
            pass
    return "cancelled"


def by_a_new_connection(client: httpx.Client, body: dict[str, Any]) -> str:
    """Of a client that comes once."""
    with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=client.timeout) as other:
        return plain(other, body)


def half_json(client: httpx.Client, body: dict[str, Any]) -> str:
    """Cut off."""
    return str(client.post("/v1/chat/completions", content=json.dumps(body)[:-2]).status_code)


def without_a_key(client: httpx.Client, body: dict[str, Any]) -> str:
    """By a stranger."""
    return str(client.post("/v1/chat/completions", json=body, headers={"x-api-key": "wrong"}).status_code)


# How it is asked, what is asked for, and what must come of it.
KINDS: dict[str, tuple[Ask, dict[str, Any], str]] = {
    "plain": (plain, {"temperature": 0}, "200"),
    "streamed": (streamed, {"temperature": 0.7}, "streamed"),
    "cancelled": (cancelled, {}, "cancelled"),
    "by a schema": (
        plain,
        {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}},
        "200",
    ),
    "two at a time": (plain, {"n": 2, "frequency_penalty": 0.5, "stop": ["."]}, "200"),
    "by a new connection": (by_a_new_connection, {}, "200"),
    "with a wrong value": (plain, {"temperature": 9}, "400"),
    "of an unknown model": (plain, {"model": "nobody"}, "404"),
    "half of it": (half_json, {}, "400"),
    "without a key": (without_a_key, {}, "401"),
}


@dataclass(frozen=True)
class Sample:
    """How many requests there had been, and the memory of each process then."""

    requests: int
    bytes: Mapping[str, int]


@dataclass
class Soak:
    """What was asked, what came of it, and the memory meanwhile; the warm-up is not among the samples."""

    seconds: float = 0.0
    requests: int = 0
    unforeseen: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)

    def slopes(self) -> dict[str, float]:
        """By process, how many bytes a request costs for good: the straight line that fits best."""
        return {name: slope(self.samples, name) for name in self.samples[0].bytes}

    def told(self) -> dict[str, Any]:
        """In numbers, for people."""
        return {
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "unforeseen": dict(self.unforeseen),
            "bytes_a_request": {name: round(value) for name, value in self.slopes().items()},
            "mib_first_and_last": {
                name: [round(sample.bytes[name] / 2**20, 1) for sample in (self.samples[0], self.samples[-1])]
                for name in self.samples[0].bytes
            },
        }


def slope(samples: Sequence[Sample], name: str) -> float:
    """Bytes a request, by least squares."""
    requests = [float(sample.requests) for sample in samples]
    return statistics.linear_regression(requests, [float(sample.bytes[name]) for sample in samples]).slope


def own_memory(pid: int) -> int:
    """The memory that only this process has, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    (size,) = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
    return int(size) * 1024


def soak(site: Site, questions: Sequence[str], warm_up: int, goes_on: Callable[[Soak], bool]) -> Soak:
    """Ask the site's gateway for as long as that is told to go on, and look at all processes after the warm-up."""
    found, lock, numbers = Soak(), threading.Lock(), itertools.count()
    pids = {name: process.pid for name, process in site.processes.items() if process.pid}
    begun = time.monotonic()

    def client_works() -> None:
        with site.client() as client:
            for number in numbers:
                kind = list(KINDS)[number % len(KINDS)]
                which = number // len(KINDS) % len(questions)
                ended = _ended(client, kind, questions[which], seed=which)
                with lock:
                    if not goes_on(found):
                        return
                    found.requests += 1
                    found.seconds = time.monotonic() - begun
                    if ended != KINDS[kind][2]:
                        found.unforeseen[f"{kind}: {ended}"] += 1
                    if found.requests >= warm_up and found.requests % EVERY == 0:
                        memory = {name: own_memory(pid) for name, pid in pids.items()}
                        found.samples.append(Sample(found.requests, memory))

    with ThreadPoolExecutor(CLIENTS) as clients:
        for running in [clients.submit(client_works) for _ in range(CLIENTS)]:
            running.result()
    return found


def _ended(client: httpx.Client, kind: str, question: str, seed: int) -> str:
    ask, members, _wanted = KINDS[kind]
    messages = [{"role": "user", "content": question}]
    body = {"model": MODEL, "messages": messages, "max_tokens": 32, "seed": seed, **members}
    try:
        return ask(client, body)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"


def questions_of(model: Path) -> list[str]:
    """Of the model's golden set."""
    lines: Iterator[str] = iter((model / "golden.jsonl").read_text(encoding="utf-8").splitlines())
    return [json.loads(line)["messages"][-1]["content"] for line in itertools.islice(lines, QUESTIONS)]
