# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup's file is, and that a changed, cut or foreign one is refused by a sentence. Sealing itself is age's."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._backup import (
    etcd,
    fitness,
    make,
    recover,
    restore,
    sealing,
    shelf,
)
from ansible_collections.holdfast.edge.plugins.module_utils._backup.collect import collect
from ansible_collections.holdfast.edge.plugins.module_utils._backup.controller import put_missing, seal_secrets
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError, disk_sentences
from ansible_collections.holdfast.edge.plugins.module_utils._backup.fetch import is_of
from ansible_collections.holdfast.edge.plugins.module_utils._backup.opening import open_node_part
from ansible_collections.holdfast.edge.plugins.module_utils._backup.settings import Settings
from ansible_collections.holdfast.edge.plugins.module_utils._backup.shape import (
    HEADER,
    NODE_PART,
    File,
    Header,
    Manifest,
    Writer,
    inspect,
    read_header,
)

HERE = Header("edge7", "node1", "2026-11-21T14:00:00Z", "3.6.14", "1.36.4+k3s1")

# Stands in for age, so that these tests need no bundle: "seals" by turning every bit, behind the recipient's name.
AGE = """#!/bin/sh
if [ "$1" = --encrypt ]; then
  case "$3" in age1*) ;; *) echo "age: error: malformed recipient" >&2; exit 1;; esac
  printf '%s\\n' "$3"; exec tr '\\000-\\377' '\\200-\\377\\000-\\177'
fi
read -r wanted; key=$(cat "$3")
[ "$key" = "$wanted" ] || { echo "age: error: no identity matched any of the recipients" >&2; exit 1; }
exec tr '\\000-\\377' '\\200-\\377\\000-\\177'
"""


@pytest.fixture
def age(tmp_path: Path) -> str:
    program = tmp_path / "age"
    program.write_text(AGE, encoding="utf-8")
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def settings(tmp_path: Path, age: str) -> Settings:
    server = tmp_path / "k3s/server"
    (server / "tls/etcd").mkdir(parents=True)
    (server / "cred").mkdir()
    (server / "token").write_text("K10abc::server:secret\n", encoding="utf-8")
    (server / "tls/server-ca.crt").write_text("CA", encoding="utf-8")
    (server / "cred/passwd").write_text("pw", encoding="utf-8")
    os.utime(server / "cred/passwd", (1_000_000, 1_000_000))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.yaml").write_text("a: 1\n", encoding="utf-8")
    (tmp_path / "etc/client.key").write_text("leaf", encoding="utf-8")
    return Settings(
        site="edge7",
        node="node1",
        nodes={"node1": "10.0.0.11"},
        recipients=("age1x",),
        folder=tmp_path / "backups",
        age=age,
        k3s_data=tmp_path / "k3s",
        configuration=(str(tmp_path / "etc"),),
    )


def written(settings: Settings, header: Header = HERE, controller: bytes = b"") -> Path:
    """A backup as make.py writes it, of a snapshot that is none."""
    settings.folder.mkdir(exist_ok=True)
    snapshot = settings.folder.parent / "snapshot.db"
    snapshot.write_bytes(b"keys and values" * 1000)
    member = etcd.Member("https://10.0.0.11:2379", "3.6.14", 1, False, False, 7, "c", "m")
    contents = collect(settings)
    manifest = make.manifest_of(settings, header, member, etcd.Snapshot(snapshot, "h", 7, 3, 15_000), contents)
    path = settings.folder / header.name
    make._write(settings, path, manifest, contents, snapshot, controller)
    return path


def test_what_was_sealed_comes_out_as_it_was(settings: Settings, tmp_path: Path) -> None:
    path = written(settings)
    assert path.name == "edge7-20261121T140000Z-node1.backup.tar"
    out = tmp_path / "out"
    out.mkdir()
    manifest = open_node_part(settings.age, b"age1x", inspect(path), out)
    assert manifest.header == HERE
    assert (out / "k3s/token").read_text(encoding="utf-8") == "K10abc::server:secret\n"
    assert (out / "etcd/snapshot.db").stat().st_size == 15_000
    assert {file.path: file.mtime for file in manifest.files}["k3s/server/cred/passwd"] == 1_000_000
    names = [file.path for file in manifest.files]
    assert f"configuration{tmp_path}/etc/config.yaml" in names
    assert not any(name.endswith("client.key") for name in names), "keys of leaves are made anew"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in settings.folder.iterdir()] == [path.name]


