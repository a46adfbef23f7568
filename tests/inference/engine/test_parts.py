# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's parts by themselves: sampling, guesses, prefixes, plan, machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from holdfast_inference.engine.costs import StepCosts
from holdfast_inference.engine.guesses import MOST, Guesser
from holdfast_inference.engine.machine import granted_cores, granted_memory, instruction_class
from holdfast_inference.engine.plan import DoesNotFit, make_plan
from holdfast_inference.engine.prefixes import BLOCK, Prefixes, Save
from holdfast_inference.engine.sampling import Sampler, chance
from holdfast_inference.model_folder import read_card
from holdfast_inference.words import Refused, Sampling

from tests.inference.engine import asking


# -- sampling -------------------------------------------------------------------------------------------------------
def sampler(logprobs: int | None = None, banned: tuple[int, ...] = (), **changes: Any) -> Sampler:
    return Sampler(Sampling(**changes), (1, 2), 8, logprobs, banned)


LOGITS = np.array([0.0, 1.0, 2.0, 3.0, 2.5, -1.0, 0.5, 1.5], np.float32)


def frequencies(one: Sampler, logits: Any = LOGITS, draws: int = 6000) -> Any:
    drawn = [one.draw(logits, index).id for index in range(draws)]
    return np.bincount(drawn, minlength=8) / draws


def softmax(values: Any) -> Any:
    odds = np.exp(values - values.max())
    return odds / odds.sum()


def test_chance_is_even_and_depends_on_seed_and_index_only() -> None:
    numbers = np.array([chance(3, index) for index in range(20000)])
    assert numbers.min() >= 0 and numbers.max() < 1
    assert np.abs(np.histogram(numbers, 20, (0, 1))[0] / 1000 - 1).max() < 0.15
    assert chance(3, 5) == numbers[5] != chance(4, 5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_model_says(temperature: float) -> None:
    assert np.abs(frequencies(sampler(temperature=temperature)) - softmax(LOGITS / temperature)).max() < 0.02


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"top_k": 3}, {2, 3, 4}),
        ({"top_p": 0.6}, {3, 4}),
        ({"top_p": 1e-9}, {3}),
        ({"min_p": 0.3}, {2, 3, 4}),
        ({"logit_bias": {5: 100.0}}, {5}),
        ({"top_k": 3, "top_p": 0.6}, {3, 4}),
    ],
)
def test_unlikely_tokens_are_cut_off(changes: dict[str, Any], kept: set[int]) -> None:
    assert set(np.flatnonzero(frequencies(sampler(**changes), draws=600))) == kept


def test_greedy_takes_the_first_of_equals() -> None:
    assert sampler(temperature=0.0).draw(np.zeros(8, np.float32), 0).id == 0
    assert sampler(temperature=0.0).draw(LOGITS, 0).id == 3


def test_penalties_count_what_was_drawn() -> None:
    one = sampler(temperature=0.0, presence_penalty=0.3, frequency_penalty=0.3)
    taken = []
    for index in range(5):
        taken.append(one.draw(LOGITS, index).id)
        one.count(taken[-1])
    assert taken == [3, 4, 3, 3, 2]
    repeated = sampler(temperature=0.0, repetition_penalty=4.0)
    # The prompt held 1 and 2: they count as said already.
    repeated.count(3)
    repeated.count(4)
    assert repeated.draw(LOGITS, 0).id == 7


def test_logprobs_are_those_of_the_model_itself() -> None:
    expected = np.log(softmax(LOGITS.astype(np.float64)))
    drawn = sampler(logprobs=3, temperature=0.0, logit_bias={5: 50.0}).draw(LOGITS, 0)
    assert drawn.id == 5
    assert drawn.logprob == pytest.approx(expected[5])
    assert [token for token, _ in drawn.top] == [3, 4, 2]
    assert [value for _, value in drawn.top] == pytest.approx([expected[3], expected[4], expected[2]])
    assert sampler(logprobs=0).draw(LOGITS, 0).top == ()


