# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is concluded from looks at nodes in every state that matters."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._k3s import (
    api,
    archives,
    conclude,
    look,
    node_object,
    paths,
    unit,
)
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.commands import Ended
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.datastore import Datastore
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.digests import digests

WANTED = "1.36.4+k3s1"
RUNNING = unit.Unit("k3s.service", True, "active", "running", 7, True, 0, 1000.0)
READY = node_object.Facts(True, (), "1.36.4", False, False, True, {}, (), "10.0.0.1")


def seen(tmp_path: Path, **changes: Any) -> look.Look:
    """A node that runs what is wanted, but for the changes."""
    question = look.Question("server", "n1", WANTED, secrets_encryption=True)
    blank = look.look(replace(question, etcd=None), tmp_path, lambda _command: Ended(0, ""))
    usual: dict[str, Any] = {
        "unit": RUNNING,
        "started": unit.Started(f"{paths.VERSIONS}/{WANTED}/k3s", {}),
        "installed": WANTED,
        "blank": False,
        "nodes": {"n1": READY},
        "encrypted": True,
        "restart_for": (),
    }
    return replace(blank, **{**usual, **changes})


def test_a_blank_host_is_started(tmp_path: Path) -> None:
    blank = look.look(look.Question("server", "n1", WANTED), tmp_path, lambda _command: Ended(127, "no systemctl"))
    assert blank.blank
    assert conclude.plan(blank) == "start"
    assert conclude.refusals(blank) == []
    assert conclude.problems(blank) == []
    assert conclude.result(blank)["datastore"]["cluster"] == "unknown"


@pytest.mark.parametrize(
    ("changes", "plan"),
    [
        ({}, "none"),
        ({"restart_for": ("version 1.36.4+k3s1",)}, "change"),
        ({"files_differ": ("/x",)}, "write"),
        ({"images_missing": ("/x",)}, "write"),
        ({"images_old": ("/x",)}, "write"),
        ({"images_lost": ("/x",)}, "write"),
        ({"datastore_certificate_due": True}, "write"),
        ({"unit": replace(RUNNING, enabled=False)}, "write"),
        ({"question": look.Question("server", "n1", WANTED), "installed": ""}, "write"),
        ({"question": look.Question("server", "n1", WANTED), "installed": "1.36.3+k3s1"}, "write"),
        ({"unit": replace(RUNNING, pid=0, active="activating")}, "start"),
        ({"unit": replace(RUNNING, active="activating")}, "await"),
        ({"unit": replace(RUNNING, active="activating"), "files_differ": ("/x",)}, "start"),
        ({"nodes": {"n1": replace(READY, ready=False)}}, "await"),
    ],
)
def test_the_plan(tmp_path: Path, changes: dict[str, Any], plan: str) -> None:
    assert conclude.plan(seen(tmp_path, **changes)) == plan


def test_a_token_of_another_cluster_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """Trap 1 and the fatal of section 6: the server would not start, or would make a cluster of its own."""
    (told,) = conclude.refusals(seen(tmp_path, datastore=Datastore(("e",), {}, "other")))
    assert "made with another token" in told


@pytest.mark.parametrize(("wanted", "is_so"), [(True, False), (False, True)])
def test_encryption_is_decided_at_the_first_start(tmp_path: Path, wanted: bool, is_so: bool) -> None:
    """Trap 6."""
    question = look.Question("server", "n1", WANTED, secrets_encryption=wanted)
    (told,) = conclude.refusals(seen(tmp_path, question=question, encrypted=is_so))
    assert f"k3s_server_secrets_encryption back to {str(is_so).lower()}" in told
    assert conclude.refusals(seen(tmp_path, question=question, encrypted=None)) == []


def test_somebody_elses_k3s_is_left_alone(tmp_path: Path) -> None:
    assert "somebody else's cluster" in conclude.refusals(seen(tmp_path, installed="foreign"))[0]


def test_a_downgrade_across_a_minor_is_refused(tmp_path: Path) -> None:
    question = look.Question("server", "n1", "1.35.8+k3s1")
    (told,) = conclude.refusals(seen(tmp_path, question=question))
    assert "older than 1.36.4+k3s1" in told


def test_the_gate_names_everything_that_is_not_well(tmp_path: Path) -> None:
    bad = seen(
        tmp_path,
        datastore=Datastore(("https://a:2379",), {"https://b:2379": "no answer"}, "ours"),
        servers={"n2": look.Server("10.0.0.2", True, False, "etcd failed"), "n3": look.Server("10.0.0.3", True, True)},
        nodes={"n1": READY, "n3": replace(READY, ready=False, reasons=("silent",)), "w": replace(READY, ready=False)},
    )
    bad = replace(bad, nodes={**bad.nodes, "w": replace(READY, ready=False, control_plane=False)})
    assert conclude.gate(bad) == [
        "etcd at https://b:2379 is not healthy (no answer)",
        "the API of n2 (10.0.0.2) is not ready (etcd failed)",
        "n3 is not Ready (silent)",
    ]
    assert conclude.gate(seen(tmp_path)) == []


