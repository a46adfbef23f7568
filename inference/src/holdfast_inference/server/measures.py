# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of requests and answers, and the three sets of names under which it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast_inference import words
from holdfast_inference.server.exchange import Exchange
from holdfast_inference.server.exposition import Counter, Histogram, gauge
from holdfast_inference.server.golden import GoldenRun
from holdfast_inference.server.windows import Window

# From 5 ms, since answers of small models are over before the first bucket of other servers ends.
SECONDS = (
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.1,
    0.15,
    0.25,
    0.4,
    0.6,
    1.0,
    2.5,
    5.0,
    10.0,
    20.0,
    40.0,
    80.0,
    160.0,
    320.0,
)
SECONDS_BETWEEN_TOKENS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.1,
    0.15,
    0.25,
    0.4,
    0.6,
    1.0,
    2.5,
    5.0,
)


class Measures:
    """Counted from the event loop only."""

    def __init__(self) -> None:
        self.requests = Counter()
        self.refusals = Counter()
        self.answers = Counter()
        self.prompt_tokens = Counter()
        self.completion_tokens = Counter()
        self.unknown_fields = Counter()
        self.clients_gone = Counter()
        self.first_token = Histogram(SECONDS)
        self.between_tokens = Histogram(SECONDS_BETWEEN_TOKENS)
        self.answer_seconds = Histogram(SECONDS)
        self.recent_first_token = Window()
        self.recent_between_tokens = Window()
        self.recent_answer_seconds = Window()
        self.recent_tokens = Window()
        self.recent_requests = Window()
        self.recent_failures = Window()
        self.recent_refusals = Window()

    def count_exchange(self, exchange: Exchange) -> None:
        """A request is over."""
        self.requests.add(route=exchange.route, status=str(exchange.status), key=exchange.key.name)
        if exchange.unknown_fields:
            self.unknown_fields.add(exchange.unknown_fields, route=exchange.route)
        if exchange.client_gone:
            self.clients_gone.add(route=exchange.route)
        if exchange.error:
            self.refusals.add(code=exchange.error)
        if exchange.model:
            self.recent_requests.add(1)
            if exchange.status in (429, 503):
                self.recent_refusals.add(1)
            elif exchange.status >= 500 or (exchange.error and exchange.status < 400):
                self.recent_failures.add(1)

    def count_first_token(self, model: str, seconds: float) -> None:
        """The first token of an answer came."""
        self.first_token.observe(seconds, model=model)
        self.recent_first_token.add(seconds)

    def count_token(self, model: str, seconds: float) -> None:
        """A further token came, so long after the one before."""
        self.between_tokens.observe(seconds, model=model)
        self.recent_between_tokens.add(seconds)

    def count_answer(self, model: str, finish: words.Finish, seconds: float) -> None:
        """An answer is over."""
        self.answers.add(model=model, reason=finish.reason)
        self.prompt_tokens.add(finish.usage.prompt, model=model)
        self.completion_tokens.add(finish.usage.completion, model=model)
        self.answer_seconds.observe(seconds, model=model)
        self.recent_answer_seconds.add(seconds)
        self.recent_tokens.add(finish.usage.prompt + finish.usage.completion)


def own_names(measures: Measures, status: words.Status) -> Iterator[list[str]]:
    """Under our names."""
    yield measures.requests.lines("holdfast_requests_total", "Requests that are over, by route, status and key.")
    yield measures.refusals.lines("holdfast_errors_total", "Requests that ended with an error, by its code.")
    yield measures.answers.lines("holdfast_answers_total", "Answers that are over, by reason.")
    yield measures.prompt_tokens.lines("holdfast_prompt_tokens_total", "Tokens of prompts of answers that are over.")
    yield measures.completion_tokens.lines("holdfast_completion_tokens_total", "Tokens of answers that are over.")
    yield measures.unknown_fields.lines("holdfast_unknown_fields_total", "Fields in requests that nothing here knows.")
    yield measures.clients_gone.lines(
        "holdfast_clients_gone_total", "Clients that went away before their answer ended."
    )
    yield measures.first_token.lines("holdfast_time_to_first_token_seconds", "From the request to its first token.")
    yield measures.between_tokens.lines("holdfast_inter_token_seconds", "From one token of an answer to the next.")
    yield measures.answer_seconds.lines("holdfast_answer_seconds", "From the request to the end of an answer.")
    models = status.models.items()
    yield gauge("holdfast_draining", "Whether nothing new is taken.", [({}, float(status.draining))])
    for name, text, attribute, kind in (
        ("requests_running", "Answers that are being drawn.", "running", "gauge"),
        ("requests_waiting", "Answers that wait for a slot.", "waiting", "gauge"),
        ("queued_tokens", "Tokens still to compute.", "queued_tokens", "gauge"),
        ("queue_limit_tokens", "Tokens that may be queued.", "queue_limit_tokens", "gauge"),
        ("tokens_per_second", "Speed that the engine measured lately.", "tokens_per_second", "gauge"),
        ("kv_use_ratio", "Share of all KV positions in use.", "kv_use", "gauge"),
        ("prefix_queries_total", "Prompts looked up in the prefix cache.", "prefix_queries", "counter"),
        ("prefix_hits_total", "Prompts of which a beginning was there.", "prefix_hits", "counter"),
        ("prefix_tokens_saved_total", "Prompt tokens that were not computed again.", "prefix_tokens_saved", "counter"),
        ("speculated_tokens_total", "Tokens that were guessed ahead.", "speculated", "counter"),
        ("accepted_tokens_total", "Guessed tokens that were right.", "accepted", "counter"),
        ("preempted_total", "Answers that waited in their middle for more important ones.", "preempted", "counter"),
        ("steps_total", "Steps of the engine.", "steps", "counter"),
    ):
        values = [({"model": model}, float(getattr(state, attribute))) for model, state in models]
        yield gauge(f"holdfast_{name}", text, values, kind)


