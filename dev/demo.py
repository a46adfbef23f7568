# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on this machine: a bundle of real parts, three blank hosts, and a site of them that answers."""

from __future__ import annotations

import json
import shutil
import ssl
import sys
import time
import urllib.request

from dev.bundle import STAND_IN_WORDS, bundle_table, columns, make_bundle, say
from dev.fixture.versions import NAME as MODEL
from dev.fixture.versions import export_version
from dev.paths import ROOT
from tests import hosts
from tests.playbook import run_playbook

INVENTORY = ROOT / "inventory/local"
# inventory/local knows the hosts by these.
SET, NETWORK, VIP, CLIENT = "local", "10.78.0.0/24", "10.78.0.10", "you"
ASKED = "Where is the lamp?"
QUESTION = ". /etc/os-release; echo $PRETTY_NAME; systemctl is-system-running; uname -r; ps -o lstart= -p 1"


def raise_hosts() -> str:
    """Bring the hosts up, or find them up; returns how long it took."""
    started = time.monotonic()
    outcome = hosts.up(hosts.Wish(name=SET, count=3, network=NETWORK), lambda line: say(f"hosts: {line}"))
    seconds = time.monotonic() - started
    say(f"hosts: {outcome.sentence}")
    return f"{seconds:.1f} s"


def host_table() -> str:
    """What each host says of itself, over ssh."""
    rows: list[tuple[str, ...]] = [("host", "address", "system", "state", "kernel", "up since")]
    for host in hosts.load(SET).hosts:
        answer = hosts.run(hosts.load(SET), host, QUESTION).stdout
        rows.append((host.name, host.address, *answer.strip().splitlines()))
    return columns(rows)


def site_screen() -> str:
    """What the site says of itself, as status.yml shows it."""
    screens = run_playbook("playbooks/status.yml", inventory=INVENTORY).results("Show the site")
    said = [screen.get("msg", "") for screen in screens]
    return "\n".join(text if isinstance(text, str) else "\n".join(text) for text in said).strip()


def export_model() -> None:
    """The fixture model where inventory/local expects it; one of before goes, since this may be another version."""
    target = hosts.load(SET).directory / MODEL
    shutil.rmtree(target, ignore_errors=True)
    export_version(MODEL, target)


def answer() -> str:
    """A question through the site's address, and lines to ask more."""
    secrets = hosts.load(SET).directory / "site"
    key = (secrets / f"inference-client-{CLIENT}").read_text(encoding="utf-8").strip()
    context = ssl.create_default_context(cafile=secrets / "inference-ca.crt")
    url = f"https://{VIP}/v1/chat/completions"
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": ASKED}], "max_tokens": 16})
    asked = urllib.request.Request(url, body.encode(), {"Authorization": f"Bearer {key}"})
    asked.add_header("Content-Type", "application/json")
    started = time.monotonic()
    with urllib.request.urlopen(asked, timeout=30, context=context) as response:
        told = json.load(response)["choices"][0]["message"]["content"]
    seconds = time.monotonic() - started
    shown = f"$(cat {secrets}/inference-client-{CLIENT})"
    curl = f'curl --cacert {secrets}/inference-ca.crt -H "Authorization: Bearer {shown}"'
    return (
        f"{ASKED}  {told}  ({seconds * 1000:.0f} ms, with a new connection)\n"
        f"API:     https://{VIP}/v1   (each node: port 8443)\n"
        f"Ask:     {curl} -H 'Content-Type: application/json' {url} -d '{body}'\n"
        f"Status:  {curl} https://{VIP}/metrics/summary"
    )


def main() -> int:
    say(f"demo: {STAND_IN_WORDS}")
    try:
        hosts_seconds = raise_hosts()
    except hosts.HostsError as error:
        say(f"demo: {error}")
        return 1
    started = time.monotonic()
    if not make_bundle():
        say("demo: the bundle is not whole; what was built so far is kept, and the next run goes on from there.")
        return 1
    bundle_seconds = f"{time.monotonic() - started:.0f} s"
    export_model()
    started = time.monotonic()
    if run_playbook("site.yml", inventory=INVENTORY, quiet=False).rc != 0:
        say("demo: site.yml stopped; its reason is above. It may be run again as it is: make demo")
        return 1
    site_seconds = f"{time.monotonic() - started:.0f} s"
    say(f"\nHosts ({hosts_seconds})\n{host_table()}\n\nBundle ({bundle_seconds})\n{bundle_table()}\n")
    say(f"Site ({site_seconds})\n{site_screen()}\n")
    say(f"Answers\n{answer()}\n")
    say("Ask the cluster:  .venv/bin/python -m tests.hosts ssh local local-1 kubectl get nodes,pods -A")
    say("Run it again:     .venv/bin/ansible-playbook -i inventory/local site.yml")
    say("See how it is:    .venv/bin/ansible-playbook -i inventory/local playbooks/status.yml")
    say("Pull a plug:      .venv/bin/python -m tests.hosts fault local local-1 kill   (and: heal local)")
    say("Drill:            make drill   (breaks node after node while clients ask, and reports what they noticed)")
    say("Take it away:     make demo-down")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("demo: interrupted; what is there is kept, and the next run goes on from there.")
        sys.exit(130)
