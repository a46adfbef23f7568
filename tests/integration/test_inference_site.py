# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inference service on a whole site: it answers at one address, while nodes break and while models change."""

from __future__ import annotations

import functools
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._drill.client import Answer
from ansible_collections.holdfast.edge.plugins.module_utils._drill.load import Load, right_answers
from ansible_collections.holdfast.edge.plugins.module_utils._drill.questions import Question, questions

from dev.fixture.versions import NAME as MODEL
from dev.fixture.versions import export_version
from dev.paths import ROOT
from tests.history.asking import asked_all_the_while, client_of, golden, key_of, trust
from tests.history.served import VIP
from tests.site import Site

KUBECTL = f"/usr/local/bin/kubectl --kubeconfig /etc/rancher/k3s/k3s.yaml --server https://{VIP}:7443"
ENGINES = f"{KUBECTL} --namespace inference"
STORE = f"/var/lib/holdfast/models/{MODEL}"
ASKED = 40
LOAD = Load(rate=6.0, clients=16)
Told = tuple[tuple[str, str], ...]


def test_every_address_of_the_site_gives_the_right_answers(site: Site) -> None:
    headers = {"Authorization": f"Bearer {key_of(site)}"}
    lines = golden(site.folder / MODEL)
    urls = [f"https://{VIP}"] + [f"https://{host.address}:8443" for host in site.hosts]
    right = 0
    with httpx.Client(verify=trust(site), headers=headers, timeout=30) as client:
        for number, line in enumerate(lines[:: len(lines) // ASKED][:ASKED]):
            body = {"model": MODEL, "messages": line["messages"], "temperature": 0, "max_tokens": 32}
            response = client.post(f"{urls[number % len(urls)]}/v1/chat/completions", json=body)
            assert response.status_code == 200, response.text
            right += response.json()["choices"][0]["message"]["content"] == line["answer"]
    # Of 100 golden questions the model itself has 99 right.
    assert right >= ASKED - 2


def test_nobody_is_answered_without_a_key_or_without_tls(site: Site) -> None:
    with httpx.Client(verify=trust(site), timeout=30) as client:
        assert client.get(f"https://{VIP}/v1/models").status_code == 401
        assert client.get(f"https://{VIP}/health/ready").status_code == 200
        with pytest.raises(httpx.TransportError):
            client.get(f"http://{VIP}:443/v1/models")


def test_nothing_is_lost_while_nodes_break(site: Site, tmp_path: Path) -> None:
    """Killed, paused, cut off and without power, a server and the worker: what the drill's clients say of it."""
    told = tmp_path / "report.json"
    hosts = [sys.executable, "-m", "tests.hosts"]
    broken = "{{ drill_node }}"
    run = site.run(
        "playbooks/drill.yml",
        drill_sure=True,
        drill_faults=["kill", "pause", "cut", "plug"],
        drill_nodes=[site.servers[0].name, site.workers[0].name],
        drill_before_seconds=5,
        drill_calm_seconds=4,
        # How fast it answers is measured on a quiet machine.
        drill_short_ms=5000,
        drill_pull_plug=["env", f"--chdir={ROOT}", *hosts, "fault", site.host_set.name, broken, "kill"],
        drill_push_plug=["env", f"--chdir={ROOT}", *hosts, "heal", site.host_set.name],
        drill_report=str(told),
    )
    assert run.rc == 0, run.failures
    report = json.loads(told.read_text(encoding="utf-8"))
    print("\n".join(report["screen"]))
    assert (report["all"]["failed"], report["all"]["wrong"]) == (0, 0)
    assert [(fault["kind"], fault["node"]) for fault in report["faults"]] == [
        (kind, host.name) for kind in ("kill", "pause", "cut", "plug") for host in (site.servers[0], site.workers[0])
    ]
    assert all(fault["asked"] > 0 for fault in report["faults"])
    # Unless something was noticed, nothing was broken.
    assert sum(fault["asked_again"] for fault in report["faults"]) > 0


def test_a_drill_begins_only_where_it_was_asked_for(site: Site) -> None:
    for given, said in (
        ({"drill_sure": "no"}, "drill_sure is not true"),
        ({"drill_sure": True, "drill_faults": ["plug"]}, "needs drill_pull_plug"),
        ({"drill_sure": True, "drill_nodes": ["elsewhere"]}, "not among drill_hosts"),
        ({"drill_sure": True, "drill_faults": "kill"}, "must be lists"),
        ({"drill_sure": True, "inference_autoscale": True}, "inference_autoscale lets engines come and go"),
        ({"drill_sure": True, "inference_clients": {"till": {"scopes": ["answers"]}}}, "may not read metrics"),
        ({"drill_sure": True, "inference_clients": {"nobody": {}}}, "no inference-client-nobody in"),
    ):
        run = site.run("playbooks/drill.yml", **given)
        assert run.rc != 0 and said in str(run.failures), run.failures


def test_drained_nodes_and_engines_that_start_anew_lose_no_request(site: Site) -> None:
    """What an upgrade does to a node, and what an update of the chart does to all of them, while clients ask."""
    asked = questions(MODEL, [golden(site.folder / MODEL)[0]["messages"][-1]["content"]], 48)
    right = right_answers(client_of(site), asked)
    kubectl = functools.partial(site.ssh, site.servers[0], timeout_seconds=240)
    with asked_all_the_while(client_of(site), asked, LOAD) as answers:
        for host in (site.servers[1], site.workers[0]):
            kubectl(f"{KUBECTL} drain {host.name} --ignore-daemonsets --delete-emptydir-data --timeout=120s")
            engines = kubectl(f"{ENGINES} get pods -o wide --field-selector=spec.nodeName={host.name}")
            assert engines == "", engines
            kubectl(f"{KUBECTL} uncordon {host.name}")
            kubectl(f"{ENGINES} rollout status statefulset/llm --timeout=180s")
        kubectl(f"{ENGINES} rollout restart statefulset/llm")
        kubectl(f"{ENGINES} rollout status statefulset/llm --timeout=220s")
    assert len(answers) > LOAD.rate * 4
    refuse_other_answers(answers, [right])


def test_the_number_of_engines_is_the_loads_while_that_is_asked_for(site: Site) -> None:
    """The whole site's playbook brings the autoscaler and takes it away; test_inference_scaling sees it at work."""
    ask = functools.partial(site.ssh, site.servers[0])
    scaled = site.with_variables(inference_autoscale=True)
    first = scaled.run("site.yml")
    assert first.rc == 0, first.failures
    condition = "--for=condition=ScalingActive --timeout=180s"
    ask(f"{ENGINES} wait {condition} hpa/llm", timeout_seconds=200)
    again = scaled.run("site.yml")
    assert (again.rc, sum(again.changed.values())) == (0, 0), again.failures or again.changed

    site.write_inventory()
    back = site.run("site.yml")
    assert back.rc == 0, back.failures
    assert ask(f"{ENGINES} get hpa,deployments --output name") == ""
    ask(f"{ENGINES} rollout status statefulset/llm --timeout=180s", timeout_seconds=200)
    assert ask(f"{ENGINES} get statefulset llm --output jsonpath={{.status.readyReplicas}}") == str(len(site.hosts))


def test_another_model_takes_its_place_under_load_and_the_old_one_comes_back(site: Site, tmp_path: Path) -> None:
    contents = [line["messages"][-1]["content"] for line in golden(site.folder / MODEL)]
    export_version("prices", tmp_path / "prices")
    changed = [line["messages"][-1]["content"] for line in golden(tmp_path / "prices") if "cost" in line["answer"]]
    asked = questions(MODEL, [contents[0], changed[0]], 48)
    old = right_answers(client_of(site), asked)

    other = site.with_variables(inference_models={MODEL: str(tmp_path / "prices")})
    new = exchange(other, asked, lambda: old)
    assert new != old
    site.write_inventory()
    back = exchange(site, asked, lambda: new)
    assert back == old
    # Both stay on each node, for the next way back; nothing more does.
    kept = {host.name: site.ssh(host, f"ls {STORE}").split() for host in site.hosts}
    assert [name for name, entries in kept.items() if len(entries) != 3 or "current" not in entries] == []


def test_a_number_goes_to_another_node_by_the_commands_that_are_told(site: Site) -> None:
    """A node is no node of the service any more, and its engine had a number that another one must take over."""
    begun = site.run("playbooks/inference.yml")
    assert begun.rc == 0, begun.failures
    asked = questions(MODEL, [golden(site.folder / MODEL)[0]["messages"][-1]["content"]], 48)
    right = right_answers(client_of(site), asked)
    where = "jsonpath='{range .items[*]}{.spec.nodeName} {end}'"
    nodes = f"{ENGINES} get pods --selector=statefulset.kubernetes.io/pod-name -o {where}"
    before = site.ssh(site.servers[0], f"{ENGINES} get pod llm-0 -o jsonpath={{.spec.nodeName}}")
    stay = [host.name for host in site.hosts if host.name != before]
    fewer = site.with_variables(inference_hosts=stay)
    with asked_all_the_while(client_of(site), asked, LOAD) as answers:
        refused = fewer.run("playbooks/inference.yml")
        said = "\n".join(refused.failures)
        told = re.search(r"let its number go on (\S+), then run this again, .* to the other node: (.*)", said)
        assert refused.rc != 0 and told is not None, refused.failures
        assert sum(refused.changed.values()) == 0
        for command in told[2].split(" && "):
            site.ssh(site.host(told[1]), command, timeout_seconds=120)
        run = fewer.run("playbooks/inference.yml")
        assert run.rc == 0, run.failures
    assert sorted(site.ssh(site.servers[0], nodes).split()) == sorted(stay)
    refuse_other_answers(answers, [right])
    again = fewer.run("playbooks/inference.yml")
    assert (again.rc, sum(again.changed.values())) == (0, 0), again.failures or again.changed
    site.write_inventory()


def exchange(site: Site, asked: list[Question], before: Callable[[], dict[str, Told]]) -> dict[str, Told]:
    """Run the playbook while clients ask; every answer is the one model's or the other's, and none is missing."""
    with asked_all_the_while(client_of(site), asked, LOAD) as answers:
        time.sleep(2)
        run = site.run("playbooks/inference.yml")
        time.sleep(2)
    assert run.rc == 0, run.failures
    after = right_answers(client_of(site), asked)
    assert len(answers) > LOAD.rate * 4
    refuse_other_answers(answers, [before(), after])
    return after


def refuse_other_answers(answers: list[Answer], known: list[dict[str, Told]]) -> None:
    """Each request has an answer, and it is one of those that are known."""
    assert [answer.error for answer in answers if answer.error] == []
    strange = [answer for answer in answers if answer.told not in [told[answer.question.name] for told in known]]
    assert strange == []
