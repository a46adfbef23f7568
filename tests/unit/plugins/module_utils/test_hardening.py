# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values, kernel parameters, units and what the look tells."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._found import ledger
from ansible_collections.holdfast.edge.plugins.module_utils._hardening import apply, kernel, look, reread, units
from ansible_collections.holdfast.edge.plugins.module_utils._hardening.apply import Wanted, bring
from ansible_collections.holdfast.edge.plugins.module_utils._hardening.errors import HardeningError
from ansible_collections.holdfast.edge.plugins.module_utils._hardening.settings import with_values

NOTHING = Wanted(modules=[], sysctl={}, values=[], units_off=[], units_on=[])


def quiet(_command: Sequence[str]) -> tuple[int, str, str]:
    return 0, "", ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("UMASK\t\t022\n", "UMASK 027\n"),
        ("UMASK\t\t027\n", "UMASK\t\t027\n"),
        ("# UMASK 022\n", "# UMASK 022\nUMASK 027\n"),
        ("UMASK 022 # why\nX 1\nUMASK 077\n", "UMASK 027\nX 1\n"),
        ("", "UMASK 027\n"),
    ],
)
def test_a_value_is_set_in_its_place_and_other_lines_stay(before: str, after: str) -> None:
    assert with_values(before, {"UMASK": "027"}) == after
    assert with_values(after, {"UMASK": "027"}) == after


def test_a_value_may_stand_behind_an_equals_sign() -> None:
    assert (
        with_values("num_logs = 5\nflush=NONE\n", {"num_logs": "8", "flush": "NONE"}, " = ")
        == "num_logs = 8\nflush=NONE\n"
    )


def sysctl(root: Path, **values: str) -> Path:
    for name, value in values.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value, encoding="utf-8")
    return root


def test_parameters_are_compared_as_the_kernel_prints_them(tmp_path: Path) -> None:
    root = sysctl(tmp_path, net__ipv4__ip_forward="1\n", net__ipv4__port_range="1024\t65535\n")
    seen = kernel.look({"net.ipv4.ip_forward": 1, "net.ipv4.port_range": "1024 65535", "net.none": 1}, root)
    assert [parameter.differs for parameter in seen] == [False, False, True]
    assert seen[2].value is None


def test_an_interface_with_a_dot_is_written_with_a_slash(tmp_path: Path) -> None:
    assert kernel.path_of("net.ipv4.conf.eth0/1.rp_filter", tmp_path) == tmp_path / "net/ipv4/conf/eth0.1/rp_filter"


def test_every_parameter_that_is_refused_is_named_and_the_others_are_set(tmp_path: Path) -> None:
    root = sysctl(tmp_path, kernel__panic="0\n")
    with pytest.raises(HardeningError, match=r"kernel\.none = 1 \(there is no such parameter in it\)"):
        kernel.load(kernel.look({"kernel.none": 1, "kernel.panic": 10}, root), root)
    assert (root / "kernel/panic").read_text(encoding="utf-8") == "10\n"


def test_modules_that_are_loaded_or_built_in_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "br_netfilter").mkdir()
    (tmp_path / "6.1").mkdir()
    (tmp_path / "6.1/modules.builtin").write_text("kernel/fs/overlayfs/over-lay.ko\n", encoding="utf-8")
    assert kernel.missing_modules(["br_netfilter", "over-lay"], tmp_path) == ("over-lay",)
    assert kernel.built_in(["over-lay", "x"], "6.1", tmp_path) == ("over-lay",)
    with pytest.raises(HardeningError, match=r"x \(not found\)"):
        kernel.load_modules(["x"], lambda _: (1, "", "not found\n"))


SHOWN = """Id=cups.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=gone.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
"""


def test_units_that_could_run_are_told_from_those_that_cannot() -> None:
    seen = units.look(["cups.service", "gone.service"], lambda _: (0, SHOWN, ""))
    assert [unit.can_run for unit in seen.values()] == [True, False]
    assert [unit.serves for unit in seen.values()] == [True, False]


def test_a_systemd_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(HardeningError, match="no bus"):
        units.look(["a.service"], lambda _: (1, "", "no bus"))


def test_without_writing_all_is_told_and_nothing_done(tmp_path: Path) -> None:
    path = tmp_path / "login.defs"
    path.write_text("UMASK 022\n", encoding="utf-8")
    asked: list[Sequence[str]] = []

    def systemd(command: Sequence[str]) -> tuple[int, str, str]:
        asked.append(command)
        return 0, SHOWN, ""

    values = [{"path": str(path), "values": {"UMASK": "027"}, "separator": " "}]
    readers = [{"command": ["reread"], "files": [str(path)]}]
    wanted = Wanted([], {}, values, ["cups.service", "gone.service"], [], readers, afterwards=[["reload", "it"]])
    outcome = bring(wanted, systemd, write=False)
    assert outcome.after == [f"{path}: UMASK 027", "cups.service: masked, inactive", "run reread", "run reload it"]
    assert path.read_text(encoding="utf-8") == "UMASK 022\n"
    assert [command[1] for command in asked] == ["show"]


def test_written_the_file_keeps_its_mode_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "login.defs"
    path.write_text("UMASK 022\n", encoding="utf-8")
    path.chmod(0o640)
    values = [{"path": str(path), "values": {"UMASK": "027"}, "separator": " "}]
    wanted = Wanted([], {}, values, [], [])
    found = tmp_path / "found"
    assert bring(wanted, quiet, write=True, found=found).changed
    assert path.stat().st_mode & 0o777 == 0o640
    assert not bring(wanted, quiet, write=True, found=found).changed
    assert not bring(NOTHING, quiet, write=True, found=found).changed


