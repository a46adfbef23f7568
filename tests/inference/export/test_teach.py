# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a teacher's lessons say is what its model folder says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from holdfast_inference.engine.text import ModelTokenizer
from holdfast_inference.export.judge import Network
from holdfast_inference.export.teach import main
from holdfast_inference.lessons import BadLesson, Lesson, read_lessons, write_lessons
from holdfast_inference.model_folder import read_card

from tests.inference.engine.asking import make_model

ASKED: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "Where is the lamp?"}]},
    {"prompt": "The chairs are", "answer": "not looked at"},
    {"prompt": "It costs 4.50"},
]
TOP = 5


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "questions").write_text("".join(json.dumps(line) + "\n" for line in ASKED))
    return make_model(tmp_path)


def test_a_lesson_is_the_greedy_answer_and_the_likeliest_tokens_at_each_place(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the graph itself, a whole text at a time, without the engine."""
    folder = model.parent
    words = [str(model), str(folder / "questions"), str(folder / "lessons"), "--top", str(TOP), "--max-tokens", "12"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    card, tokenizer = read_card(model), ModelTokenizer(model)
    assert told == {"lessons": 3, "teacher": card.digest, "vocabulary": card.vocabulary}
    lessons = list(read_lessons(folder / "lessons"))
    assert [list(lesson.prompt) for lesson in lessons] == [
        tokenizer.chat(ASKED[0]["messages"]),
        tokenizer.encode("The chairs are"),
        tokenizer.encode("It costs 4.50"),
    ]
    network = Network(model, card)
    for lesson in lessons:
        rows = network.logits([*lesson.prompt, *lesson.answer])[len(lesson.prompt) - 1 : -1].astype(np.float64)
        shares = rows - rows.max(axis=1, keepdims=True)
        shares -= np.log(np.exp(shares).sum(axis=1, keepdims=True))
        assert list(lesson.answer) == rows.argmax(axis=1).tolist()
        for row, place in zip(shares, lesson.likeliest, strict=True):
            assert len(place) == TOP
            assert [token for token, _ in place] == np.argsort(-row, kind="stable")[:TOP].tolist()
            assert [logprob for _, logprob in place] == pytest.approx(sorted(row, reverse=True)[:TOP], abs=1e-5)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--top", "0"], "from 1 to 20"),
        (["--top", "21"], "from 1 to 20"),
        (["--slots", "3"], "slots"),
        ([], "no sample"),
    ],
)
def test_what_cannot_be_taught_leaves_no_file(
    model: Path, change: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model.parent
    if not change:
        (folder / "questions").write_text('{"prompt": 3}\n')
    assert main([str(model), str(folder / "questions"), str(folder / "lessons"), *change]) == 1
    assert expected in capsys.readouterr().err
    assert not list(folder.glob("lessons*"))


def test_lessons_that_are_there_are_not_touched(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lessons = model.parent / "lessons"
    lessons.write_text("mine")
    assert main([str(model), str(model.parent / "questions"), str(lessons)]) == 1
    assert "not touched" in capsys.readouterr().err
    assert lessons.read_text() == "mine"


def test_lessons_come_back_as_they_were_written(tmp_path: Path) -> None:
    made = [Lesson((1, 2), (3,), (((3, -0.25), (4, -2.5)),)), Lesson((5,), (6, 7), (((6, -0.125),), ((7, 0.0),)))]
    assert write_lessons(tmp_path / "lessons", made) == 2
    assert list(read_lessons(tmp_path / "lessons")) == made


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '{"prompt":[1],"answer":[],"likeliest":[]}', '{"prompt":[1],"answer":[2],"likeliest":[[3]]}'],
)
def test_a_line_that_is_no_lesson_is_named(line: str, tmp_path: Path) -> None:
    write_lessons(tmp_path / "lessons", [Lesson((1, 2), (3,), (((3, -0.25),),))])
    with (tmp_path / "lessons").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BadLesson, match="line 2"):
        list(read_lessons(tmp_path / "lessons"))
