# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that left the inventory leave the node, taints likewise, and nobody else's do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.errors import K3sError
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.node_object import (
    OUR_CORDON,
    OUR_LABELS,
    OUR_TAINTS,
    Wish,
    facts,
    parse_taint,
    patch,
)


def node(**metadata: Any) -> dict[str, Any]:
    spec = metadata.pop("spec", {})
    return {"metadata": {"name": "n", **metadata}, "spec": spec, "status": {}}


def test_labels_are_added_changed_and_taken_away() -> None:
    had = node(
        labels={"edge": "false", "gone": "1", "theirs": "2"},
        annotations={OUR_LABELS: json.dumps(["edge", "gone", "never"])},
    )
    made = patch(had, Wish(labels={"edge": "true", "new": "x"}))
    assert made == {
        "metadata": {
            "labels": {"gone": None, "edge": "true", "new": "x"},
            "annotations": {OUR_LABELS: json.dumps(["edge", "new"])},
        }
    }


def test_a_node_that_has_all_is_left_alone() -> None:
    had = node(
        labels={"edge": "true"},
        annotations={OUR_LABELS: '["edge"]', OUR_TAINTS: '["a:NoSchedule"]'},
        spec={"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]},
    )
    assert patch(had, Wish(labels={"edge": "true"}, taints=["a=b:NoSchedule"], cordoned=False)) == {}


def test_taints_of_others_stay() -> None:
    theirs = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}
    had = node(
        annotations={OUR_TAINTS: '["old:NoSchedule"]'},
        spec={"taints": [theirs, {"key": "old", "effect": "NoSchedule"}]},
    )
    made = patch(had, Wish(taints=["new=1:NoExecute"]))
    assert made["spec"]["taints"] == [theirs, {"key": "new", "value": "1", "effect": "NoExecute"}]
    made = patch(had, Wish(taints=[]))
    assert made["spec"]["taints"] == [theirs]
    assert made["metadata"]["annotations"] == {OUR_TAINTS: None}


def test_only_what_we_cordoned_is_given_back() -> None:
    assert patch(node(), Wish(cordoned=True)) == {
        "metadata": {"annotations": {OUR_CORDON: "true"}},
        "spec": {"unschedulable": True},
    }
    theirs = node(spec={"unschedulable": True})
    assert patch(theirs, Wish(cordoned=True)) == {}
    assert patch(theirs, Wish(cordoned=False)) == {}
    ours = node(annotations={OUR_CORDON: "true"}, spec={"unschedulable": True})
    assert patch(ours, Wish(cordoned=False)) == {
        "metadata": {"annotations": {OUR_CORDON: None}},
        "spec": {"unschedulable": None},
    }


@pytest.mark.parametrize("text", ["a=b", "a=b:Never", ":NoSchedule"])
def test_what_is_no_taint_is_refused(text: str) -> None:
    with pytest.raises(K3sError, match="is no taint"):
        parse_taint(text)


def test_a_node_says_why_it_is_not_ready() -> None:
    silent = node()
    assert not facts(silent).ready
    assert facts(silent).reasons == ("the kubelet has not said anything yet",)
    bad = node()
    bad["status"] = {
        "conditions": [
            {"type": "Ready", "status": "False", "message": "cni plugin not initialized"},
            {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure"},
        ],
        "nodeInfo": {"kubeletVersion": "v1.36.4+k3s1"},
    }
    assert facts(bad).reasons == ("DiskPressure: KubeletHasDiskPressure", "Ready: cni plugin not initialized")
    assert facts(bad).version == "1.36.4+k3s1"
