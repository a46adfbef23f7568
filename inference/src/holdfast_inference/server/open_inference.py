# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol v2 with its generate extension, as KServe's and Triton's clients speak it."""

from __future__ import annotations

import dataclasses
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from holdfast_inference import __version__, words
from holdfast_inference.server import run
from holdfast_inference.server.asked import Asked, deadline_of, read_sampling, read_stop, requests_of
from holdfast_inference.server.completions import ids_of
from holdfast_inference.server.errors import ApiError, invalid
from holdfast_inference.server.exchange import exchange_of
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.settings import Limits
from holdfast_inference.server.work import Work

_TEXT_IN, _TEXT_OUT = "text_input", "text_output"


async def about_server(_request: Request) -> ASGIApp:
    """What this server is."""
    return JSONResponse({"name": "holdfast", "version": __version__, "extensions": ["generate"]})


async def about_model(request: Request) -> ASGIApp:
    """What a model takes and gives."""
    facts = _facts(request)
    return JSONResponse(
        {
            "name": facts.name,
            "versions": [facts.digest],
            "platform": "onnxruntime",
            "inputs": [{"name": _TEXT_IN, "datatype": "BYTES", "shape": [1]}],
            "outputs": [{"name": _TEXT_OUT, "datatype": "BYTES", "shape": [1]}],
        }
    )


async def model_ready(request: Request) -> ASGIApp:
    """Whether a model answers."""
    return JSONResponse({"name": _facts(request).name, "ready": True})


def _facts(request: Request) -> words.ModelFacts:
    facts = run.service_of(request).model(request.path_params["model"])
    version = request.path_params.get("version", facts.digest)
    if version != facts.digest:
        message = f"{facts.name} has the version {facts.digest} here, not {version[:80]!r}."
        raise ApiError(404, "model_not_found", message, param="model")
    return facts


async def generate(request: Request) -> ASGIApp:
    """A text in, a text out."""
    fields = await run.fields_of(request)
    work = await _begin(request, fields, fields.required_text(_TEXT_IN))
    texts = [event.text for _, event in await run.collect(request, work)]
    return JSONResponse(_output(work, "".join(texts)))


async def generate_stream(request: Request) -> ASGIApp:
    """A text in, a stream of texts out."""
    fields = await run.fields_of(request)
    work = await _begin(request, fields, fields.required_text(_TEXT_IN))

    def chunks(_number: int, event: words.Event) -> list[dict[str, Any]]:
        if isinstance(event, words.Finish):
            return [{**_output(work, event.text), "finish_reason": event.reason}]
        return [_output(work, event.text)] if event.text else []

    return run.stream(request, work, chunks, lambda: b"")


async def infer(request: Request) -> ASGIApp:
    """The same as tensors: one text in, one text out."""
    fields = await run.fields_of(request)
    text = _input_text(fields)
    answer_id = fields.text("id")
    fields.known("outputs")
    work = await _begin(request, fields, text)
    texts = [event.text for _, event in await run.collect(request, work)]
    output = {"name": _TEXT_OUT, "datatype": "BYTES", "shape": [1], "data": ["".join(texts)]}
    told = {"model_name": work.facts.name, "model_version": work.facts.digest, "outputs": [output]}
    return JSONResponse({**told, "id": answer_id} if answer_id is not None else told)


def _input_text(fields: Fields) -> str:
    for number, entry in enumerate(fields.array("inputs", 16) or []):
        tensor = Fields.of(entry, f"inputs[{number}]")
        if tensor.required_text("name") == _TEXT_IN:
            if tensor.required_text("datatype") != "BYTES":
                raise invalid(f"{tensor.name('datatype')} must be BYTES.", tensor.name("datatype"))
            data = tensor.array("data", 16) or []
            if len(data) == 1 and isinstance(data[0], str):
                return data[0]
            raise invalid(f"{tensor.name('data')} must hold one text.", tensor.name("data"))
    raise invalid(f"inputs must have a tensor {_TEXT_IN}.", "inputs", "missing_required_parameter")


async def _begin(request: Request, fields: Fields, text: str) -> Work:
    service = run.service_of(request)
    limits = service.settings.limits
    asked = _read_parameters(fields, limits)
    fields.known("id")
    run.note_unknown(request, fields)
    facts = _facts(request)
    exchange = exchange_of(request)
    exchange.model = facts.name
    prompt = await ids_of(text, service.ready_engine().tokenizer(facts.name), facts)
    requests = requests_of(asked, [prompt], facts, exchange.key, deadline_of(request.headers, limits))
    return await run.begin(request, requests, facts)


def _read_parameters(fields: Fields, limits: Limits) -> Asked:
    """Parameters stand in an object of their own, or beside the text as Triton also takes them."""
    inner = fields.member("parameters")
    source = inner or fields
    # Triton's clients send whether they stream in the body as well; here the path says it.
    source.known("stream", "streaming")
    seed = source.integer("random_seed", 0, 2**63 - 1)
    sampling = read_sampling(source)
    return Asked(
        sampling=sampling if seed is None else dataclasses.replace(sampling, seed=seed),
        stop=read_stop(source, limits) or read_stop(source, limits, "stop_words"),
        max_tokens=source.integer("max_tokens", 1, 2**31 - 1),
        choices=1,
        stream=False,
        include_usage=False,
    )


def _output(work: Work, text: str) -> dict[str, Any]:
    return {"model_name": work.facts.name, "model_version": work.facts.digest, _TEXT_OUT: text}
