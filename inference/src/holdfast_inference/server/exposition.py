# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Counters, gauges and histograms in Prometheus' text format, without a library."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

Labels = Mapping[str, str]
LabelKey = tuple[tuple[str, str], ...]
SERIES_MOST = 1000
"""Series of one metric. What would be one more is counted under the label value "other": names come from outside."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _key(labels: Labels) -> LabelKey:
    return tuple(sorted(labels.items()))


def _written(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def sample(name: str, labels: LabelKey, value: float) -> str:
    """One line."""
    inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inner}}} {_written(value)}" if inner else f"{name} {_written(value)}"


def header(name: str, kind: str, text: str) -> list[str]:
    """The two lines above a metric's samples."""
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


class Counter:
    """What only grows."""

    def __init__(self) -> None:
        self.values: dict[LabelKey, float] = {}

    def add(self, amount: float = 1.0, **labels: str) -> None:
        """Count it."""
        key = _key(labels)
        if key not in self.values and len(self.values) >= SERIES_MOST:
            key = tuple((label, "other") for label, _ in key)
        self.values[key] = self.values.get(key, 0.0) + amount

    def lines(self, name: str, text: str) -> list[str]:
        """The metric under a name."""
        return header(name, "counter", text) + [sample(name, key, value) for key, value in sorted(self.values.items())]


def gauge(name: str, text: str, values: Iterable[tuple[Labels, float]], kind: str = "gauge") -> list[str]:
    """The lines of values that were just read somewhere; of kind counter where somebody else counts."""
    return header(name, kind, text) + [sample(name, _key(labels), value) for labels, value in values]


class Histogram:
    """How often values fell below each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts: dict[LabelKey, list[int]] = {}
        self._sums: dict[LabelKey, float] = {}

    def observe(self, value: float, **labels: str) -> None:
        """Count a value."""
        key = _key(labels)
        if key not in self._counts and len(self._counts) >= SERIES_MOST:
            key = tuple((label, "other") for label, _ in key)
        counts = self._counts.setdefault(key, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + value

    def lines(self, name: str, text: str) -> list[str]:
        """The metric under a name."""
        lines = header(name, "histogram", text)
        for key, counts in sorted(self._counts.items()):
            passed = 0
            for bound, count in zip((*self.bounds, math.inf), counts, strict=True):
                passed += count
                lines.append(sample(f"{name}_bucket", (*key, ("le", _written(bound))), passed))
            lines += [sample(f"{name}_sum", key, self._sums[key]), sample(f"{name}_count", key, passed)]
        return lines
