# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format."""

from __future__ import annotations

import dataclasses

from holdfast_inference.server.exposition import SERIES_MOST, Counter, Histogram, gauge
from holdfast_inference.server.measures import Measures, vllm_names
from holdfast_inference.words import Status

from .scripted_engine import ScriptedEngine


def test_a_counter() -> None:
    counter = Counter()
    counter.add(route="/a", status="200")
    counter.add(2, status="200", route="/a")
    assert counter.lines("n_total", "Text.") == [
        "# HELP n_total Text.",
        "# TYPE n_total counter",
        'n_total{route="/a",status="200"} 3',
    ]


def test_label_values_are_escaped() -> None:
    lines = gauge("n", "Text.", [({"a": 'b"c\\d\ne'}, 0.5)])
    assert lines[-1] == 'n{a="b\\"c\\\\d\\ne"} 0.5'


def test_a_histogram_counts_up() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value, model="m")
    assert histogram.lines("s", "Text.")[2:] == [
        's_bucket{model="m",le="0.1"} 2',
        's_bucket{model="m",le="1"} 3',
        's_bucket{model="m",le="+Inf"} 4',
        's_sum{model="m"} 7.65',
        's_count{model="m"} 4',
    ]


def test_strangers_cannot_make_series_without_end() -> None:
    counter = Counter()
    for number in range(SERIES_MOST + 50):
        counter.add(name=str(number))
    assert len(counter.values) == SERIES_MOST + 1
    assert counter.values[(("name", "other"),)] == 50


def test_a_prefix_cache_has_no_more_hits_than_queries_under_vllms_names() -> None:
    """Its dashboards divide the one by the other."""
    state = dataclasses.replace(ScriptedEngine().status().models["shop"], prompt_tokens=40, prefix_tokens_saved=960)
    lines = [line for group in vllm_names(Measures(), Status({"shop": state}, draining=False)) for line in group]
    for name, value in (("prefix_cache_queries", 1000), ("prefix_cache_hits", 960), ("prompt_tokens", 1000)):
        assert f'vllm:{name}_total{{model_name="shop"}} {value}' in lines