def test_nothing_secret_is_readable_in_the_file(settings: Settings) -> None:
    content = written(settings).read_bytes()
    assert b"secret" not in content
    assert b"keys and values" not in content


def test_it_is_a_tar_that_other_tars_read(settings: Settings) -> None:
    with tarfile.open(written(settings, controller=b"sealed")) as tar:
        assert tar.getnames() == ["backup.json", "node.tar.age", "controller.tar.age", "SHA256SUMS"]


def cut(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


def cut_short_of_its_end(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 4096)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cut, "is damaged|is cut short"),
        (cut_short_of_its_end, "is damaged|is cut short"),
        (flip, "was changed or is damaged: node.tar.age"),
        (nothing, "cannot be read as a backup|is not a backup"),
    ],
)
def test_a_damaged_backup_is_refused(settings: Settings, damage: Callable[[Path], None], sentence: str) -> None:
    path = written(settings)
    damage(path)
    with pytest.raises(BackupError, match=sentence) as caught:
        inspect(path)
    assert "Nothing was changed" in str(caught.value) or "is not a backup" in str(caught.value)


def test_another_identity_is_told_apart_from_a_damaged_file(settings: Settings) -> None:
    with pytest.raises(BackupError, match="is not sealed for the identity that was given"):
        open_node_part(settings.age, b"age1other", inspect(written(settings)))


def test_a_header_that_was_exchanged_is_refused(settings: Settings) -> None:
    path = written(settings)
    sealed = inspect(path)
    with (settings.folder / "other.backup.tar").open("w+b") as stream:
        writer = Writer(stream)
        writer.add(HEADER, replace(HERE, site="edge8").render())
        writer.add(NODE_PART, b"".join(sealed.blocks(NODE_PART)))
        writer.finish()
    with pytest.raises(BackupError, match="outside its seal is not what it says inside"):
        open_node_part(settings.age, b"age1x", inspect(settings.folder / "other.backup.tar"))


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x"])
def test_a_manifest_that_leads_outside_is_refused(path: str) -> None:
    manifest = Manifest(HERE, {}, {}, {}, (File(path, 1, "0" * 64),))
    with pytest.raises(BackupError, match=r"was refused: its manifest.json names"):
        Manifest.parse(manifest.render(), "x.backup.tar")


def test_a_later_format_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.backup.tar"
    with path.open("w+b") as stream:
        writer = Writer(stream)
        writer.add(HEADER, json.dumps({"format": 2}).encode())
        writer.finish()
    with pytest.raises(BackupError, match="has format 2, and this version of Holdfast reads 1"):
        read_header(path)


def test_a_recipient_that_is_none_leaves_no_file(settings: Settings) -> None:
    with pytest.raises(BackupError, match="age refused a recipient of backup_age_recipients"):
        written(replace(settings, recipients=("AGE-SECRET-KEY-1",)))
    assert list(settings.folder.iterdir()) == []


def test_a_missing_age_says_where_it_comes_from(settings: Settings) -> None:
    with pytest.raises(BackupError, match="It comes with the bundle"):
        written(replace(settings, age="/nowhere/age"))


def test_a_full_disk_is_one_sentence() -> None:
    with (
        pytest.raises(BackupError, match=r"no space is left on the disk that holds /x\. Earlier backups are untouched"),
        disk_sentences("/x", "Writing a backup"),
    ):
        raise sealing._sealing_failed("write: no space left on device")


def test_a_node_without_a_token_makes_no_backup(settings: Settings) -> None:
    (settings.k3s_data / "server/token").unlink()
    with pytest.raises(BackupError, match=r"has no .*server/token"):
        collect(settings)


