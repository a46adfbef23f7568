# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of a node's files is judged, compared, and written all or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._node_files import change
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.change import Change
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.errors import FilesError
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.look import Step, differences, steps
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.wishes import read_wishes


def item(path: Path | str, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "state": "file", **more}


def found(*items: dict[str, Any], check_mode: bool = False) -> tuple[Step, ...]:
    return steps(read_wishes(items), check_mode)


def bring(*items: dict[str, Any], command: change.Command = lambda argv: (0, "", "")) -> list[str]:
    """Bring the files to what is wanted; the paths that changed."""
    those = found(*items)
    Change(those, command, lambda temporary, final: None).run()
    return [str(step.path) for step in those]


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o7777:04o}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"path": "etc/x", "content": ""}, "must be absolute"),
        ({"path": "/etc/../x", "content": ""}, "must not contain '..'"),
        ({"path": "/etc//x", "content": ""}, "write its path as /etc/x"),
        ({"path": "/etc/x/", "content": ""}, "write its path as /etc/x"),
        ({"path": "/", "state": "directory"}, "root of the file system"),
        ({"path": "/etc/x\n", "content": ""}, "cannot be seen"),
        ({"path": "/etc/x"}, "neither content nor secret_content"),
        ({"path": "/etc/x", "content": "", "secret_content": ""}, "has content and secret_content"),
        ({"path": "/etc/x", "content": {"a": 1}}, "not text but a dict"),
        ({"path": "/etc/x", "secret_content": 5}, "not text but a int"),
        ({"path": "/etc/x", "content": "", "mode": "420"}, "not one such as '0644'"),
        ({"path": "/etc/x", "content": "", "mode": "u=rw"}, "not one such as '0644'"),
        ({"path": "/etc/x", "content": "", "validate": ["true"]}, "must contain %s"),
        ({"path": "/etc/x", "content": "", "src": "y"}, "for links only"),
        ({"path": "/etc/x", "state": "link"}, "a link needs src"),
        ({"path": "/etc/x", "state": "absent", "mode": "0644"}, "has no mode"),
        ({"path": "/etc/x", "state": "directory", "content": ""}, "content is not for state directory"),
        ({"path": "/etc/x", "state": "directory", "validate": ["true", "%s"]}, "validate is for files"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(wish: dict[str, Any], reason: str) -> None:
    with pytest.raises(FilesError, match="Nothing was changed") as refused:
        read_wishes([{"state": "file", **wish}])
    assert reason in str(refused.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(FilesError) as refused:
        read_wishes([item("x", content=""), item("/y"), item("/z", content=""), item("/z", content="")])
    assert all(text in str(refused.value) for text in ("must be absolute", "neither content", "named twice"))


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    wanted = [
        item(tmp_path / "d", state="directory", mode="0750"),
        item(tmp_path / "d/plain", content="a\n"),
        item(tmp_path / "d/secret", secret_content="s\n"),
        item(tmp_path / "d/link", state="link", src="plain"),
        item(tmp_path / "d/gone", state="absent"),
    ]
    assert bring(*wanted) == [str(tmp_path / name) for name in ("d", "d/plain", "d/secret", "d/link")]
    assert bring(*wanted) == []
    assert (mode(tmp_path / "d"), mode(tmp_path / "d/plain"), mode(tmp_path / "d/secret")) == ("0750", "0644", "0600")
    assert names(tmp_path / "d") == ["link", "plain", "secret"]


def test_a_mode_that_drifted_is_repaired_without_writing_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    bring(item(file, content="a", mode="0640"))
    inode = file.stat().st_ino
    file.chmod(0o666)
    assert bring(item(file, content="a", mode="0640")) == [str(file)]
    assert (mode(file), file.stat().st_ino) == ("0640", inode)


def test_attributes_alone_leave_alone_what_is_not_there(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("a", encoding="utf-8")
    there.chmod(0o644)
    wanted = [item(path, state="attributes", mode="0600") for path in (there, tmp_path / "missing")]
    assert bring(*wanted) == [str(there)]
    assert (mode(there), there.read_text(encoding="utf-8"), bring(*wanted)) == ("0600", "a", [])


def test_a_secret_is_never_wider_than_it_shall_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)
    seen: list[str] = []
    fsync = os.fsync

    def look(handle: int) -> None:
        seen.append(f"{os.fstat(handle).st_mode & 0o777:04o}")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", look)
    previous = os.umask(0)
    try:
        bring(item(file, secret_content="new"))
    finally:
        os.umask(previous)
    assert seen[0] == "0600"
    assert mode(file) == "0600"


def test_one_that_is_refused_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old", encoding="utf-8")
    asked: list[list[str]] = []

    def judge(argv: list[str]) -> tuple[int, str, str]:
        asked.append(argv)
        return (0, "", "") if argv[-1].endswith("/.a.holdfast-new") else (3, "", f"{argv[1]}: line 1: what is this?")

    with pytest.raises(FilesError) as refused:
        bring(
            item(tmp_path / "new", state="directory"),
            item(tmp_path / "a", content="new", validate=["check", str(tmp_path / "a"), "%s"]),
            item(tmp_path / "new/b", content="wrong", validate=["check", "%s"]),
            command=judge,
        )
    message = str(refused.value)
    assert f"{tmp_path}/new/b: line 1: what is this?" in message
    assert f"The new {tmp_path}/new/b was refused by check %s (status 3)" in message
    assert "Nothing was changed." in message
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a"]
    assert len(asked) == 2


def test_the_words_about_a_secret_are_withheld(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="withheld") as refused:
        bring(item(tmp_path / "s", secret_content="x", validate=["c", "%s"]), command=lambda argv: (1, "", "token x?"))
    assert "token" not in str(refused.value)


def test_a_program_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    def missing(argv: list[str]) -> tuple[int, str, str]:
        raise FileNotFoundError(2, "No such file or directory", argv[0])

    with pytest.raises(FilesError, match=r"The system refused: .*/bin/missing.* Nothing was changed"):
        bring(item(tmp_path / "a", content="x", validate=["/bin/missing", "%s"]), command=missing)
    assert names(tmp_path) == []


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("old", encoding="utf-8")
    count = iter(range(9))

    def full(handle: int) -> None:
        if next(count) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FilesError, match=r"No space left on device. Nothing was changed"):
        bring(item(tmp_path / "a", content="new"), item(tmp_path / "b", content="new"))
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a"]


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".a.holdfast-new").write_text("half", encoding="utf-8")
    bring(item(tmp_path / "a", content="whole"))
    assert (names(tmp_path), (tmp_path / "a").read_text(encoding="utf-8")) == (["a"], "whole")


