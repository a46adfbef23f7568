# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""T16 where the model makes embeddings, asked with OpenAI's own client."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import tokenizers
from holdfast_inference.server.embeddings import AT_ONCE

from tests.inference.engine.asking import make_embedding_model

from .real_site import MODEL, Site, real_site
from .running import wait_until
from .test_checklist_protocol import is_idle
from .test_openapi import validator


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with real_site(folder, make_embedding_model(folder)) as started:
        yield started


def embed(site: Site, text: Any, **members: Any) -> Any:
    return site.openai.embeddings.create(model=MODEL, input=text, **members)


def ids_of(site: Site, text: str) -> list[int]:
    found = tokenizers.Tokenizer.from_file(str(site.model_folder / "tokenizer.json"))
    return list(found.encode(text).ids)


def test_t16_every_kind_of_input(site: Site) -> None:
    texts = ["Where is the lamp?", "17 chairs"]
    ids = [ids_of(site, text) for text in texts]
    both = embed(site, texts)
    assert [entry.index for entry in both.data] == [0, 1]
    vectors = [entry.embedding for entry in both.data]
    assert vectors[0] != vectors[1]
    assert all(abs(float(np.linalg.norm(vector)) - 1) < 1e-6 for vector in vectors)
    for alike in ([texts[0]], texts[0], ids[0], [ids[0]]):
        assert embed(site, alike).data[0].embedding == vectors[0]
    assert [entry.embedding for entry in embed(site, ids).data] == vectors
    assert both.usage.prompt_tokens == both.usage.total_tokens == sum(map(len, ids))
    assert both.model == MODEL


def test_t16_base64_is_the_same_numbers(site: Site) -> None:
    plain = embed(site, "lamp", encoding_format="float").data[0].embedding
    packed = embed(site, "lamp", encoding_format="base64").data[0].embedding
    assert np.frombuffer(base64.b64decode(packed), "<f4").tolist() == plain
    assert embed(site, "lamp").data[0].embedding == plain


def test_t16_dimensions(site: Site) -> None:
    whole = np.array(embed(site, "lamp").data[0].embedding)
    short = embed(site, "lamp", dimensions=16).data[0].embedding
    assert np.allclose(short, whole[:16] / np.linalg.norm(whole[:16]), atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="vectors of tiny have 128"):
        embed(site, "lamp", dimensions=129)


def test_t16_more_inputs_than_are_under_way_together(site: Site) -> None:
    texts = [f"lamp {number}" for number in range(2 * AT_ONCE + 3)]
    found = embed(site, texts).data
    assert [entry.index for entry in found] == list(range(len(texts)))
    for number in (0, AT_ONCE, len(texts) - 1):
        assert found[number].embedding == embed(site, texts[number]).data[0].embedding


@pytest.mark.parametrize("text", ["", [], ["a", ""], [[]], [[1], "a", None], 7, [1.5], [[10**6]]])
def test_t16_what_is_no_input_is_refused(site: Site, text: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        embed(site, text)
    assert caught.value.param == "input"


def test_t16_what_is_too_long_is_refused(site: Site) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        embed(site, [[5] * 512])
    assert caught.value.code == "context_length_exceeded"


def test_t16_a_model_that_embeds_answers_nothing(site: Site) -> None:
    for asking in (site.completion, site.chat):
        with pytest.raises(openai.BadRequestError, match="draws no text"):
            asking()


def test_t16_the_answer_is_as_described(site: Site) -> None:
    with site.server.client() as client:
        told = client.post("/v1/embeddings", json={"model": MODEL, "input": "a", "user": "me", "odd": 1})
        validator("EmbeddingResponse").validate(told.json())
        assert client.get(f"/v1/models/{MODEL}").json()["embedding_size"] == 128
        own = client.post("/generate", json={"model": MODEL, "prompt": "a", "embed": True}).json()
    assert own["vector"] == told.json()["data"][0]["embedding"]
    assert (own["text"], own["ids"], own["finish_reason"]) == ("", [], "stop")


def test_t16_a_client_that_goes_ends_its_work(site: Site) -> None:
    with site.server.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/embeddings", json={"model": MODEL, "input": [[7] * 500] * 500}, timeout=0.2)
        # All of it would take many times as long.
        wait_until(lambda: is_idle(client), 5.0)