def test_what_was_there_is_noted_before_the_first_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is below /tmp is nobody's for long, and is not noted elsewhere.
    monkeypatch.setattr(ledger, "NOT_NOTED", ())
    monkeypatch.setattr(apply, "SYSTEM_UNITS", tmp_path / "units")
    path, found = tmp_path / "login.defs", tmp_path / "found"
    path.write_text("UMASK 022\n", encoding="utf-8")
    values = [{"path": str(path), "values": {"UMASK": "027"}, "separator": " "}]
    wanted = Wanted([], {}, values, ["cups.service"], [])
    bring(wanted, lambda _: (0, SHOWN, ""), write=False, found=found)
    assert not found.exists()
    for _time in range(2):
        bring(wanted, lambda _: (0, SHOWN, ""), write=True, found=found)
    noted = ledger.read(found).paths
    assert ledger.content_of(noted[str(path)], found) == b"UMASK 022\n"
    assert noted[str(tmp_path / "units/cups.service")].kind == "none"


def test_a_file_that_is_missing_is_an_error_but_not_in_a_look(tmp_path: Path) -> None:
    values = [{"path": str(tmp_path / "none"), "values": {"A": "1"}, "separator": " "}]
    assert bring(Wanted([], {}, values, [], []), quiet, write=False).changed
    with pytest.raises(HardeningError, match="is not there"):
        bring(Wanted([], {}, values, [], []), quiet, write=True, found=tmp_path / "found")


def test_a_command_that_fails_ends_with_its_own_words() -> None:
    with pytest.raises(HardeningError, match="augenrules --load failed: bad rule"):
        bring(
            Wanted([], {}, [], [], [], afterwards=[["augenrules", "--load"]]),
            lambda _: (1, "", "bad rule\n"),
            write=True,
        )


def test_a_command_is_due_until_it_has_read_the_file_whoever_changed_it(tmp_path: Path) -> None:
    path, stamps = tmp_path / "rules", tmp_path / "stamps"
    wanted = Wanted([], {}, [], [], [], [{"command": ["load", "it"], "files": [str(path)]}])

    def again(write: bool = True, code: int = 0) -> list[str]:
        found = tmp_path / "found"
        return bring(wanted, lambda _: (code, "", "bad rule"), write=write, found=found, stamps=stamps).after

    assert again() == [], "there is nothing to read"
    path.write_text("one\n", encoding="utf-8")
    with pytest.raises(HardeningError, match="load it failed: bad rule"):
        again(code=1)
    # A look notes nothing, and a run that ended before its command leaves it due.
    assert again(write=False) == again() == ["run load it"]
    assert again() == []
    moment = path.stat()
    time.sleep(0.01)
    path.write_text("two\n", encoding="utf-8")
    os.utime(path, ns=(moment.st_atime_ns, moment.st_mtime_ns))
    assert again() == ["run load it"], "its time of writing was set back"
    assert again() == []


def test_what_is_older_than_the_boot_was_read_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rules"
    path.write_text("one\n", encoding="utf-8")
    assert reread.due(["load"], [str(path)], tmp_path)
    monkeypatch.setattr(reread, "booted", lambda: time.time() + 1)
    assert not reread.due(["load"], [str(path)], tmp_path)


def test_a_boot_is_the_begin_of_the_first_process(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "stat").write_text("cpu 1 2\nbtime 1000\nprocesses 3\n", encoding="utf-8")
    hundred = 100 * os.sysconf("SC_CLK_TCK")
    fields = " ".join(["S"] + ["0"] * 18 + [str(hundred), "7"])
    (tmp_path / "1/stat").write_text(f"1 (init (or so)) {fields}\n", encoding="utf-8")
    assert reread.booted(tmp_path) == 1100
    assert 0 < reread.booted() < time.time()


def test_a_setting_that_is_overridden_is_told_with_the_value_that_holds() -> None:
    effective = look.effective_sshd("permitrootlogin without-password\nx11forwarding yes\nhostkey a\nhostkey b\n")
    wanted = {
        "PermitRootLogin": "prohibit-password",
        "X11Forwarding": "no",
        "HostKey": ["a", "b"],
        "DebianBanner": "no",
    }
    assert look.differing(wanted, effective) == {"X11Forwarding": "yes"}


def test_a_package_whose_files_were_left_behind_is_not_installed() -> None:
    said = "auditd config-files\nsudo installed\nnftables\n"
    assert look.missing_packages(["auditd", "sudo", "nftables"], ["q"], lambda _: (0, said, "")) == ("auditd",)


def test_a_firewall_that_was_changed_by_hand_is_seen(tmp_path: Path) -> None:
    (tmp_path / "run/holdfast").mkdir(parents=True)
    digest = hashlib.sha256(b"table\n").hexdigest()
    (tmp_path / "run/holdfast/firewall.sha256").write_text(f"{digest}  -\n", encoding="utf-8")
    assert look.firewall_loaded("inet holdfast", lambda _: (0, "table\n", ""), tmp_path)
    assert not look.firewall_loaded("inet holdfast", lambda _: (0, "table, changed\n", ""), tmp_path)
    assert not look.firewall_loaded("inet holdfast", lambda _: (1, "", "no such table"), tmp_path)


def test_guards_accounts_and_containers_are_read(tmp_path: Path) -> None:
    for name, text in {
        "sys/kernel/security/lsm": "capability,apparmor",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
        "run/systemd/container": "docker\n",
        "sys/fs/selinux/enforce": "1",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert look.security_modules(tmp_path) == ("capability", "apparmor")
    assert look.missing_accounts(["root", "keeper"], tmp_path) == ("keeper",)
    assert look.container(tmp_path) == "docker"
    assert look.enforcing(tmp_path)
