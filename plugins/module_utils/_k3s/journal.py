# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the node's own journal says, and what an operator can do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .commands import Run

LINES = 400
SHOWN = 18
WORTH = re.compile(r"level=(fatal|error|warning)|Shutdown request received|^[EF]\d{4} |panic:|Unknown flag")
SECRET = re.compile(r"(K10[0-9a-f]{64}::\w+:)\S+")


@dataclass(frozen=True)
class Cause:
    """A line that is known, what it means, and whether waiting can help."""

    pattern: str
    meaning: str
    hopeless: bool = True


CAUSES: Sequence[Cause] = (
    Cause(
        r"encrypted with different token",
        "the datastore holds a cluster that was made with another token. The datastore was not changed; put the right "
        "token back (controller: the secret k3s-token of the site) and run site.yml again",
    ),
    Cause(
        r"newer than datastore and could cause a cluster outage",
        "files below /var/lib/rancher/k3s/server differ from the datastore and are newer. Remove exactly the files "
        "that the line names and start k3s again: it fetches them from the datastore",
    ),
    Cause(
        r"Node password rejected|unable to verify password for node",
        "the cluster knows another host by this name. Where this host replaces it, run site.yml: it removes the old "
        "password once the old node is seen to be gone; where both live, rename one",
        hopeless=False,
    ),
    Cause(
        r"token CA hash does not match",
        "the token is that of another cluster. Put the right one into the secret k3s-token of the site",
    ),
    Cause(r"flag provided but not defined", "the configuration has a key that this release of k3s does not know"),
    Cause(
        r"Unknown flag --\S+ found in",
        "k3s skipped a key that it does not know; take it out of the file",
        hopeless=False,
    ),
    Cause(
        r"invalid kernel flag|Failed to initialize protectKernelDefaults|kernel\.(panic|keys)|vm\.(overcommit|panic)",
        "the kernel is not set as protect-kernel-defaults asks. The role hardening sets it; where a host cannot have "
        "these values, set k3s_node_protect_kernel_defaults to false",
    ),
    Cause(
        r"address already in use",
        "another program has a port that k3s needs; see `ss -ltnp` on the node",
        hopeless=False,
    ),
    Cause(
        r"no default routes found", "the node has no default route; set k3s_node_default_route to true", hopeless=False
    ),
    Cause(r"unable to find interface", "the interface that flannel-iface names is not there"),
    Cause(r"Waiting for \S+ to be available", "a token file is missing; run site.yml again", hopeless=False),
    Cause(
        r"server time isn't set properly|certificate has expired or is not yet valid",
        "a clock is wrong, or a certificate is at its end",
        hopeless=False,
    ),
    Cause(
        r"unknown 'kubernetes.io' or 'k8s.io' labels", "a label of k3s_node_labels is one that a kubelet may not set"
    ),
    Cause(
        r"failed to find pids cgroup|failed to find memory cgroup", "the kernel lacks a control group that k3s needs"
    ),
    Cause(
        r"invalid (cluster-cidr|service-cidr|cluster-dns|port range|egress-selector-mode)", "a network value is wrong"
    ),
    Cause(r"must share the same IP version", "node address and cluster network are of different IP versions"),
    Cause(r"level=fatal msg=\"?yaml:", "the configuration file is no YAML"),
)


def lines(unit: str, run: Run, since: float = 0.0) -> list[str]:
    """The unit's last lines, those of one start where its time is given."""
    which = [f"--since=@{int(since)}"] if since else []
    return run(["journalctl", "--no-pager", "-o", "cat", "-u", unit, "-n", str(LINES), *which]).output.splitlines()


def causes(said: Sequence[str]) -> list[Cause]:
    """The known causes that these lines tell of, the most certain first."""
    text = "\n".join(said)
    found = [cause for cause in CAUSES if re.search(cause.pattern, text)]
    return sorted(found, key=lambda cause: not cause.hopeless)


def worth_showing(said: Sequence[str]) -> list[str]:
    """The lines that tell most: those of warning and above, else the last ones; no line twice, no secret."""
    telling = [line for line in said if WORTH.search(line)] or list(said)
    once = list(dict.fromkeys(SECRET.sub(r"\1…", line.strip())[:400] for line in telling if line.strip()))
    return once[-SHOWN:]