def test_only_the_newest_stay_and_other_sites_are_left_alone(settings: Settings) -> None:
    made = [written(settings, replace(HERE, created=f"2026-11-2{day}T14:00:00Z")) for day in (1, 2, 3)]
    other = written(settings, replace(HERE, site="edge8", created="2026-11-20T14:00:00Z"))
    assert shelf.prune(settings.folder, "edge7", 2, dry=True) == [made[0]]
    assert made[0].exists()
    assert shelf.prune(settings.folder, "edge7", 2) == [made[0]]
    assert [entry.path for entry in shelf.kept(settings.folder)] == [made[2], made[1], other]


def test_settings_with_a_misspelt_key_are_refused() -> None:
    with pytest.raises(BackupError, match="recipient is unknown, recipients is missing"):
        Settings.parse({"site": "s", "node": "n", "nodes": {"n": "1"}, "recipient": ["age1"]})


@pytest.mark.parametrize(
    ("leaders", "own", "chosen"),
    [((True, False, False), "a", "b"), ((False, True, False), "c", "c"), ((True,), "a", "a")],
)
def test_a_snapshot_is_rather_not_taken_from_the_leader(leaders: tuple[bool, ...], own: str, chosen: str) -> None:
    found = [
        etcd.Member(f"https://{name}:2379", "3.6", 1, leader, False, 1, "c", name)
        for name, leader in zip("abc", leaders)
    ]
    best = etcd.choose(found, own)
    assert best is not None
    assert best.endpoint == f"https://{chosen}:2379"


def test_a_corrupt_member_or_a_learner_gives_no_snapshot() -> None:
    learner = etcd.Member("https://a:2379", "3.6", 1, False, True, 1, "c", "a")
    corrupt = etcd.Member("https://b:2379", "3.6", 1, False, False, 1, "c", "b", ("memberID:1 alarm:CORRUPT",))
    assert etcd.choose([learner, corrupt], "a") is None


def test_a_snapshot_proves_itself_by_the_sum_at_its_end(tmp_path: Path) -> None:
    import hashlib

    content = b"x" * 1024
    path = tmp_path / "snapshot.db"
    path.write_bytes(content + hashlib.sha256(content).digest())
    assert etcd.carries_its_sum(path)
    path.write_bytes(b"y" + content[1:] + hashlib.sha256(content).digest())
    assert not etcd.carries_its_sum(path)
    path.write_bytes(content)
    assert not etcd.carries_its_sum(path)


