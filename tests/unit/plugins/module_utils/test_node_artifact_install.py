# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node takes only what it has verified, and every moment is a safe one for a power cut."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._disk import link_target
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact import records
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.errors import ArtifactError
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.install import (
    activate,
    install_file,
    install_version,
    mend_modes,
    prepare,
    prune,
    put_links,
)
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.look import look, versions_in
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.places import incoming_for

NAME = "demo"


def facts(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "lib"


def send(
    base: Path, version: str, content: bytes = b"program", file: str = NAME, promised: bytes | None = None
) -> None:
    incoming = incoming_for("", base / NAME)
    prepare(incoming, os.geteuid())
    (incoming / file).write_bytes(content)
    install_version(NAME, version, incoming, {file: facts(content if promised is None else promised)}, base)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_arrived_whole_is_installed_and_can_run(base: Path) -> None:
    send(base, "1.0")
    program = base / NAME / "1.0" / NAME
    assert (program.read_bytes(), program.stat().st_mode & 0o7777) == (b"program", 0o755)
    assert names(base / NAME) == ["1.0"]
    assert (base / NAME / "1.0").stat().st_mode & 0o777 == 0o755
    seen = look(NAME, "", {}, base)["versions"]["1.0"][NAME]
    assert seen == {"sha256": facts(b"program")["sha256"], "came_as": facts(b"program")["sha256"], "runs": True}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"prog", "4 of 7 bytes of demo arrived"), (b"prozram", "arrived with another sha256 than")],
)
def test_what_was_cut_or_altered_on_the_way_is_refused(base: Path, content: bytes, reason: str) -> None:
    send(base, "1.0")
    with pytest.raises(ArtifactError, match="What is in use was not touched") as refused:
        send(base, "2.0", content, promised=b"program")
    assert reason in str(refused.value)
    assert versions_in(base / NAME) == ["1.0"]
    assert not (base / NAME / "2.0").exists()


def test_what_did_not_arrive_is_named(base: Path) -> None:
    incoming = incoming_for("", base / NAME)
    prepare(incoming, os.geteuid())
    with pytest.raises(ArtifactError, match="demo did not arrive"):
        install_version(NAME, "1.0", incoming, {NAME: facts(b"x")}, base)


def test_a_link_among_what_arrived_is_refused(base: Path) -> None:
    incoming = incoming_for("", base / NAME)
    prepare(incoming, os.geteuid())
    (incoming / NAME).symlink_to("/etc/passwd")
    with pytest.raises(ArtifactError, match="did not arrive"):
        install_version(NAME, "1.0", incoming, {NAME: facts(b"x")}, base)


def test_what_an_interrupted_run_left_is_cleared(base: Path) -> None:
    incoming = incoming_for("", base / NAME)
    prepare(incoming, os.geteuid())
    (incoming / "half").write_bytes(b"x")
    prepare(incoming, os.geteuid())
    assert names(incoming) == []
    assert incoming.stat().st_mode & 0o777 == 0o700


def test_a_version_without_its_record_does_not_count(base: Path) -> None:
    send(base, "1.0")
    (base / NAME / "1.0/.verified.json").unlink()
    assert look(NAME, "", {}, base)["versions"] == {}


def test_a_program_that_was_overwritten_is_seen(base: Path) -> None:
    send(base, "1.0")
    (base / NAME / "1.0" / NAME).write_bytes(b"prozram")
    seen = look(NAME, "", {}, base)["versions"]["1.0"][NAME]
    assert seen["sha256"] != seen["came_as"]


def test_a_file_that_nobody_touched_is_not_hashed_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(base, "1.0")

    def hashed(path: Path) -> str:
        raise AssertionError(f"{path} was hashed")

    monkeypatch.setattr(records, "sha256_of", hashed)
    assert look(NAME, "", {}, base)["versions"]["1.0"][NAME]["sha256"] == facts(b"program")["sha256"]


def test_a_record_that_cannot_be_read_means_hashing_again(base: Path) -> None:
    send(base, "1.0")
    path = base / NAME / "1.0/.verified.json"
    path.write_text("[]", encoding="utf-8")
    assert records.Records(path).digest(base / NAME / "1.0" / NAME) == facts(b"program")["sha256"]


def test_a_mode_is_mended_and_remembered(base: Path) -> None:
    send(base, "1.0")
    program = base / NAME / "1.0" / NAME
    program.chmod(0o777)
    assert not look(NAME, "", {}, base)["versions"]["1.0"][NAME]["runs"]
    mend_modes(NAME, "1.0", [NAME], base)
    assert look(NAME, "", {}, base)["versions"]["1.0"][NAME]["runs"]


def test_the_version_before_stays_within_reach(base: Path, tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        send(base, version, version.encode())
        assert activate(NAME, version, base)
        put_links(NAME, {str(tmp_path / NAME): NAME}, base)
    assert not activate(NAME, "2.0", base)
    assert (tmp_path / NAME).read_bytes() == b"2.0"
    seen = look(NAME, "", {str(tmp_path / NAME): NAME}, base)
    assert (seen["current"], seen["previous"]) == ("2.0", "1.0")
    assert seen["links"] == {str(tmp_path / NAME): str(base / NAME / "current" / NAME)}
    activate(NAME, "1.0", base)
    assert ((tmp_path / NAME).read_bytes(), link_target(base / NAME / "previous")) == (b"1.0", "2.0")


def test_old_versions_go_and_those_in_use_stay(base: Path) -> None:
    for version in ("1.1", "1.2", "1.9", "1.10", "1.11"):
        send(base, version)
    activate(NAME, "1.11", base)
    activate(NAME, "1.1", base)
    assert prune(NAME, 2, base) == ["1.2", "1.9"]
    assert names(base / NAME) == ["1.1", "1.10", "1.11", "current", "previous"]
    assert prune(NAME, 2, base) == []


def test_what_another_hand_put_into_an_old_version_is_not_removed(base: Path) -> None:
    for version in ("1.0", "2.0"):
        send(base, version)
    (base / NAME / "1.0/notes").write_text("mine", encoding="utf-8")
    assert prune(NAME, 1, base) == ["1.0"]
    assert names(base / NAME / "1.0") == ["notes"]


def test_a_single_file_waits_outside_of_the_folder_it_goes_to(base: Path, tmp_path: Path) -> None:
    dest = tmp_path / "agent/images/all.tar"
    dest.parent.mkdir(parents=True)
    incoming = incoming_for(str(dest), base / NAME)
    assert incoming.parent == tmp_path / "agent"
    prepare(incoming, os.geteuid())
    (incoming / dest.name).write_bytes(b"images")
    install_file(NAME, dest, incoming, facts(b"images"), base)
    assert (names(dest.parent), dest.stat().st_mode & 0o777) == (["all.tar"], 0o644)
    assert names(tmp_path / "agent") == ["images"]
    assert look(NAME, str(dest), {}, base)["dest_sha256"] == facts(b"images")["sha256"]


def test_a_blank_node_is_no_crash(base: Path) -> None:
    seen = look(NAME, "", {"/nowhere/demo": NAME}, base)
    assert (seen["current"], seen["versions"], seen["links"]) == ("", {}, {"/nowhere/demo": ""})
    assert seen["free_bytes"] > 0
    assert look(NAME, str(base / "x/y/z.tar"), {}, base)["dest_sha256"] == ""