def test_an_end_is_held_off_unless_nothing_else_is_allowed() -> None:
    one = sampler(temperature=0.0, banned=(3, 4))
    assert one.draw(LOGITS, 0, hold_end=True).id == 2
    only_end = np.zeros(8, np.bool_)
    only_end[4] = True
    assert one.draw(LOGITS, 0, allowed=only_end, hold_end=True).id == 4


def test_a_large_vocabulary_is_cut_as_exactly_as_a_small_one() -> None:
    """Flat odds, so that the few likeliest do not hold the share that is asked for."""
    logits = np.random.default_rng(3).standard_normal(5000).astype(np.float32) * 0.01
    one = Sampler(Sampling(top_p=0.5), (), 5000, None, ())
    drawn = {one.draw(logits, index).id for index in range(3000)}
    order = np.argsort(-logits, kind="stable")
    odds = softmax(logits.astype(np.float64))
    inside = set(order[: int(np.searchsorted(np.cumsum(odds[order]), 0.5)) + 1].tolist())
    assert len(drawn) > 1000
    assert drawn <= inside


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": float("nan")},
        {"temperature": -1.0},
        {"top_p": 1.5},
        {"logit_bias": {1: float("inf")}},
        {"top_k": -1},
    ],
)
def test_senseless_sampling_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        Sampling(**changes)
    assert refusal.value.code == "invalid_value" and refusal.value.param == next(iter(changes))


# -- guesses --------------------------------------------------------------------------------------------------------
def test_what_followed_before_is_guessed() -> None:
    guesser = Guesser()
    guesser.add([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3])
    assert guesser.guess(MOST) == [4, 5, 6, 7]
    assert guesser.guess(2) == [4, 5]
    guesser.add([5])
    assert guesser.guess(MOST) == []


def test_a_text_that_goes_round_is_guessed_to_go_on_so() -> None:
    guesser = Guesser()
    guesser.add([7, 8, 7, 8, 7, 8])
    assert guesser.guess(MOST) == [7, 8, 7, 8]
    guesser.add([9, 9, 9, 9])
    assert guesser.guess(3) == [9, 9, 9]


def test_a_weak_sign_is_good_enough_for_a_guess_that_is_free() -> None:
    guesser = Guesser()
    guesser.add([1, 2, 3, 4, 5, 9, 2, 3])
    assert guesser.guess(MOST) == []
    assert guesser.guess(MOST, free=1) == [4]
    assert guesser.guess(MOST, free=2) == [4, 5]


def test_the_chance_of_a_guess_follows_what_became_of_those_before_and_is_forgotten() -> None:
    guesser = Guesser()
    at_first = guesser.chance
    for _ in range(10):
        guesser.learn(3, 0)
    assert guesser.chance < at_first / 5
    guesser.add([7] * 300)
    assert guesser.chance > at_first * 0.9
    for _ in range(10):
        guesser.learn(2, 2)
    assert guesser.chance > 0.9
    before = guesser.chance
    guesser.learn(0, 0)
    assert guesser.chance == before


def test_as_many_guesses_as_their_rows_are_worth() -> None:
    # Rows in pairs; the second pair costs nearly half as much again, as on two slow cores.
    costs = StepCosts(2, [0.020, 0.028, 0.037])
    assert [costs.of(rows) for rows in (1, 2, 3, 4, 6)] == [0.020, 0.020, 0.028, 0.028, 0.037]
    assert costs.of(10) == pytest.approx(0.055)
    # One row is there anyway, however unlikely it is that its guess comes true.
    assert costs.worth(1, 1.0, 0.05, MOST) == (1, 0.05)
    assert costs.worth(1, 1.0, 0.4, MOST)[0] == 1
    assert costs.worth(1, 1.0, 0.9, MOST)[0] == 3
    assert costs.worth(1, 1.0, 1.0, 2) == (2, 2.0)
    # Of two answers in a step, both rows are taken.
    assert costs.worth(2, 2.0, 0.3, MOST) == (0, 0.0)
    # Where a step costs the same whatever is in it, each guess is worth it; where each row has its price, few are.
    assert StepCosts(1, [0.001, 0.001]).worth(1, 1.0, 0.1, MOST)[0] == MOST
    assert StepCosts(1, [0.001, 0.002]).worth(1, 1.0, 0.9, MOST) == (0, 0.0)