def test_files_of_k3s_come_back_with_their_times_and_another_ca_is_put_aside(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "stage"
    folder.mkdir()
    manifest = open_node_part(settings.age, b"age1x", inspect(written(settings)), folder)
    data = tmp_path / "blank"
    (data / "server/tls").mkdir(parents=True)
    (data / "server/tls/server-ca.crt").write_text("another CA", encoding="utf-8")
    (data / "server/tls/leaf.crt").write_text("signed by it", encoding="utf-8")
    placed = restore.restore_k3s(folder, manifest, data)
    assert str(data / "server/cred/passwd") in placed
    assert (data / "server/cred/passwd").stat().st_mtime == 1_000_000
    assert (data / "server/cred/passwd").stat().st_mode & 0o777 == 0o600
    assert (data / "server/tls/server-ca.crt").read_text(encoding="utf-8") == "CA"
    assert not (data / "server/tls/leaf.crt").exists()
    assert (data / "server/tls.before-restore/leaf.crt").exists()


def test_the_data_of_a_member_are_put_aside_and_its_cluster_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "facts.json"
    monkeypatch.setattr(restore, "FACTS", facts)
    data = tmp_path / "etcd"
    (data / "member/snap").mkdir(parents=True)
    facts.write_text(json.dumps({"cluster": "abc", "timing": "fast"}), encoding="utf-8")
    restore.forget_cluster()
    assert json.loads(facts.read_text(encoding="utf-8")) == {"timing": "fast"}
    assert restore.look(data, tmp_path / "k3s")["data"] == [str(data)]
    assert restore.put_aside(data)
    assert (data / ".before-restore/member/snap").is_dir()
    assert not facts.exists()
    assert not restore.put_aside(data)
    assert restore.look(data, tmp_path / "k3s")["data"] == []
    # A restore that was cut short is run again: what it made meanwhile must not take the place of what there was.
    (data / "member").mkdir()
    assert restore.put_aside(data)
    assert (data / ".before-restore/member/snap").is_dir()
    assert not list((data / ".before-restore-2/member").iterdir())


def test_a_recovery_that_is_run_again_keeps_the_first_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "etcd"
    (data / "member").mkdir(parents=True)
    (data / "member/wal").write_text("as it was", encoding="utf-8")
    (data / ".before-recovery.part").mkdir()

    def fails(*_given: object) -> int:
        (data / "member/wal").write_text("half a cluster of its own", encoding="utf-8")
        raise BackupError("it did not serve in time")

    monkeypatch.setattr(recover, "_once", fails)
    monkeypatch.setattr("shutil.chown", lambda *_given: None)
    monkeypatch.setattr(recover, "CONFIGURATION", tmp_path / "etcd.yml")
    (tmp_path / "etcd.yml").write_text("name: a\n", encoding="utf-8")
    for _run in range(2):
        with pytest.raises(BackupError, match="in time"):
            recover.recover(recover.Survivor("a", "https://a:2379", data), tmp_path / "work")
    assert (data / ".before-recovery/member/wal").read_text(encoding="utf-8") == "as it was"
    assert (data / ".before-recovery-2/member/wal").read_text(encoding="utf-8") == "half a cluster of its own"
    assert not (data / ".before-recovery.part").exists()


@pytest.mark.parametrize(("token", "password"), [("K10ab::server:pw\n", "pw"), ("pw\n", "pw"), ("a:b", "a:b")])
def test_the_password_of_a_token_is_found_in_each_form(token: str, password: str) -> None:
    assert restore.password_of(token) == password


@pytest.mark.parametrize(
    ("present", "wanted", "fits"),
    [
        ("3.6.14", "3.6.2", True),
        ("3.5.33", "3.6.14", True),
        ("3.6.14", "3.5.33", False),
        ("1.35.8+k3s1", "1.37.0+k3s1", False),
        ("", "3.6.14", True),
    ],
)
def test_data_are_read_by_their_own_minor_and_by_the_next(present: str, wanted: str, fits: bool) -> None:
    assert (fitness.step("etcd", present, wanted) == "") == fits


def test_a_backup_of_another_site_is_refused_unless_it_is_asked_for() -> None:
    manifest = Manifest(HERE, {}, {"version": "3.6.14"}, {"version": "1.36.4+k3s1"})
    (fault,) = fitness.faults(manifest, "edge8", False, "3.6.14", "1.36.4+k3s1")
    assert fault.startswith("the backup is of the site edge7, and this is edge8")
    assert list(fitness.faults(manifest, "edge8", True, "3.6.14", "1.36.4+k3s1")) == []


def test_the_controllers_secrets_come_back_only_where_they_are_missing(age: str, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    (folder / "etcd").mkdir(parents=True)
    (folder / "etcd/ca.key").write_text("old", encoding="utf-8")
    (folder / "backup-identity").write_text("$ANSIBLE_VAULT;", encoding="utf-8")
    assert b"old" not in seal_secrets(age, ["age1x"], folder)
    new = tmp_path / "new"
    new.mkdir()
    (new / "k3s-token").write_text("mine", encoding="utf-8")
    assert put_missing(new, {"etcd/ca.key": b"old", "k3s-token": b"theirs"}) == ["etcd/ca.key"]
    assert (new / "k3s-token").read_text(encoding="utf-8") == "mine"
    assert (new / "etcd/ca.key").stat().st_mode & 0o777 == 0o600


def test_the_backups_of_a_site_are_told_from_those_of_one_whose_name_begins_alike() -> None:
    assert is_of("edge", "edge-20261121T140000Z-n1.backup.tar")
    assert not is_of("edge", "edge-2-20261121T140000Z-n1.backup.tar")


def test_the_file_system_of_a_path_is_that_of_the_innermost_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/x / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/y /run/data ext4 rw 0 0\n", encoding="utf-8")
    assert make.file_system_of(Path("/run/a"), mounts) == "tmpfs"
    assert make.file_system_of(Path("/run/data/a"), mounts) == "ext4"
    assert make.file_system_of(Path("/running"), mounts) == "ext4"
