# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the silence of a node means something."""

from __future__ import annotations

from holdfast_inference.gateway.pulse import Pulse


def test_the_limit_follows_what_was_seen() -> None:
    heart, now = Pulse(0.1, 1.0), 0.0
    assert not heart.is_silent(1000.0), "of one that never beat nothing can be said"
    for _ in range(100):
        heart.beat(now := now + 0.01, busy=True)
    assert not heart.is_silent(now + 0.09)
    assert heart.is_silent(now + 0.11)
    heart.beat(now := now + 0.08, busy=True)
    assert not heart.is_silent(now + 0.30)
    assert heart.is_silent(now + 0.33)
    for pause in (0.3, 0.9):
        heart.beat(now := now + pause, busy=True)
    assert not heart.is_silent(now + 0.99)
    assert heart.is_silent(now + 1.01), "the limit has a limit"
    for _ in range(1200):
        heart.beat(now := now + 0.01, busy=True)
    heart.beat(now := now + 60, busy=True)
    assert not heart.is_silent(now + 0.14)
    assert heart.is_silent(now + 0.16), "one long absence excuses no other one"
    for _ in range(1200):
        heart.beat(now := now + 0.01, busy=True)
    assert heart.is_silent(now + 0.11), "what was long ago is forgotten"


def test_the_silence_of_one_who_did_not_listen_is_not_the_nodes() -> None:
    heart = Pulse(0.1, 1.0)
    heart.beat(1.0, busy=True)
    heart.beat(1.01, busy=True)
    heart.excuse(5.0)
    assert not heart.is_silent(6.05)
    assert heart.is_silent(6.2)


def test_the_rare_beats_of_a_node_without_work_do_not_excuse_one_at_work() -> None:
    heart, now = Pulse(0.1, 1.0), 0.0
    for _ in range(100):
        heart.beat(now := now + 0.05, busy=False)
    heart.beat(now := now + 0.05, busy=True)
    assert not heart.is_silent(now + 0.19), "how it beats at work is not known yet"
    for _ in range(600):
        heart.beat(now := now + 0.01, busy=True)
    assert heart.is_silent(now + 0.11)
    heart.beat(now := now + 0.03, busy=False)
    assert not heart.is_silent(now + 0.19)
    for _ in range(400):
        heart.beat(now := now + 0.05, busy=False)
    heart.beat(now := now + 0.05, busy=True)
    assert not heart.is_silent(now + 0.11), "what was seen of it at work is not forgotten while it rests"
    assert heart.is_silent(now + 0.13)
