# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill comes to: by fault, what clients noticed, and whether the site kept what it promises."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .questions import SHORT

MILLI = 1000.0
SHOWN = 3


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def summary(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Requests of one stretch of time. Milliseconds count from when a request was due."""
    answered = [line for line in lines if not line["error"]]
    seconds = [line["seconds"] for line in answered]
    short = [line["seconds"] for line in answered if line["kind"] == SHORT]
    pauses = [line["pause"] for line in answered if line["stream"]]
    return {
        "asked": len(lines),
        "failed": len(lines) - len(answered),
        "wrong": sum(line["wrong"] for line in lines),
        "asked_again": sum(line["tries"] > 1 for line in answered),
        "because": _most_common(line["last_error"] for line in answered if line["tries"] > 1),
        "p50_ms": round(percentile(seconds, 0.5) * MILLI, 1),
        "p99_ms": round(percentile(seconds, 0.99) * MILLI, 1),
        "longest_ms": round(max(seconds, default=0.0) * MILLI, 1),
        "short_p99_ms": round(percentile(short, 0.99) * MILLI, 1),
        "longest_pause_ms": round(max(pauses, default=0.0) * MILLI, 1),
    }


def _most_common(texts: Iterable[str]) -> str:
    counted = Counter(texts)
    return counted.most_common(1)[0][0] if counted else ""


def report(lines: Sequence[Mapping[str, Any]], faults: Sequence[Mapping[str, Any]], short_ms: float) -> dict[str, Any]:
    """Of a whole drill. A request belongs to each fault during which it was under way."""
    parts, touched = [], set()
    for fault in faults:
        begun, ended = float(fault["begun"]), float(fault["ended"])
        within = {
            number
            for number, line in enumerate(lines)
            if line["begun"] <= ended and line["begun"] + line["seconds"] >= begun
        }
        touched |= within
        told = {"node": fault["node"], "kind": fault["kind"], "whole_again_s": round(ended - begun, 1)}
        parts.append(told | summary([lines[number] for number in sorted(within)]))
    whole = summary(lines)
    first = min((float(fault["begun"]) for fault in faults), default=math.inf)
    before = summary([line for line in lines if line["begun"] + line["seconds"] < first])
    later = [line for number, line in enumerate(lines) if number not in touched and line["begun"] >= first]
    promises = {
        # A fault during which nobody asked proves nothing.
        "every request was answered": (
            whole["asked"] > 0 and whole["failed"] == 0 and all(part["asked"] for part in parts)
        ),
        "every answer was the right one, byte for byte": whole["wrong"] == 0,
        f"before all that, 99 of 100 short answers came within {short_ms:g} ms (within {before['short_p99_ms']:g})": (
            0 < before["short_p99_ms"] <= short_ms
        ),
    }
    return {
        "promises": promises,
        "kept": all(promises.values()),
        "before": before,
        "between": summary(later),
        "faults": parts,
        "all": whole,
        "errors": [line["error"] for line in lines if line["error"]][:SHOWN],
        "wrong": [{"told": line["told"], "right": line["right"]} for line in lines if line["wrong"]][:SHOWN],
    }


COLUMNS = (
    ("asked", "asked"),
    ("failed", "failed"),
    ("wrong", "wrong"),
    ("again", "asked_again"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("longest ms", "longest_ms"),
    ("longest pause ms", "longest_pause_ms"),
)


def screen(told: Mapping[str, Any]) -> list[str]:
    """The report as lines to read."""
    rows = [["what happened", "whole again", *(title for title, _name in COLUMNS)]]
    rows.append(["before", "", *_cells(told["before"])])
    rows += [
        [f"{part['kind']} {part['node']}", f"{part['whole_again_s']:g} s", *_cells(part)] for part in told["faults"]
    ]
    rows.append(["between", "", *_cells(told["between"])])
    rows.append(["in all", "", *_cells(told["all"])])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    reasons: dict[str, list[str]] = {}
    for part in told["faults"]:
        if part["because"]:
            reasons.setdefault(part["because"], []).append(_event(part))
    lines += [""] + [f"asked again, most often after {why}: {', '.join(events)}" for why, events in reasons.items()]
    lines += [""] + [f"{'kept  ' if kept else 'BROKEN'}  {promise}" for promise, kept in told["promises"].items()]
    lines += [f"        {error}" for error in told["errors"]]
    lines += [f"        told {wrong['told']} where {wrong['right']} is right" for wrong in told["wrong"]]
    return lines


def _event(part: Mapping[str, Any]) -> str:
    return f"{part['kind']} {part['node']}"


def _cells(part: Mapping[str, Any]) -> list[str]:
    return [f"{part[name]:g}" for _title, name in COLUMNS]
