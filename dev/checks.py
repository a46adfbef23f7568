# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check that `make test` runs, as data: which tier, which command, how long it usually takes."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from dev.paths import ROOT

MINUTE = 60


@dataclass(frozen=True)
class Check:
    """One command. A pytest command counts its test cases; any other counts as one check."""

    tier: str
    name: str
    command: tuple[str, ...]
    usual_seconds: int
    limit_seconds: int = 10 * MINUTE
    pytest: bool = False


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _tests(tier: str, name: str, pattern: str, usual_seconds: int, limit_seconds: int = 10 * MINUTE) -> Check:
    """A pytest command for the files of that pattern; without one, pytest itself says that the path is not there."""
    paths = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)) or [pattern]
    return Check(tier, name, _python("pytest", *paths), usual_seconds, limit_seconds, pytest=True)


CHECKS: tuple[Check, ...] = (
    Check("conventions", "ruff check", ("ruff", "check", "."), 1),
    Check("conventions", "ruff format", ("ruff", "format", "--check", "."), 1),
    Check(
        "conventions",
        "mypy --strict",
        (
            "mypy",
            *("-p", "ansible_collections.holdfast.edge.plugins"),
            *("-p", "holdfast_inference", "-p", "tests", "-p", "dev"),
        ),
        30,
    ),
    Check("conventions", "yamllint", ("yamllint", "--strict", "."), 5),
    Check("conventions", "shellcheck", ("bash", "-c", "git grep -lE '^#!.*(bash|/sh)' | xargs shellcheck"), 3),
    Check("conventions", "ansible-lint production", ("ansible-lint", "--offline", "--profile", "production"), 60),
    Check("conventions", "changelog fragments", ("antsibull-changelog", "lint"), 2),
    Check(
        "conventions",
        "antsibull-docs",
        (
            *("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck"),
            *("--validate-collection-refs", "self", "--disallow-unknown-collection-refs", "."),
        ),
        20,
    ),
    _tests("unit", "pytest", "tests/unit", 30),
    Check("sanity", "ansible-test sanity", _python("dev.ansible_test", "sanity"), 240, 20 * MINUTE),
    Check("sanity", "ansible-test units", _python("dev.ansible_test", "units"), 60, 15 * MINUTE),
    Check("artifact", "image of the container hosts", _python("tests.hosts", "prepare"), 60),
    _tests("artifact", "build, install, run", "tests/integration/test_artifact.py", 30),
    _tests("artifact", "Ctrl-C", "tests/integration/test_interruption.py", 10),
    Check("bundle", "playbooks/bundle.yml", _python("dev.demo", "bundle"), 1800, 60 * MINUTE),
    _tests("bundle", "ways, faults, packing", "tests/integration/test_bundle_*.py", 120),
    _tests("containers", "hosts and faults", "tests/integration/test_hosts_containers*.py", 120),
    _tests("containers", "Kubernetes from the bundle", "tests/integration/test_kubernetes_from_bundle.py", 120),
    Check("k3s", "gofmt, go vet, go test", _python("dev.go_check"), 150, 15 * MINUTE),
    Check("molecule", "all scenarios", ("molecule", "test", "--all", "--report", "--command-borders"), 30, 15 * MINUTE),
    _tests("vm", "hosts and faults", "tests/integration/test_hosts_vm*.py", 400, 20 * MINUTE),
)

# Tests that are there and that `make test` does not run; its table says so each time.
LEFT_OUT = {
    "tests/k3s_contract": "passed by hand on both versions, not wired in yet (24 minutes): `make contract`",
}
