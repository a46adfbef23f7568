# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is to blame for a node's death, and which prompts are not asked again."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_inference.gateway.blame import Quarantine, Suspicion


@dataclass
class Place:
    ready: bool = False


def test_one_of_many_is_not_to_blame_and_goes_on_freely_until_a_second_node_dies() -> None:
    suspicion = Suspicion()
    suspicion.crashed(Place(), drew=True, alone=False, silence=False)
    assert (suspicion.blame, suspicion.is_suspect) == (0, False)
    suspicion.crashed(Place(), drew=False, alone=False, silence=False)
    assert (suspicion.blame, suspicion.is_suspect) == (0, True)
    suspicion.crashed(Place(), drew=False, alone=True, silence=False)
    assert (suspicion.blame, suspicion.proven, suspicion.crashes) == (2, 2, 3)


def test_who_alone_was_being_read_is_to_blame_and_still_no_suspect() -> None:
    suspicion = Suspicion()
    suspicion.crashed(Place(), drew=False, alone=True, silence=False)
    assert (suspicion.blame, suspicion.is_suspect) == (1, False)
    suspicion.crashed(Place(), drew=False, alone=True, silence=False)
    assert suspicion.proven == 2


def test_who_had_drawn_something_there_is_not_to_blame() -> None:
    suspicion = Suspicion()
    suspicion.crashed(Place(), drew=True, alone=True, silence=False)
    assert suspicion.blame == 0


def test_a_token_clears_all_but_the_count() -> None:
    suspicion = Suspicion()
    for _ in range(2):
        suspicion.crashed(Place(), drew=False, alone=True, silence=False)
    suspicion.progressed()
    assert (suspicion.blame, suspicion.is_suspect, suspicion.crashes) == (0, False, 2)


def test_a_node_that_was_silent_and_is_back_was_only_slow() -> None:
    places, suspicion = [Place(), Place()], Suspicion()
    for place in places:
        suspicion.crashed(place, drew=False, alone=True, silence=True)
    assert (suspicion.blame, suspicion.is_suspect, suspicion.proven, suspicion.crashes) == (2, True, 0, 0)
    places[0].ready = True
    assert (suspicion.blame, suspicion.is_suspect) == (1, False)


def test_silence_makes_nobody_a_suspect_against_whom_something_is_proven() -> None:
    """Two nodes that were slow, and then one that was killed: that is one death, and others were read beside it."""
    suspicion = Suspicion()
    suspicion.crashed(Place(), drew=True, alone=True, silence=True)
    suspicion.crashed(Place(), drew=False, alone=False, silence=True)
    assert suspicion.is_suspect
    suspicion.crashed(Place(), drew=False, alone=False, watched=True, silence=False)
    assert (suspicion.proven, suspicion.blame) == (0, 2)
    suspicion.crashed(Place(), drew=False, alone=True, watched=True, silence=False)
    assert suspicion.proven == 1


def test_a_suspect_that_was_watched_has_no_excuse_left() -> None:
    suspicion = Suspicion()
    for _ in range(2):
        suspicion.crashed(Place(), drew=False, alone=False, silence=False)
    suspicion.crashed(Place(), drew=False, alone=False, watched=True, silence=False)
    assert suspicion.proven == 2


def test_quarantine_ends() -> None:
    now = [0.0]
    held = Quarantine(10, lambda: now[0])
    held.add("m", (1, 2))
    assert held.holds("m", (1, 2))
    assert not held.holds("m", (1, 23))
    assert not held.holds("other", (1, 2))
    now[0] = 10.1
    assert not held.holds("m", (1, 2))
    assert held.total == 1
