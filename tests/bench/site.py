# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long site.yml takes from blank hosts to a site, and when there is nothing to do: `make bench-site`."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeVar

from tests.playbook import Run
from tests.site import Site, site_hosts

HOSTS = 3
NETWORK = "10.77.0.0/24"
VIP = "10.77.0.10"
SLOWEST = 15

Profile = dict[tuple[str, str], float]
Key = TypeVar("Key")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def timed(site: Site) -> tuple[float, Run]:
    started = time.monotonic()
    run = site.run("site.yml")
    if run.rc != 0:
        raise SystemExit("bench: site.yml failed:\n" + "\n".join(run.failures))
    return round(time.monotonic() - started, 1), run


def task_seconds(events: Iterable[dict[str, Any]]) -> Profile:
    """Seconds of each task by (role, task): from its start to the end of its slowest host."""
    spans: dict[str, tuple[tuple[str, str], float]] = {}
    for event in events:
        data = event["event_data"]
        if event["event"].startswith("runner_on_") and "duration" in data:
            name = (data.get("role") or "play", data.get("task", ""))
            longest = max(data["duration"], spans.get(data["task_uuid"], (name, 0.0))[1])
            spans[data["task_uuid"]] = (name, longest)
    seconds: Profile = defaultdict(float)
    for name, duration in spans.values():
        seconds[name] += duration
    return seconds


def longest_first(seconds: dict[Key, float]) -> list[tuple[Key, float]]:
    return sorted(seconds.items(), key=lambda item: -item[1])


def profile(seconds: Profile) -> str:
    """Where the time went: by role, then the slowest tasks."""
    roles: dict[str, float] = defaultdict(float)
    for (role, _task), duration in seconds.items():
        roles[role] += duration
    lines = [f"{duration:7.1f} s  {role}" for role, duration in longest_first(roles)]
    lines += [f"{duration:7.1f} s  {role}: {task}" for (role, task), duration in longest_first(seconds)[:SLOWEST]]
    return "\n".join(lines)


def main() -> int:
    with site_hosts("bench-site", servers=HOSTS, variables={"site_vip": VIP}, network=NETWORK) as site:
        first_seconds, first = timed(site)
        say(f"the first run by role and task\n{profile(task_seconds(first.events))}")
        second_seconds, second = timed(site)
        say(f"the second run by role and task\n{profile(task_seconds(second.events))}")
    result = {
        "bench": "site",
        "first_run_s": first_seconds,
        "second_run_s": second_seconds,
        "second_run_changed": sum(second.changed.values()),
        "tasks_first": max(first.ok.values()),
        "tasks_second": max(second.ok.values()),
        "hosts": HOSTS,
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
