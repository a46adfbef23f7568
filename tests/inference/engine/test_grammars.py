# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that keep to a schema, an expression or a grammar, and those that cannot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import llguidance
import pytest
from holdfast_inference.engine import plan
from holdfast_inference.engine.grammar import Grammars
from holdfast_inference.engine.local import LocalEngine
from holdfast_inference.engine.text import ModelTokenizer
from holdfast_inference.words import Grammar, Refused, Sampling
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel

from tests.inference.engine import asking
from tests.inference.engine.asking import ask, prompt, refused, request


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = asking.make_engine(asking.make_model(tmp_path_factory.mktemp("model")))
    yield engine
    engine.close()


SCHEMA = {
    "type": "object",
    "properties": {"aisle": {"type": "integer", "minimum": 1, "maximum": 40}, "open": {"enum": ["yes", "no"]}},
    "required": ["aisle", "open"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("seed", range(4))
def test_answers_keep_to_their_grammar(seed: int, shared: LocalEngine) -> None:
    hot = Sampling(temperature=1.5, seed=seed)
    asked = request(prompt(20), grammar=Grammar("json_schema", json.dumps(SCHEMA)), sampling=hot, max_tokens=200)
    answer = ask(shared, asked)
    assert answer.finish.reason == "stop"
    content = json.loads(answer.text)
    assert set(content) == {"aisle", "open"} and 1 <= content["aisle"] <= 40 and content["open"] in ("yes", "no")
    written = ask(shared, replace(asked, id="r", grammar=Grammar("regex", "[a-c]{5}-[0-9]{3}")))
    assert written.finish.reason == "stop" and len(written.text) == 9 and written.text[5] == "-"
    lark = ask(shared, replace(asked, id="l", grammar=Grammar("lark", 'start: ("lamp" | "chair") " " /[0-9]+/ "!"')))
    assert lark.text.startswith(("lamp ", "chair ")) and lark.text.endswith("!")


def test_blanks_in_a_row_are_only_for_indentation(shared: LocalEngine) -> None:
    """Else a small model draws nothing but blanks until its answer is as long as it may be."""
    for seed in range(8):
        hot = Sampling(temperature=1.5, seed=seed, logit_bias=dict.fromkeys(_blanks(shared), 8.0))
        asked = request(prompt(20), grammar=Grammar("json_schema", json.dumps(SCHEMA)), sampling=hot, max_tokens=300)
        answer = ask(shared, asked)
        assert set(json.loads(answer.text)) == {"aisle", "open"}
        assert re.search(r"\s", answer.text), "the model was made to like blanks"
        assert not re.search(r"  |\n\s*\n", re.sub(r"\n *", "\n", answer.text)), answer.text


def _blanks(engine: LocalEngine) -> list[int]:
    return sorted({token for blank in (" ", "  ", "\n") for token in engine.tokenizer("tiny").encode(blank)[1:]})


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar("json_schema", "{"),
        Grammar("json_schema", "[1]"),
        Grammar("json_schema", '{"type": "no such type"}'),
        Grammar("json_schema", '{"$ref": "#/nowhere"}'),
        Grammar("json_schema", "[" * 100_000),
        Grammar("regex", "(("),
        Grammar("lark", "start: nothing_known"),
        Grammar("regex", "a" * 300_000),
    ],
    ids=str,
)
def test_a_wrong_grammar_is_refused(grammar: Grammar, shared: LocalEngine) -> None:
    refusal = refused(lambda: shared.submit(request(prompt(20), grammar=grammar)))
    assert refusal.code == "invalid_grammar"


def test_a_forced_beginning_that_breaks_the_grammar_is_refused(shared: LocalEngine) -> None:
    asked = request(
        prompt(20),
        grammar=Grammar("regex", "[0-9]+"),
        forced_output_ids=tuple(shared.tokenizer("tiny").encode("x")[1:]),
    )
    assert refused(lambda: shared.submit(asked)).param == "forced_output_ids"


def test_what_a_grammar_needs_is_made_with_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds for a large vocabulary, and nothing else of the process runs meanwhile."""
    engine = asking.make_engine(asking.make_model(tmp_path))
    try:
        monkeypatch.setattr(llguidance, "LLTokenizer", None)
        asked = request(prompt(12), grammar=Grammar("regex", "[0-9]{4}"), max_tokens=8)
        assert re.fullmatch("[0-9]{4}", ask(engine, asked).text)
    finally:
        engine.close()


def test_a_tokenizer_that_serves_no_grammars_is_told_by_its_model(tmp_path: Path) -> None:
    Tokenizer(WordLevel({"a": 0, "b": 1}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    grammars = Grammars(ModelTokenizer(tmp_path), 2, [1])
    with pytest.raises(Refused, match="tokenizer serves no grammars: can't determine decoder type"):
        grammars.matcher(Grammar("regex", "a"))


GROWTH = """
import sys
from pathlib import Path
import llguidance

def most():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024

text = Path(sys.argv[1]).read_text(encoding="utf-8")
before = most()
table = llguidance.LLTokenizer(text)
print(most() - before)
"""


def test_the_table_of_a_large_vocabulary_takes_no_more_than_the_plan_says(tmp_path: Path) -> None:
    letters = sorted(ByteLevel.alphabet())
    pairs = [(first, second) for first in letters for second in letters][:40_000]
    names = letters + [first + second for first, second in pairs]
    tokenizer = Tokenizer(BPE(vocab={name: index for index, name in enumerate(names)}, merges=pairs))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"), pretty=False)
    grown = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path / "tokenizer.json")], check=True, capture_output=True, timeout=60
    )
    assert plan.TABLE * len(names) / 3 < int(grown.stdout) < plan.TABLE * len(names)