def model_facts(facts: dict[str, words.ModelFacts]) -> Iterator[list[str]]:
    """What is being served, and whether its answers are exact."""
    yield gauge(
        "holdfast_model_info",
        "The models that are served.",
        [
            ({"model": name, "digest": fact.digest, "fingerprint": fact.fingerprint}, 1.0)
            for name, fact in facts.items()
        ],
    )
    quanta = [({"model": name}, float(fact.row_quantum or 0)) for name, fact in facts.items()]
    yield gauge("holdfast_row_quantum", "Rows to which a step is padded; 0: answers are not exact here.", quanta)
    memory = [({"model": name}, float(fact.memory_bytes)) for name, fact in facts.items()]
    yield gauge("holdfast_model_memory_bytes", "What the plan grants a model.", memory)


def golden_names(runs: Sequence[GoldenRun]) -> Iterator[list[str]]:
    """What the last golden run of each model found."""
    for name, text, values in (
        ("accuracy", "Share of right answers in the last golden run.", [found.accuracy for found in runs]),
        ("questions", "Questions of the last golden run.", [float(found.asked) for found in runs]),
        ("timestamp_seconds", "When the last golden run ended.", [found.at for found in runs]),
    ):
        told = [({"model": found.model}, value) for found, value in zip(runs, values, strict=True)]
        if told:
            yield gauge(f"holdfast_golden_{name}", text, told)


def vllm_names(measures: Measures, status: words.Status) -> Iterator[list[str]]:
    """Under vLLM's names, with its meaning: its prefix cache counts tokens, not prompts."""
    for name, attribute, kind in (
        ("num_requests_running", "running", "gauge"),
        ("num_requests_waiting", "waiting", "gauge"),
        ("kv_cache_usage_perc", "kv_use", "gauge"),
        ("prefix_cache_queries_total", "prompt_tokens_read", "counter"),
        ("prefix_cache_hits_total", "prefix_tokens_saved", "counter"),
        ("prompt_tokens_total", "prompt_tokens_read", "counter"),
        ("generation_tokens_total", "completion_tokens", "counter"),
        ("spec_decode_num_draft_tokens_total", "speculated", "counter"),
        ("spec_decode_num_accepted_tokens_total", "accepted", "counter"),
    ):
        values = [({"model_name": model}, float(getattr(state, attribute))) for model, state in status.models.items()]
        yield gauge(f"vllm:{name}", f"Alias: {attribute} of the engine.", values, kind)
    successes = [
        ({"model_name": model, "finished_reason": reason}, float(count))
        for model, state in status.models.items()
        for reason, count in sorted(state.finished.items())
        if reason in ("stop", "length")
    ]
    yield gauge("vllm:request_success_total", "Alias: answers that ended well.", successes, "counter")
    yield _renamed(measures.first_token, "vllm:time_to_first_token_seconds", "model_name")
    yield _renamed(measures.between_tokens, "vllm:inter_token_latency_seconds", "model_name")
    yield _renamed(measures.answer_seconds, "vllm:e2e_request_latency_seconds", "model_name")


def open_telemetry_names(measures: Measures) -> Iterator[list[str]]:
    """Under the names that OpenTelemetry gives to servers of language models."""
    yield _renamed(measures.first_token, "gen_ai_server_time_to_first_token_seconds", "gen_ai_request_model")
    yield _renamed(measures.between_tokens, "gen_ai_server_time_per_output_token_seconds", "gen_ai_request_model")
    yield _renamed(measures.answer_seconds, "gen_ai_server_request_duration_seconds", "gen_ai_request_model")


def _renamed(histogram: Histogram, name: str, label: str) -> list[str]:
    return [line.replace('model="', f'{label}="') for line in histogram.lines(name, "Alias, measured in the server.")]