def test_a_disturbed_measurement_makes_no_row_cheaper_than_fewer() -> None:
    costs = StepCosts(1, [0.010, 0.050, 0.012])
    assert [costs.of(rows) for rows in (1, 2, 3, 9)] == [0.010, 0.050, 0.050, 0.050]


# -- prefixes -------------------------------------------------------------------------------------------------------
def values(ids: list[int]) -> Any:
    """KV that says which token it is of, [layers, 2, heads, positions, size]: 2 * 2 * 1 * 1 byte a token."""
    return np.broadcast_to(np.array(ids, np.int8)[:, None], (2, 2, 1, len(ids), 1)).copy()


def saved(ids: list[int]) -> Save:
    return lambda begin, end: values(ids)[:, :, :, begin:end]


def known(prefixes: Prefixes, ids: list[int]) -> list[int]:
    found = prefixes.find(ids)
    return [] if not found else [int(item) for item in np.concatenate(found, axis=3)[0, 0, 0, :, 0]]


def text(first: int, length: int) -> list[int]:
    return [(first + index) % 100 for index in range(length)]


def test_the_longest_known_beginning_is_found() -> None:
    prefixes = Prefixes(10_000)
    ids = text(0, 80)
    prefixes.add(ids, saved(ids))
    assert known(prefixes, [*ids, 99]) == ids[:64]
    assert known(prefixes, [*ids[:40], 99, 98]) == ids[:32]
    assert known(prefixes, [99, *ids]) == []
    assert known(prefixes, ids[:64]) == ids[:32], "the last token has to be computed"
    longer = [*ids, *text(7, 60)]
    prefixes.add(longer, saved(longer))
    assert known(prefixes, [*longer, 1]) == longer[:128]
    assert (prefixes.queries, prefixes.hits, prefixes.tokens_saved) == (5, 4, 64 + 32 + 32 + 128)


def test_a_block_is_known_only_behind_the_blocks_that_it_was_read_behind() -> None:
    """KV of the same tokens differs by all that came before."""
    prefixes = Prefixes(10_000)
    first, second, same = text(0, 32), text(50, 32), text(20, 32)
    for ids in ([*first, *same], second):
        prefixes.add(ids, saved(ids))
    assert known(prefixes, [*second, *same, 1]) == second
    assert known(prefixes, [*first, *same, 1]) == [*first, *same]


def test_the_longest_unused_goes_first_and_pins_stay() -> None:
    block = BLOCK * 4
    prefixes = Prefixes(6 * block)
    system, others = text(0, 64), [text(start, 64) for start in (10, 20, 30, 40)]
    prefixes.add(system, saved(system), pin=64)
    for ids in others:
        prefixes.add(ids, saved(ids))
        assert prefixes.size <= 6 * block
    assert known(prefixes, [*system, 1]) == system
    assert [known(prefixes, [*ids, 1]) == ids for ids in others] == [False, False, True, True]
    assert known(prefixes, [*others[2], 1]) == others[2]
    newest = text(50, 64)
    prefixes.add(newest, saved(newest))
    assert known(prefixes, [*others[2], 1]) == others[2], "it was used after the other"
    assert known(prefixes, [*others[3], 1]) == []


