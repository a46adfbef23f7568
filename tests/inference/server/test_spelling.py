# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tokens a text is made of: their parts make the text, whatever ends it and wherever it is cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest
from holdfast_inference import words
from holdfast_inference.engine.text import ModelTokenizer, TextStream
from holdfast_inference.server.spelling import Spelled, Spelling
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.paths import ROOT

TOKENIZER = ModelTokenizer(ROOT / "inference" / "fixture" / "shop")
END = 0
VOCABULARY = 768
ALPHABET = "abe .,\u00e4\u00df\u706f\U0001f600"


def events(ids: Sequence[int], stop: Sequence[str] = (), *, ended: bool = False) -> Iterator[words.Event]:
    """What an engine tells of an answer of these tokens."""
    stream = TextStream(TOKENIZER, stop)
    usage = words.Usage(1, len(ids))
    for index, token in enumerate(ids):
        text = stream.push(token)
        yield words.Token(index, token, text, -0.5)
        if stream.stopped is not None:
            break
    if ended and stream.stopped is None:
        yield words.Token(len(ids), END, "", -0.5)
    yield words.Finish("stop", stream.finish(), usage)


def spelled(told: Iterable[words.Event]) -> tuple[str, list[Spelled]]:
    """The text, and its tokens as they come; none may come before its text did."""
    spelling, text, found = Spelling(TOKENIZER), "", list[Spelled]()
    for event in told:
        text += event.text
        found += spelling.of(event)
        assert text.startswith("".join(one.text for one in found))
    return text, found


@settings(deadline=None)
@given(st.text(ALPHABET, max_size=30), st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3), st.booleans())
def test_the_parts_make_the_text(written: str, stop: list[str], ended: bool) -> None:
    text, found = spelled(events(TOKENIZER.encode(written, special=False), stop, ended=ended))
    assert "".join(one.text for one in found) == text
    assert [one.token.index for one in found] == list(range(len(found)))
    places = [len("".join(one.text for one in found[:number])) for number in range(len(found))]
    assert [one.offset for one in found] == places


@settings(deadline=None)
@given(st.lists(st.integers(0, VOCABULARY - 1), max_size=20))
def test_so_it_is_with_tokens_that_are_no_text_at_all(ids: list[int]) -> None:
    text, found = spelled(events(ids))
    assert "".join(one.text for one in found) == text
    assert [one.token.id for one in found] == ids[: len(found)]
    # What comes after the last of them is no text.
    assert TOKENIZER.decode(ids[len(found) :]) == ""


def test_the_token_that_ends_an_answer_is_none_of_its_text() -> None:
    ids = TOKENIZER.encode("The lamp is in aisle 17.", special=False)
    _text, found = spelled(events(ids, ended=True))
    assert [one.token.id for one in found] == ids


@pytest.mark.parametrize("stop", [["."], ["le 17."], ["isle"]], ids=str)
def test_a_stop_word_takes_its_tokens_with_it_and_cuts_the_one_it_begins_in(stop: list[str]) -> None:
    whole = "The lamp is in aisle 17. It is red."
    text, found = spelled(events(TOKENIZER.encode(whole, special=False), stop))
    assert text == "".join(one.text for one in found) == whole[: whole.index(stop[0])]


def test_a_character_of_several_tokens_comes_with_its_last() -> None:
    ids = TOKENIZER.encode("a\U0001f600", special=False)
    assert len(ids) == 5
    assert [one.text for one in spelled(events(ids))[1]] == ["a", "", "", "", "\U0001f600"]
    text, found = spelled(events(ids[:-1]))
    assert text == "a\ufffd" == "".join(one.text for one in found) and len(found) == 4