def test_a_start_that_was_cut_off_is_noticed(tmp_path: Path) -> None:
    """The files are as wanted, but the running process was started before they were."""
    wanted = digests([{"path": "/etc/rancher/k3s/config.yaml", "content": "new"}], ["/etc/rancher/k3s/config.yaml"])
    question = look.Question("server", "n1", WANTED, files=wanted)
    started = unit.Started(f"{paths.VERSIONS}/1.35.8+k3s1/k3s", {"/etc/rancher/k3s/config.yaml": "of the old"})
    assert look._restart_for(question, RUNNING, started) == [f"version {WANTED}", "/etc/rancher/k3s/config.yaml"]
    same = unit.Started(f"{paths.VERSIONS}/{WANTED}/k3s", {"/etc/rancher/k3s/config.yaml": wanted[0]["sha256"]})
    assert look._restart_for(question, RUNNING, same) == []


def test_old_archives_are_ours_only(tmp_path: Path) -> None:
    """Trap 4: what is no longer wanted would be imported for ever."""
    folder = tmp_path / paths.IMAGES.lstrip("/")
    folder.mkdir(parents=True)
    for name in ("holdfast-k3s-airgap-images-0.tar", "holdfast-k3s-airgap-images-1.tar", "theirs.tar"):
        (folder / name).write_text("12345", encoding="utf-8")
    new = f"{paths.IMAGES}/holdfast-k3s-airgap-images-1.tar"
    question = look.Question("server", "n1", images=[{"path": new, "size": 5}])
    assert archives.old(question.images, tmp_path) == [f"{paths.IMAGES}/holdfast-k3s-airgap-images-0.tar"]
    assert archives.missing(question.images, tmp_path) == []
    assert archives.missing([{"path": new, "size": 6}], tmp_path) == [new]


def test_an_image_that_was_removed_is_missed(tmp_path: Path) -> None:
    """Trap 4: k3s believes its cache, and does not import it again."""
    path = f"{paths.IMAGES}/holdfast-x.tar"
    place = tmp_path / path.lstrip("/")
    place.parent.mkdir(parents=True)
    content = json.dumps([{"RepoTags": ["r/a:1", "r/b:1"]}]).encode()
    with tarfile.open(place, "w") as archive:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    image = {"path": path, "size": place.stat().st_size, "reference": ""}
    later = place.stat().st_mtime + 1
    assert archives.references(image, tmp_path) == ["r/a:1", "r/b:1"]
    assert archives.references({**image, "reference": "r/c:1"}, tmp_path) == ["r/c:1"]
    assert archives.lost([image], ["r/a:1"], tmp_path, later) == [path]
    assert archives.lost([image], ["r/a:1", "r/b:1", "r/c:1"], tmp_path, later) == []
    # Too early to tell, or the kubelet tells of none.
    assert archives.lost([image], ["r/a:1"], tmp_path, later - 2) == []
    assert archives.lost([image], [], tmp_path, later) == []
    place.write_bytes(b"no archive")
    assert archives.references(image, tmp_path) == []


def test_problems_are_sentences_with_what_to_do(tmp_path: Path) -> None:
    said: Sequence[str] = ['level=fatal msg="bootstrap data already found and encrypted with different token"']
    told = conclude.problems(
        seen(
            tmp_path,
            unit=replace(RUNNING, enabled=False),
            nodes={"n1": replace(READY, unschedulable=True, cordoned_by_us=True)},
            said=said,
        )
    )
    assert told[0] == "k3s.service does not start at boot; run site.yml"
    assert told[1] == "the node takes no pods, cordoned by an interrupted run of Holdfast; run site.yml"
    assert "made with another token" in told[2]


@pytest.mark.parametrize(("annotations", "differs"), [({node_object.OUR_CORDON: "true"}, True), ({}, False)])
def test_a_node_that_a_killed_run_left_cordoned_differs(annotations: dict[str, str], differs: bool) -> None:
    """Else nobody gave it back: its version is right by then, so that no step of a change is taken again."""
    own = {"metadata": {"name": "n1", "annotations": annotations}, "spec": {"unschedulable": True}}

    class Here(api.Api):
        def __init__(self) -> None:
            """Ask nobody."""

        def get(self, path: str) -> api.Answer:
            return api.Answer(200, json.dumps({"items": [own]}))

    assert bool(look._nodes(Here(), look.Question("server", "n1", WANTED))[1]) is differs


def test_a_host_with_any_trace_is_not_blank(tmp_path: Path) -> None:
    """Trap 2: the proof that a rebuilt host really is one."""
    stopped = unit.Unit("k3s.service")
    assert look.blank(tmp_path, stopped)
    assert not look.blank(tmp_path, RUNNING)
    password = tmp_path / paths.NODE_PASSWORD.lstrip("/")
    password.parent.mkdir(parents=True)
    password.write_text("x", encoding="utf-8")
    assert not look.blank(tmp_path, stopped)
