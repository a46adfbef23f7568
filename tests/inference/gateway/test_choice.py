# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node is asked, and how much work a site takes."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from holdfast_inference import words
from holdfast_inference.gateway.attempt import Attempt
from holdfast_inference.gateway.heartbeat import State
from holdfast_inference.gateway.listening import Heard
from holdfast_inference.gateway.nodes import TOGETHER_SECONDS, Member, Node, choose, rank, room_of
from holdfast_inference.gateway.pulse import Pulse

FACTS = words.ModelFacts("m", "d", "f", 32, 100, (1,), 4, 2, 1, True, 0.0)


def told(queued: int, limit: int = 1000) -> dict[str, Any]:
    return {"models": {"m": {"queued_tokens": queued, "queue_limit_tokens": limit}}}


def nodes(*loads: int) -> list[Node]:
    return [
        Node(Member(name, "http://-"), answering=True, models={"m": FACTS}, told=told(load))
        for name, load in zip("abcdef", loads, strict=False)
    ]


def attempt(node: Node, cost: int, *, suspect: bool = False) -> Attempt:
    made = Attempt(node, 1, cost, suspect=suspect, take=lambda _attempt, _event: None)
    node.attempts.add(made)
    return made


def request(*prompt: int) -> words.Request:
    return words.Request("r", "m", prompt or (1,), 5)


def test_prompts_that_begin_alike_go_to_one_node_and_others_spread() -> None:
    site = nodes(0, 0, 0)
    assert len({choose(site, request(*range(64), end), ()) for end in range(50)}) == 1
    spread = [choose(site, request(begin), ()) for begin in range(300)]
    counts = [sum(node is not None and node.name == name for node in spread) for name in "abc"]
    assert min(counts) > 50


def test_the_least_loaded_is_asked_where_home_has_more_ahead_than_its_prefix_saves() -> None:
    site = nodes(0, 0, 0)
    home = min(site, key=lambda node: rank(node, (1,) * 10))
    home.told = told(10)
    assert choose(site, request(*[1] * 10), ()) is home
    home.told = told(11)
    assert choose(site, request(*[1] * 10), ()) is not home
    home.told = told(0)
    attempt(home, 11)
    assert choose(site, request(*[1] * 10), ()) is not home


def test_a_node_that_seems_away_is_asked_when_no_other_is_left() -> None:
    site = nodes(0, 0, 0)
    site[0].answering = site[1].answering = False
    assert choose(site, request(), ()) is site[2]
    last = choose(site, request(), (site[2],))
    assert last in site[:2]
    assert choose(site, request(), site) is None


def test_a_node_without_the_model_is_not_asked() -> None:
    site = nodes(0, 0)
    site[0].models = {}
    assert choose(site, request(), ()) is site[1]


def test_another_site_is_asked_before_nodes_that_seem_dead_and_after_all_that_live() -> None:
    site = nodes(900, 0, 0)
    site[1].backup = True
    site[2].answering = False
    assert choose(site, request(), ()) is site[0]
    assert choose(site, request(), (site[0],)) is site[1]
    assert choose(site, request(), site[:2]) is site[2]


def test_what_was_begun_goes_on_at_a_machine_that_computes_alike() -> None:
    site = nodes(0, 500, 900)
    site[2].models = {"m": dataclasses.replace(FACTS, fingerprint="avx")}
    assert choose(site, request(), (), like="avx") is site[2]
    assert choose(site, request(), (site[2],), like="avx") is site[0]


def test_an_engine_that_has_work_and_takes_no_step_is_stuck() -> None:
    node = nodes(0)[0]
    node.heard = Heard(("127.0.0.1", 1), lambda: Pulse(0.1, 1.0))
    node.heard.state = State(ready=True, running=1, steps=5)
    node.note_steps(100.0, 10.0)
    node.note_steps(109.0, 10.0)
    assert node.ready
    node.note_steps(111.0, 10.0)
    assert not node.ready
    node.note_steps(111.0, 30.0)
    assert node.ready, "a large model on a small machine may take so long for a step"
    node.heard.state = State(ready=True, running=1, steps=6)
    node.note_steps(111.5, 10.0)
    assert node.ready
    node.heard.state = State(ready=True, running=0, steps=6)
    node.note_steps(500.0, 10.0)
    assert node.ready, "who has no work takes no steps"


def test_a_node_whose_beats_alone_are_lost_is_known_by_http() -> None:
    node = nodes(0)[0]
    node.heard = Heard(("127.0.0.1", 1), lambda: Pulse(0.1, 1.0))
    node.heard.silent, node.heard.silent_since = True, 10.0
    node.answered_at = 9.9
    assert not node.ready
    node.answered_at = 10.1
    assert node.ready


def test_suspects_wait_for_one_another() -> None:
    site = nodes(0, 0)
    held = attempt(site[0], 10, suspect=True)
    assert choose(site, request(), (), suspect=True) is site[1]
    attempt(site[1], 10, suspect=True)
    assert choose(site, request(), (), suspect=True) is None
    assert choose(site, request(), ()) is not None
    held.drew = 1
    assert choose(site, request(), (), suspect=True) is site[0]


def test_suspects_are_kept_from_the_last_node_while_it_answers_others() -> None:
    site = nodes(0, 0, 0)
    site[0].answering = False
    assert choose(site, request(), (), suspect=True) in site[1:]
    site[1].answering = False
    assert choose(site, request(), (), suspect=True) is site[2]
    other = attempt(site[2], 10)
    assert choose(site, request(), (), suspect=True) is None
    assert choose(site, request(), ()) is site[2]
    other.suspect = True
    assert choose(site, request(), (), suspect=True) is None, "one at a time"
    site[2].attempts.clear()
    site[2].answering = False
    assert choose(site, request(), (), suspect=True) is None, "what seems dead is not risked"


def test_a_request_is_alone_where_nobody_else_was_being_read() -> None:
    node = nodes(0)[0]
    one, other = attempt(node, 10), attempt(node, 10)
    assert not node.is_alone(one)
    other.drew = 3
    assert node.is_alone(one)
    assert not node.is_alone(other), "the first one was still being read"
    third = attempt(node, 10, suspect=True)
    assert not node.is_alone(third)
    assert node.is_watched(third), "of all that can have been the reason it alone is suspect"
    assert not node.is_alone(one)
    assert not node.is_watched(one)
    fourth = attempt(node, 10, suspect=True)
    assert not node.is_watched(third)
    fourth.drew = 1
    assert node.is_watched(third)


def test_what_failed_at_a_node_is_remembered_while_it_says_something() -> None:
    node = nodes(0)[0]
    one, other = attempt(node, 10), attempt(node, 10)
    now = time.monotonic()
    node.fallen.extend([(now - 2 * TOGETHER_SECONDS, one), (now, other)])
    node.attempts.clear()
    assert not node.is_alone(one)
    node.forget_fallen(now)
    assert [fallen for _, fallen in node.fallen] == [other]
    node.forget_fallen(now + 2 * TOGETHER_SECONDS)
    assert not node.fallen, "each holds its answer and its prompt"


def test_the_usual_may_fill_what_is_left_when_the_largest_node_dies() -> None:
    room = room_of(nodes(100, 0, 200))
    assert room is not None
    assert (room.load, room.limit(1), room.limit(0), room.limit(-1)) == (300, 3000, 2000, 1000)
    alone = room_of(nodes(100))
    assert alone is not None
    assert alone.limit(0) == 1000
    away = nodes(1, 1)
    for node in away:
        node.answering = False
    assert room_of(away) is None