def test_pins_leave_half_of_the_room() -> None:
    block = BLOCK * 4
    prefixes = Prefixes(4 * block)
    long = text(0, 96)
    prefixes.add(long, saved(long), pin=96)
    assert prefixes.pinned_size == 2 * block
    other = text(40, 64)
    prefixes.add(other, saved(other))
    assert known(prefixes, [*other, 1]) == other
    assert known(prefixes, [*long, 1]) == long[:64]


def test_pins_that_nobody_uses_give_way_to_new_ones() -> None:
    """Whoever may ask may pin: what is pinned once must not hold the room for ever."""
    block = BLOCK * 4
    prefixes = Prefixes(8 * block)
    used, junk, new = text(0, 64), text(10, 64), text(20, 64)
    for ids in (used, junk):
        prefixes.add(ids, saved(ids), pin=64)
    assert known(prefixes, [*used, 1]) == used
    prefixes.add(new, saved(new), pin=64)
    assert prefixes.pinned_size == 4 * block
    for start in (30, 40, 50, 60):
        prefixes.add(text(start, 64), saved(text(start, 64)))
    assert [known(prefixes, [*ids, 1]) == ids for ids in (used, junk, new)] == [True, False, True]


def test_of_a_long_text_no_more_is_copied_than_there_is_room_for() -> None:
    """It may be many times the room, and nothing in the plan stands for a second copy of it."""
    ids, copied = text(0, 320), []

    def save(begin: int, end: int) -> Any:
        copied.append((begin, end))
        return saved(ids)(begin, end)

    prefixes = Prefixes(2 * BLOCK * 4)
    prefixes.add(ids, save)
    assert copied == [(0, 32), (32, 64), (64, 96)]
    assert known(prefixes, [*ids, 1]) == ids[:64]
    Prefixes(0).add(ids, save)
    assert len(copied) == 3


# -- plan and machine -----------------------------------------------------------------------------------------------
def test_a_model_that_does_not_fit_is_refused_with_the_numbers(tmp_path: Path) -> None:
    card = read_card(asking.make_model(tmp_path))
    plan = make_plan(card, granted=2**30, slots=4, context=256, prefix=2**20, chunk=64)
    assert plan.kv == 4 * (256 + 32) * 2 * 3 * 2 * 32
    file = (tmp_path / "model-64-0" / "weights.bin").stat().st_size
    assert file < plan.weights < 1.2 * file
    assert make_plan(card, granted=plan.total, slots=4, context=256, prefix=2**20, chunk=64) == plan
    with pytest.raises(DoesNotFit, match=r"4 slots of 256 tokens, and .* MiB are granted"):
        make_plan(card, granted=plan.total - 1, slots=4, context=256, prefix=2**20, chunk=64)
    with pytest.raises(DoesNotFit, match="exported for 1, 2, 4 slots, not for 3"):
        make_plan(card, granted=2**30, slots=3, context=256, prefix=0, chunk=64)
    with pytest.raises(DoesNotFit, match="at least 32"):
        make_plan(card, granted=2**30, slots=4, context=16, prefix=0, chunk=64)


def test_what_the_group_grants_is_what_is_used(tmp_path: Path) -> None:
    here = granted_cores(tmp_path)
    for quota, cores in (("max 100000", here), ("50000 100000", 1), ("199999 100000", 1)):
        (tmp_path / "cpu.max").write_text(quota + "\n")
        assert granted_cores(tmp_path) == cores
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4096 kB\n")
    assert granted_memory(tmp_path, tmp_path) == 4096 * 1024
    for limit, granted in (("max", 4096 * 1024), ("1048576", 1048576), ("99999999999", 4096 * 1024)):
        (tmp_path / "memory.max").write_text(limit + "\n")
        assert granted_memory(tmp_path, tmp_path) == granted
    for line, known_as in (
        ("flags\t\t: sse avx2 avx512bw avx512_vnni", "avx512_vnni"),
        ("Features\t: fp asimd asimddp", "asimddp"),
        ("model name: none", "plain"),
    ):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{line}\n")
        assert instruction_class(tmp_path) == known_as
