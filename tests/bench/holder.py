# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients notice when the holder of the site's address fails: the part of `make bench-failover` that needs hosts.

Three hosts that site.yml made, the fixture model, and clients as careful ones are written: they ask again, with the
same id, when a connection is closed or silent. The rival is what the documentation of k3s shows for an address, HAProxy
and keepalived, before the same gateways and with the same clients.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._drill.client import Answer
from ansible_collections.holdfast.edge.plugins.module_utils._drill.load import Load, right_answers
from ansible_collections.holdfast.edge.plugins.module_utils._drill.questions import SHORT, Question, questions

from dev.fixture.versions import NAME as MODEL
from tests.bench.failover_api import rival
from tests.bench.noticed import Asked, Try, percentiles_ms, sum_up
from tests.history.asking import PORT, all_gateways_see_all_engines, asked_all_the_while, client_of, golden
from tests.history.served import served_site
from tests.history.site_faults import SiteUnderFaults
from tests.hosts import heal, inflict
from tests.integration.kubernetes_remote import wait_until

FAULTS = ("kill", "pause", "cut")
CONTENTS, TOKENS = 3, 384
OFTEN, LONG = Load(rate=6.0, clients=12), Load(rate=5.0, clients=8)
# A site that was just built has much to do that nobody asked for.
SETTLE_SECONDS, CALM_SECONDS, BEFORE_SECONDS, LASTING_SECONDS = 90.0, 60.0, 5.0, 8.0
API, ANSWERS = (7443, 6443), (443, PORT)


@dataclass(frozen=True)
class Bed:
    """The site, what is asked of it, and the right answers."""

    faults: SiteUnderFaults
    short: Sequence[Question]
    long: Sequence[Question]
    right: dict[str, tuple[tuple[str, str], ...]]

    def noticed(self, answer: Answer) -> Asked:
        return Asked(
            begun=answer.begun,
            ended=answer.ended,
            right=answer.told == self.right[answer.question.name],
            error=answer.error,
            again=answer.tries > 1,
            pause=answer.pause,
        )


def measure(rounds: int, with_rival: bool, say: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Of ours and, in the same run, of the rival."""
    say("Building a site of three hosts (usually 4 min).")
    with served_site(workers=0) as (faults, _built):
        site = faults.site
        contents = [line["messages"][-1]["content"] for line in golden(site.folder / MODEL)[:CONTENTS]]
        asked = questions(MODEL, contents, TOKENS)
        short, long = ([one for one in asked if (one.kind == SHORT) is kind] for kind in (True, False))
        _wait_whole(faults)
        bed = Bed(faults, short, long, right_answers(client_of(site), asked))
        time.sleep(SETTLE_SECONDS)
        ours = _of(bed, rounds, lambda line: say(f"Holdfast, {line}"))
        if not with_rival:
            return ours, None
        with rival(faults, dict([API, ANSWERS])):
            return ours, _of(bed, rounds, lambda line: say(f"rival, {line}"))


def _of(bed: Bed, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    with asked_all_the_while(client_of(bed.faults.site), bed.short, OFTEN) as answers:
        time.sleep(CALM_SECONDS)
    told: dict[str, Any] = {"short_answers_ms": percentiles_ms([one.seconds for one in answers if not one.error])}
    say(f"short answers: {told['short_answers_ms']}")
    for fault in FAULTS:
        tries = []
        for number in range(1, rounds + 1):
            tries.append(_try(bed, fault))
            say(f"round {number}: {fault}: {sum_up(tries[-1:])}")
        told[fault] = sum_up(tries)
    return told


def _try(bed: Bed, fault: str) -> Try:
    faults = bed.faults
    host = faults.target("vip").name
    client = client_of(faults.site)
    with (
        asked_all_the_while(client, bed.short, OFTEN) as short,
        asked_all_the_while(client, bed.long, LONG) as long,
    ):
        time.sleep(BEFORE_SECONDS)
        at = time.time()
        inflict(faults.site.host_set.name, host, fault, {})
        until = time.time()
        time.sleep(LASTING_SECONDS)
    # Those who asked have their answers before it is healed, however they came to them.
    heal(faults.site.host_set.name, host)
    _wait_whole(faults)
    plain, streams = ([bed.noticed(one) for one in long if one.question.stream is kind] for kind in (False, True))
    return Try(at, until, [bed.noticed(one) for one in short], streams, plain)


def _wait_whole(faults: SiteUnderFaults) -> None:
    faults.wait_well()
    wait_until("all gateways see all engines", lambda: all_gateways_see_all_engines(faults.site), 180, faults.words)
