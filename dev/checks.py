# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check that there is, as data: which tier, which command, how long it usually takes.

`make test` runs them before a change lands. It must end within 90 minutes on two cores from empty caches, and much of
that builds the bundle. Those with `only_in_all` did not fit beside it: `make test-all` runs them too.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from dev.paths import ROOT

MINUTE = 60
# What may differ from one Kubernetes to the next: its flags and components, the files it leaves, and how nodes join.
OF_A_MINOR = " or ".join(
    f"test_{name}"
    for name in ("command_line", "components", "files", "certificates", "images", "join", "supervisor", "systemd")
)

# Needs a machine with a clock of its own, and an emulated one beside clusters may take minutes to unpack a program.
EMULATED = "test_a_clock_before_1980"

CHART = "tests/integration/test_inference_chart.py tests/integration/test_inference_deployment.py"

# Those of one list share one site, since the first builds it.
SITE = "tests/integration/test_site.py tests/integration/test_cis_audit.py tests/integration/test_inference_site.py"


@dataclass(frozen=True)
class Check:
    """One command. A pytest command counts its test cases; any other counts as one check.

    One that `shares` the machine mostly waits, and measures nothing that a neighbour could spoil.
    """

    tier: str
    name: str
    command: tuple[str, ...]
    usual_seconds: int
    limit_seconds: int = 10 * MINUTE
    pytest: bool = False
    shares: bool = False
    only_in_all: bool = False


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _tests(
    tier: str,
    name: str,
    pattern: str,
    usual_seconds: int,
    limit_seconds: int = 10 * MINUTE,
    *,
    shares: bool = False,
    only_in_all: bool = False,
) -> Check:
    """A pytest command for the files of these patterns; where there is none, pytest itself says so."""
    paths = [
        path
        for part in pattern.split()
        for path in sorted(str(found.relative_to(ROOT)) for found in ROOT.glob(part)) or [part]
    ]
    command = _python("pytest", *paths)
    return Check(tier, name, command, usual_seconds, limit_seconds, pytest=True, shares=shares, only_in_all=only_in_all)


def _contract(name: str, *arguments: str, usual_seconds: int, only_in_all: bool = False) -> Check:
    """The contract tests, asked of one of the two stand-ins."""
    command = _python("dev.contract", *arguments)
    return Check("k3s", name, command, usual_seconds, 55 * MINUTE, pytest=True, shares=True, only_in_all=only_in_all)


def _command(tier: str, name: str, command: tuple[str, ...], usual_seconds: int, limit_minutes: int = 10) -> Check:
    """A command that needs nothing but the checkout, so that it may run while the bundle is built."""
    return Check(tier, name, command, usual_seconds, limit_minutes * MINUTE, shares=True)


