# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text to ids and back, as answers grow token by token, and the models' chat templates."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import tokenizers
from holdfast_inference.engine.text import ModelTokenizer, TextStream
from holdfast_inference.words import Refused
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.inference import tiny_model

EXAMPLES = 200


def write_older_tokenizer(folder: Path) -> None:
    """As Llama 2 has it: spaces are a sign of their own, the first one is dropped, and rare characters are bytes."""
    names = [f"<0x{byte:02X}>" for byte in range(256)] + ["▁"] + [chr(letter) for letter in range(33, 127)]
    pairs = [("▁", "a"), ("▁", "b"), ("a", "b")]
    names += ["".join(pair) for pair in pairs]
    model = tokenizers.models.BPE({name: number for number, name in enumerate(names)}, pairs, byte_fallback=True)
    tokenizer = tokenizers.Tokenizer(model)
    steps = [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    tokenizer.normalizer = tokenizers.normalizers.Sequence(steps)
    tokenizer.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ModelTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_model.write_tokenizer(folder, 400)
    return ModelTokenizer(folder)


@pytest.fixture(scope="module", params=["bytes", "older"])
def either(
    request: pytest.FixtureRequest, tokenizer: ModelTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> ModelTokenizer:
    if request.param == "bytes":
        return tokenizer
    folder = tmp_path_factory.mktemp("older")
    write_older_tokenizer(folder)
    return ModelTokenizer(folder)


@settings(max_examples=EXAMPLES, deadline=None)
@example(text=" a€", stop=["a", " a€"])
@example(text="a €", stop=[" ", "a €"])
@given(text=st.text(max_size=40), stop=st.lists(st.text("abc €", min_size=1, max_size=3), max_size=3))
def test_streamed_text_is_the_whole_text_up_to_the_first_stop_word(
    either: ModelTokenizer, text: str, stop: list[str]
) -> None:
    ids = either.encode(text, special=False)
    whole = either.decode(ids)
    stream = TextStream(either, stop)
    shown = ""
    for token in ids:
        shown += stream.push(token)
        assert not any(word in shown for word in stop)
        if stream.stopped is not None:
            break
    shown += stream.finish()
    ends = [(whole.find(word) + len(word), whole.find(word), word) for word in stop if word in whole]
    first = min(ends, default=(0, len(whole), None))
    assert (shown, stream.stopped) == (whole[: first[1]], first[2])


def test_half_characters_are_held_back(tokenizer: ModelTokenizer) -> None:
    ids = tokenizer.encode("a🙂b", special=False)
    stream = TextStream(tokenizer)
    pieces = [stream.push(token) for token in ids]
    assert len(ids) > 4
    assert "".join(pieces) == "a🙂b"
    assert "�" not in "".join(pieces)
    cut = TextStream(tokenizer)
    assert "".join(cut.push(token) for token in ids[:-2]) == "a"
    assert cut.finish() == "�"


def test_the_beginning_of_a_stop_word_is_held_back_and_given_when_it_was_none(tokenizer: ModelTokenizer) -> None:
    stream = TextStream(tokenizer, ["xyz"])
    shown = [stream.push(token) for letter in "axyxyq" for token in tokenizer.encode(letter, special=False)]
    assert shown == ["a", "", "", "xy", "", "xyq"]
    unfinished = TextStream(tokenizer, ["xyz"])
    assert "".join(unfinished.push(token) for token in tokenizer.encode("axy", special=False)) == "a"
    assert unfinished.finish() == "xy"


def test_chat_goes_through_the_models_own_template(tokenizer: ModelTokenizer) -> None:
    ids = tokenizer.chat([{"role": "user", "content": "Where is the lamp?"}])
    assert tokenizer.decode(ids, special=True) == "<|begin|><|user|>Where is the lamp?<|end|><|assistant|>"
    assert ids[0] == tokenizer.id_of("<|begin|>") and ids.count(0) == 1
    assert tokenizer.encode("a")[0] == 0 and tokenizer.encode("a", special=False)[0] != 0


def test_others_go_on_while_a_long_text_is_read(tokenizer: ModelTokenizer) -> None:
    """Its thread is of no use where the interpreter waits for it."""
    text, done = "The lamp is in aisle twelve. " * 20_000, threading.Event()

    def read() -> None:
        tokenizer.encode(text)
        done.set()

    reading = threading.Thread(target=read)
    reading.start()
    turns = 0
    while not done.wait(0.001):
        turns += 1
    reading.join()
    assert turns > 20


def test_a_template_finds_what_templates_expect(tmp_path: Path) -> None:
    tiny_model.write_tokenizer(tmp_path, 400)
    (tmp_path / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for message in messages %}{% generation %}{{ message.content }}{% endgeneration %}"
        "{% break %}{% endfor %}{{ tools | tojson(indent=1) }}{{ '<é>' | tojson(ensure_ascii=false) }}"
    )
    tokenizer = ModelTokenizer(tmp_path)
    messages = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    ids = tokenizer.chat(messages, tools=[{"name": "f"}])
    assert tokenizer.decode(ids, special=True) == '<|begin|>a[\n {\n  "name": "f"\n }\n]"<é>"'


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages[7].content }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{% for x in messages %}{{ x.content.__init__.__globals__ }}{% endfor %}",
    ],
)
def test_a_template_that_fails_or_reaches_out_is_refused(template: str, tmp_path: Path) -> None:
    tiny_model.write_tokenizer(tmp_path, 400)
    (tmp_path / "chat_template.jinja").write_text(template)
    with pytest.raises(Refused) as refusal:
        ModelTokenizer(tmp_path).chat([{"role": "user", "content": "hello"}])
    assert refusal.value.code == "invalid_value"


def test_a_model_without_template_has_no_chat(tmp_path: Path) -> None:
    tiny_model.write_tokenizer(tmp_path, 400)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    tokenizer = ModelTokenizer(tmp_path)
    assert not tokenizer.has_chat
    with pytest.raises(Refused, match="no chat template"):
        tokenizer.chat([{"role": "user", "content": "hello"}])
