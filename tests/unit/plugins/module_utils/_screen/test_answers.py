# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inference service on the screen: nothing where there is none, two lines where it is well, and what is wrong."""

from __future__ import annotations

from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._screen.answers import Front
from ansible_collections.holdfast.edge.plugins.module_utils._screen.screen import draw
from ansible_collections.holdfast.edge.plugins.module_utils._screen.wrong import Limits

from .test_screen import NOW, VIP, node

URL = f"https://{VIP}"
OLD, NEW = "6f1e2d3c4b5a" + "0" * 52, "77aa88bb99cc" + "0" * 52


def door(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "answers": True, "said": "", "refused": "", "days_left": 364, **more}


def engine(digest: str = OLD, **more: Any) -> dict[str, Any]:
    return {"ready": True, "models": {"shop": {"digest": digest, "queued_tokens": 7}}, **more}


def look(name: str, **more: Any) -> dict[str, Any]:
    return {
        "engines": [engine()],
        "gateways": [{"ready": True, "answer_seconds": {"p95": 0.08}}],
        "doors": [door(f"https://{name}:8443"), door(URL)],
        **more,
    }


def answering(name: str, **more: Any) -> dict[str, Any]:
    return node(name, answering=["engine", "gateway"], inference=look(name, **more))


def shown(*told: dict[str, Any], front: Front | None = None) -> tuple[str, list[str]]:
    """The screen, and what is wrong but for etcd, whose members are always the same three here."""
    screen = draw(told, "shop7", VIP, NOW, Limits(), front or Front(URL, 3650))
    return "\n".join(screen.lines), [one for one in screen.wrong if not one.startswith("etcd:")]


def test_a_site_without_models_says_nothing_of_them() -> None:
    text, wrong = shown(node("a"), node("b", inference={"engines": [], "gateways": [], "doors": []}))
    assert "ANSWERS" not in text and wrong == []


def test_a_service_that_is_well_is_two_lines() -> None:
    text, wrong = shown(*(answering(name) for name in "abc"))
    assert wrong == []
    assert (
        f"ANSWERS  {URL} answers; ready: 3 of 3 engines, 3 of 3 gateways; certificate 364 days, "
        "authority 3650 days" in text
    )
    last = "shop 6f1e2d3c4b5a on all of 3; 21 tokens queued; 95 of 100 answers of the last minute within 0.08 s"
    assert f"MODELS   {last}" in text
    assert max(map(len, text.splitlines())) <= 120


def test_many_models_take_more_lines_and_none_is_too_long() -> None:
    many = {f"model-{number}": {"digest": NEW, "queued_tokens": 0} for number in range(9)}
    text, wrong = shown(*(answering(name, engines=[{"ready": True, "models": many}]) for name in "abc"))
    assert wrong == [] and all(f"{model} {NEW[:12]} on all of 3" in " ".join(text.split()) for model in many)
    assert max(map(len, text.splitlines())) <= 120


def test_it_is_found_where_nobody_named_a_model() -> None:
    found = node("a", inference={"engines": [engine()], "gateways": [{"ready": True}], "doors": []})
    text, wrong = shown(found, node("b"), front=Front())
    assert "ANSWERS  ready: 1 of 1 engines, 1 of 1 gateways" in text and wrong == []


def test_a_dead_node_is_missed_and_said_once() -> None:
    dead = {"name": "a", "address": "10.0.0.97", "server": True, "member": True, "reached": False, "said": "timed out"}
    text, wrong = shown({**dead, "answering": ["engine", "gateway"]}, answering("b"), answering("c"))
    assert "ready: 2 of 3 engines (not a), 2 of 3 gateways (not a)" in text
    assert [one for one in wrong if "engine" in one or "gateway" in one] == []
    text, wrong = shown({**dead, "answering": ["engine", "gateway"]})
    assert f"{URL} was asked by nobody; ready: 0 of 1 engines (not a)" in text
    assert "none on the nodes that answer" in text


def test_an_address_that_nobody_answers_is_told_with_the_reason() -> None:
    silent = [door(f"https://{name}:8443") for name in "ab"], door(URL, answers=False, said="no answer within 5 s")
    told = [answering(name, doors=[own, silent[1]]) for name, own in zip("ab", silent[0])]
    text, wrong = shown(*told)
    assert f"{URL} DOES NOT ANSWER" in text
    assert wrong == [
        f"answers: {URL} gives no answer to any node of the site (no answer within 5 s). "
        "See on the holder of the address: journalctl -u haproxy"
    ]
    text, wrong = shown(told[0], answering("b"))
    assert f"{URL} answers" in text and "gives no answer to a (" in wrong[0]


def test_parts_that_are_missing_late_or_deaf_are_named() -> None:
    loading = engine(ready=False, not_ready_because="loading", models={})
    deaf = [door("https://c:8443", answers=False, said="Connection refused", days_left=None), door(URL)]
    text, wrong = shown(
        answering("a", engines=[]), answering("b", engines=[loading]), answering("c", doors=deaf), node("d")
    )
    assert "1 of 3 engines (not a, b)" in text
    assert [one.partition(". See")[0] for one in wrong] == [
        "a: no engine runs there",
        "b: its engine is not ready (loading)",
        "c: https://c:8443 does not answer (Connection refused) though its gateway runs",
    ]
    assert all("kubectl get pods" in one for one in wrong)
    assert shown(node("a", answering=["engine"]))[1] == ["a: could not be asked about the inference service"]


def test_a_blank_node_has_no_engine_to_miss() -> None:
    blank = node("b", k3s={"blank": True}, etcd={"state": "blank"}, answering=["engine"], inference={"engines": []})
    assert [one.partition(".")[0] for one in shown(answering("a"), blank)[1]] == ["b: is blank"]


def test_engines_that_serve_different_versions_are_told_apart() -> None:
    text, wrong = shown(answering("a"), answering("b", engines=[engine(NEW)]), answering("c"))
    assert "shop 6f1e2d3c4b5a on 2 of 3; shop 77aa88bb99cc on 1 of 3" in text
    assert wrong[0].startswith("answers: engines serve shop in 2 versions: 6f1e2d3c4b5a on a and c, 77aa88bb99cc on b")
    assert "playbooks/inference.yml" in wrong[0]


def test_certificates_that_end_and_those_that_clients_refuse_are_wrong() -> None:
    doors = [door("https://a:8443", days_left=9), door(URL, refused="unable to get local issuer certificate")]
    _text, wrong = shown(answering("a", doors=doors), front=Front(URL, 12))
    assert any(f"refuse {URL} (unable to get local issuer" in one for one in wrong)
    assert any("the gateways' certificate ends in 9 days" in one for one in wrong)
    assert any("authority that clients trust ends in 12 days" in one for one in wrong)