CHECKS: tuple[Check, ...] = (
    # The longest from empty caches, and it leaves a third of the machine idle to what follows.
    Check("bundle", "playbooks/bundle.yml", _python("dev.bundle"), 2000, 60 * MINUTE, shares=True),
    _command("conventions", "ruff check", ("ruff", "check", "."), 1),
    _command("conventions", "ruff format", ("ruff", "format", "--check", "."), 1),
    _command(
        "conventions",
        "mypy --strict",
        (
            "mypy",
            *("-p", "ansible_collections.holdfast.edge.plugins"),
            *("-p", "holdfast_inference", "-p", "tests", "-p", "dev"),
        ),
        30,
    ),
    _command("conventions", "yamllint", ("yamllint", "--strict", "."), 5),
    _command("conventions", "shellcheck", ("bash", "-c", "git grep -lE '^#!.*(bash|/sh)' | xargs shellcheck"), 3),
    _command("conventions", "ansible-lint production", ("ansible-lint", "--offline", "--profile", "production"), 60),
    _command("conventions", "changelog fragments", ("antsibull-changelog", "lint"), 2),
    _command(
        "conventions",
        "antsibull-docs",
        (
            *("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck"),
            *("--validate-collection-refs", "self", "--disallow-unknown-collection-refs", "."),
        ),
        20,
    ),
    _tests("unit", "pytest", "tests/unit", 50, shares=True),
    _tests("inference", "export and engine", "tests/inference/export tests/inference/engine", 60, shares=True),
    _tests("inference", "fixture model", "tests/inference/fixture", 120, shares=True),
    _tests("inference", "status page in a browser", "tests/inference/page", 40, shares=True),
    _tests("inference", "LangChain, LiteLLM, schemathesis", "tests/inference/clients", 50, shares=True),
    Check(
        "inference",
        "check list, an old openai-python",
        _python("dev.clients", "old-client"),
        30,
        pytest=True,
        shares=True,
    ),
    _tests("inference", "server and gateway", "tests/inference/server tests/inference/gateway", 180, shares=True),
    _tests("inference", "a shortened soak", "tests/inference/test_soak.py", 150, 15 * MINUTE, shares=True),
    _command("sanity", "ansible-test sanity", _python("dev.ansible_test", "sanity"), 300, 20),
    _command("sanity", "ansible-test units", _python("dev.ansible_test", "units"), 60, 15),
    _command("artifact", "image of the container hosts", _python("tests.hosts", "prepare"), 60, 10),
    _tests("artifact", "Ctrl-C", "tests/integration/test_interruption.py", 10),
    _tests("bundle", "ways, faults, packing", "tests/integration/test_bundle_*.py", 120),
    _tests("bundle", "image of the inference service", "tests/integration/test_inference_image.py", 45),
    _tests("bundle", "chart of the inference service", CHART, 90),
    _tests("bundle", "role of the inference service", "tests/integration/test_inference_role.py", 150),
    _tests("artifact", "build, install, run", "tests/integration/test_artifact.py", 90, 15 * MINUTE),
    _tests("containers", "hosts and faults", "tests/integration/test_hosts_containers*.py", 120),
    # The first time it compiles cosign, which is no part of the bundle.
    _tests(
        "bundle",
        "signatures, judged by cosign",
        "tests/integration/test_image_signature.py",
        700,
        40 * MINUTE,
        only_in_all=True,
    ),
    _tests("containers", "the Dockerfile", "tests/integration/test_inference_dockerfile.py", 90, only_in_all=True),
    _tests("containers", "Kubernetes from the bundle", "tests/integration/test_kubernetes_from_bundle.py", 120),
    _tests("containers", "what roles are built from", "tests/integration/test_node_building_blocks.py", 60),
    Check("k3s", "gofmt, go vet, go test", _python("dev.go_check"), 150, 15 * MINUTE),
    # These mostly wait, and go side by side: the slowest first; of the contract's, one waits for the other's hosts.
    _contract("contract, newest version", "newest", "-k", f"not {EMULATED}", usual_seconds=600),
    _tests("site", "etcd", "tests/integration/test_etcd_*.py", 290, 20 * MINUTE, shares=True),
    _tests("site", "k3s", "tests/integration/test_k3s_*.py", 380, 25 * MINUTE, shares=True),
    _tests("site", "reset of half-built hosts", "tests/integration/test_life_half_reset.py", 40, shares=True),
    _tests("site", "hardening", "tests/integration/test_hardening_containers.py", 300, 20 * MINUTE, shares=True),
    _contract("contract, what a minor may change", "before", "-k", OF_A_MINOR, usual_seconds=240),
    _contract("contract, an emulated machine", "newest", "-k", EMULATED, usual_seconds=150, only_in_all=True),
    _contract("contract, the minor before", "before", usual_seconds=700, only_in_all=True),
    _tests("site", "a site, its audit, its answers", SITE, 1050, 40 * MINUTE),
    _tests("site", "its balancer", "tests/integration/test_control_plane_lb.py", 400, 25 * MINUTE, only_in_all=True),
    _tests("site", "faults of all kinds", "tests/integration/test_kill_matrix.py", 900, 40 * MINUTE, only_in_all=True),
    _tests(
        "site", "engines by load", "tests/integration/test_inference_scaling.py", 380, 25 * MINUTE, only_in_all=True
    ),
    _tests("site", "a killed first run", "tests/integration/test_site_killed.py", 500, 30 * MINUTE, only_in_all=True),
    _tests("site", "backups", "tests/integration/test_backup_restore.py", 900, 40 * MINUTE, only_in_all=True),
    _tests("site", "a whole life", "tests/integration/test_life_site.py", 1800, 80 * MINUTE, only_in_all=True),
    Check(
        "molecule",
        "all scenarios but site",
        ("molecule", "test", "--all", "--exclude", "site", "--report", "--command-borders"),
        60,
        15 * MINUTE,
    ),
    Check(
        "molecule",
        "site",
        ("molecule", "test", "-s", "site", "--report", "--command-borders"),
        240,
        30 * MINUTE,
        only_in_all=True,
    ),
    _tests(
        "vm",
        "hardening, judged by strangers",
        "tests/integration/test_hardening_vm.py",
        3000,
        100 * MINUTE,
        only_in_all=True,
    ),
    _tests(
        "vm",
        "VRRP, authenticated",
        "tests/integration/test_control_plane_lb_vm.py",
        240,
        20 * MINUTE,
        only_in_all=True,
    ),
    _tests("vm", "hosts and faults", "tests/integration/test_hosts_vm*.py", 400, 20 * MINUTE, only_in_all=True),
)