def test_a_link_in_the_place_of_a_file_is_replaced_and_what_it_leads_to_is_untouched(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("theirs", encoding="utf-8")
    (tmp_path / "a").symlink_to(other)
    bring(item(tmp_path / "a", content="ours"))
    assert not (tmp_path / "a").is_symlink()
    assert other.read_text(encoding="utf-8") == "theirs"


@pytest.mark.parametrize("state", ["file", "absent", "link"])
def test_a_folder_is_never_removed(tmp_path: Path, state: str) -> None:
    (tmp_path / "d/inside").mkdir(parents=True)
    more = {"file": {"content": ""}, "link": {"src": "x"}}.get(state, {})
    with pytest.raises(FilesError, match=r"is a folder, and .* remove it by hand. Nothing was changed"):
        bring(item(tmp_path / "d", state=state, **more))
    assert (tmp_path / "d/inside").is_dir()


def test_a_link_to_a_folder_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "d").symlink_to("real")
    assert bring(item(tmp_path / "d", state="directory", mode="0700")) == [str(tmp_path / "d")]
    assert (tmp_path / "d").is_symlink()
    assert mode(tmp_path / "real") == "0700"


def test_a_folder_that_is_missing_is_named_and_in_check_mode_expected(tmp_path: Path) -> None:
    wanted = item(tmp_path / "missing/a", content="x")
    with pytest.raises(
        FilesError, match=r"has no folder to be in; let .*/missing with state directory stand before it"
    ):
        found(wanted)
    assert [step.path.name for step in found(wanted, check_mode=True)] == ["a"]


def test_a_user_who_is_missing_is_named_and_in_check_mode_expected(tmp_path: Path) -> None:
    wanted = item(tmp_path / "a", content="x", owner="holdfast-nobody")
    with pytest.raises(FilesError, match=r"the user holdfast-nobody, who is not there"):
        found(wanted)
    assert [step.path.name for step in found(wanted, check_mode=True)] == ["a"]


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    found(item(tmp_path / "d", state="directory"), item(tmp_path / "d/a", content="x"), check_mode=True)
    assert names(tmp_path) == []


def test_the_difference_shows_text_and_never_a_secret(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("old secret", encoding="utf-8")
    (tmp_path / "s").chmod(0o644)
    (tmp_path / "a").write_text("old", encoding="utf-8")
    shown = list(
        differences(found(item(tmp_path / "s", secret_content="new secret"), item(tmp_path / "a", content="new")))
    )
    assert [entry["before"] for entry in shown[:1]] == ["(secret)\n"]
    assert [entry["after"] for entry in shown[:1]] == ["(secret differs)\n"]
    assert (shown[1]["before"].splitlines()[0], shown[1]["after"].splitlines()[0]) == ("mode: 0644", "mode: 0600")
    assert (shown[2]["before"], shown[2]["after"]) == ("old", "new")
    assert "secret" not in str(shown).replace("(secret)", "").replace("(secret differs)", "").replace(str(tmp_path), "")


def test_the_label_of_the_final_path_is_given_to_what_is_new(tmp_path: Path) -> None:
    labels: list[tuple[str, str]] = []
    those = found(item(tmp_path / "d", state="directory"), item(tmp_path / "d/a", content="x"))
    Change(those, lambda argv: (0, "", ""), lambda temporary, final: labels.append((temporary, final))).run()
    folder = str(tmp_path / "d")
    assert labels == [(folder, folder), (f"{folder}/.a.holdfast-new", f"{folder}/a")]


def test_a_run_that_is_killed_anywhere_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    """The process is ended before each of its calls to the system in turn; what is on the disk is read afterwards."""
    calls = ("open", "fchown", "fchmod", "write", "fsync", "replace", "unlink", "close")
    seen = set()
    for stop in range(40):
        for name in ("a", "b"):
            (tmp_path / name).write_text("old" * 1000, encoding="utf-8")
        child = os.fork()
        if child == 0:
            left = iter(range(stop))
            for call in calls:
                _end_before(call, left)
            bring(item(tmp_path / "a", content="new" * 1000), item(tmp_path / "b", secret_content="new" * 1000))
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        texts = [(tmp_path / name).read_text(encoding="utf-8") for name in ("a", "b")]
        assert set(texts) <= {"old" * 1000, "new" * 1000}
        seen.add(tuple(text[:3] for text in texts))
        if status == 0:
            break
    assert status == 0, "the last run must have come to its end"
    assert seen == {("old", "old"), ("new", "old"), ("new", "new")}


def _end_before(call: str, left: Iterator[int]) -> None:
    real = getattr(os, call)

    def counted(*arguments: Any, **more: Any) -> Any:
        if next(left, None) is None:
            os._exit(9)
        return real(*arguments, **more)

    setattr(os, call, counted)
