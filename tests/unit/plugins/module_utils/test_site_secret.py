# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret is made once, is for its user alone, and is sealed as soon as something can seal it."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._site_secret import (
    PLACEHOLDER,
    Secret,
    SecretError,
    Wish,
    made,
    obtain,
)

HEAD = b"$ANSIBLE_VAULT;1.1;AES256\n"


def seal(plain: bytes) -> bytes:
    return HEAD + base64.b64encode(plain)


def unseal(sealed: bytes) -> bytes:
    return base64.b64decode(sealed.removeprefix(HEAD))


def ask(folder: Path, sealing: bool = False, check_mode: bool = False, **more: object) -> Secret:
    return obtain(Wish(folder, "token", **more), seal if sealing else None, unseal, check_mode)  # type: ignore[arg-type]


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:04o}"


def test_it_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep/er"
    first, second = ask(folder), ask(folder)
    assert (first.changed, second.changed, first.exists) == (True, False, True)
    assert first.value == second.value
    assert (mode(tmp_path / "deep"), mode(folder), mode(folder / "token")) == ("0700", "0700", "0600")


@pytest.mark.parametrize(("kind", "letters"), [("token", "0123456789abcdef"), ("password", None)])
def test_the_kinds_have_their_letters(kind: str, letters: str | None) -> None:
    values = {made(kind, 24) for _number in range(20)}
    assert len(values) == 20
    assert all(len(value) == 24 and value.isalnum() for value in values)
    assert letters is None or set("".join(values)) <= set(letters)


def test_bytes_are_base64_of_as_many_bytes() -> None:
    assert len(base64.b64decode(made("bytes", 32), validate=True)) == 32


def test_check_mode_writes_nothing_and_says_so(tmp_path: Path) -> None:
    secret = ask(tmp_path / "new", check_mode=True)
    assert (secret.value, secret.exists, secret.changed) == (PLACEHOLDER, False, True)
    assert not (tmp_path / "new").exists()


def test_check_mode_gives_what_is_there(tmp_path: Path) -> None:
    value = ask(tmp_path / "s").value
    assert ask(tmp_path / "s", check_mode=True) == Secret(value, tmp_path / "s/token", exists=True, changed=False)


def test_a_value_that_is_given_replaces_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    ask(folder)
    given = ask(folder, value="of-my-own\n")
    assert (given.value, given.changed) == ("of-my-own", True)
    assert not ask(folder, value="of-my-own").changed
    assert ask(folder).value == "of-my-own"


def test_a_text_of_several_lines_comes_back_as_it_was(tmp_path: Path) -> None:
    text = "-----BEGIN\nabc\n-----END\n"
    assert ask(tmp_path / "s", value=text).value == text
    assert ask(tmp_path / "s", value=text) == Secret(text, tmp_path / "s/token", exists=True, changed=False)


def test_it_is_sealed_as_soon_as_a_run_can(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    value = ask(folder).value
    assert (folder / "token").read_text(encoding="utf-8") == value
    assert ask(folder, sealing=True).changed
    assert value.encode() not in (folder / "token").read_bytes()
    again = ask(folder, sealing=True)
    assert (again.value, again.changed) == (value, False)


def test_one_that_others_may_read_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    ask(folder)
    (folder / "token").chmod(0o644)
    assert ask(folder).changed
    assert mode(folder / "token") == "0600"
    assert not ask(folder).changed


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SecretError, match=r"can be written by others.*chmod 700"):
        ask(tmp_path)


@pytest.mark.parametrize("name", ["", "../token", "a/b", ".hidden", "a b"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecretError, match="is no name for a secret"):
        obtain(Wish(tmp_path, name), None, unseal)


def test_one_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="can be guessed"):
        ask(tmp_path / "s", length=8)


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    ask(folder)
    (folder / "token").write_text("\n", encoding="utf-8")
    with pytest.raises(SecretError, match=r"is empty. Bring it back from a backup"):
        ask(folder)


def test_many_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    answers: list[Secret] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(tmp_path / "s"))) for _number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.value for answer in answers}) == 1
    assert sum(answer.changed for answer in answers) == 1
