# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls of dev-sec's Linux baseline by their ids (github.com/dev-sec/linux-baseline), asked in our own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from .model import Control, Facts, Judge, each, parameter

YES, NO = ("1",), ("0",)

# Programs with the rights of others that a server has no use for.
UNWANTED = {
    *("/usr/bin/rcp", "/usr/bin/rlogin", "/usr/bin/rsh", "/sbin/netreport", "/usr/sbin/usernetctl"),
    *("/usr/sbin/userisdnctl", "/usr/sbin/pppd", "/usr/bin/lockfile", "/usr/bin/mail-lock", "/usr/bin/mail-unlock"),
    *("/usr/bin/mail-touchlock", "/usr/bin/dotlockfile", "/usr/bin/arping", "/usr/sbin/arping", "/usr/sbin/uuidd"),
    *("/usr/bin/mtr", "/usr/lib/pt_chown", "/usr/lib/eject/dmcrypt-get-device"),
    *("/usr/lib/openssh/ssh-keysign", "/usr/libexec/openssh/ssh-keysign"),
}
CRON = ("/etc/crontab", *(f"/etc/cron.{when}" for when in ("d", "hourly", "daily", "weekly", "monthly")))
FILE_SYSTEMS = ("cramfs", "freevxfs", "jffs2", "hfs", "hfsplus", "squashfs", "udf")
NO_PROGRAMS = ("/boot", "/dev", "/dev/shm", "/tmp", "/var/log", "/var/log/audit", "/var/tmp")
NO_RIGHTS = (*NO_PROGRAMS, "/home", "/run", "/var")
NO_DEVICES = tuple(place for place in NO_RIGHTS if place != "/dev")


def owned(facts: Facts, path: str, group: str, modes: tuple[int, ...]) -> str:
    """Root's, of that group, with one of those modes."""
    seen = facts.file(path)
    if not seen:
        return f"{path} is not there"
    right = seen["owner"] == "root" and seen["group"] == group and seen["mode"] in modes
    return "" if right else f"{path} is {seen['owner']}:{seen['group']} {seen['mode']:04o}"


def login_defs(facts: Facts) -> str:
    lines = [line.split(None, 1) for line in facts.seen["login_defs"].splitlines() if line and line[0].isalpha()]
    there = {words[0]: words[1].strip() for words in lines if len(words) == 2}
    wanted = {"UMASK": "027", "PASS_MAX_DAYS": "60", "PASS_MIN_DAYS": "7", "PASS_WARN_AGE": "7"}
    wanted |= {"LOGIN_RETRIES": "5", "LOGIN_TIMEOUT": "60", "UID_MIN": "1000", "GID_MIN": "1000"}
    wrong = [f"{key} is {there.get(key)}" for key, value in wanted.items() if there.get(key) != value]
    for key, folders in (("ENV_SUPATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("ENV_PATH", "/usr/bin:/bin")):
        wrong += [] if folders in there.get(key, "") else [f"{key} is {there.get(key)}"]
    return ", ".join([*filter(None, [owned(facts, "/etc/login.defs", "root", (0o644, 0o444))]), *wrong])


def cron(facts: Facts, path: str) -> str:
    return owned(facts, path, "root", (0o600, 0o700)) if facts.file(path) else ""


def twice(facts: Facts) -> str:
    ids = Counter(fields[2] for fields in facts.seen["accounts"]) | Counter(f"g{f[2]}" for f in facts.seen["groups"])
    return ", ".join(f"{number} is given twice" for number, count in ids.items() if count > 1)


def cannot_load(facts: Facts, name: str) -> str:
    lines = [line.split() for line in facts.seen["modprobe"].splitlines()]
    never = any(words[:2] == ["install", name] and words[2:3] in (["/bin/false"], ["/bin/true"]) for words in lines)
    return "" if never else f"{name} can be loaded"


def file_systems(facts: Facts) -> str:
    # A machine that starts by EFI reads its boot partition with vfat.
    names = (*FILE_SYSTEMS, *(() if facts.seen["efi"] else ("vfat",)))
    return each(cannot_load, names)(facts)


def has_option(option: str) -> Callable[[Facts, Any], str]:
    def asked(facts: Facts, place: Any) -> str:
        options = facts.mount(place)
        return f"{place} is mounted without {option}" if options and option not in options else ""

    return asked


def audit(facts: Facts) -> str:
    if not facts.installed("auditd"):
        return "auditd is not installed"
    lines = [line.partition("=") for line in facts.seen["auditd"].splitlines()]
    there = {key.strip(): value.strip().upper() for key, _, value in lines}
    wanted = {"log_file": "/VAR/LOG/AUDIT/AUDIT.LOG", "log_format": "RAW", "max_log_file_action": "KEEP_LOGS"}
    wanted |= {"space_left": "75", "space_left_action": "SYSLOG", "action_mail_acct": "ROOT"}
    wanted |= {"admin_space_left": "50", "admin_space_left_action": "SUSPEND"}
    wanted |= {"disk_full_action": "SUSPEND", "disk_error_action": "SUSPEND"}
    wrong = [f"{key} is {there.get(key)}" for key, value in wanted.items() if there.get(key) != value]
    return ", ".join(
        wrong + ([] if there.get("flush", "").startswith("INCREMENTAL") else [f"flush is {there.get('flush')}"])
    )


def absent(*packages: str) -> Judge:
    return lambda facts: ", ".join(f"{name} is installed" for name in packages if facts.installed(name))


def shadow_passwords(facts: Facts) -> str:
    return ", ".join(f"{fields[0]} has a hash" for fields in facts.seen["accounts"] if fields[1] not in ("x", "*"))


def processors(facts: Facts) -> str:
    return "; ".join(f"{name}: {said}" for name, said in facts.seen["weaknesses"].items() if "ulnerable" in said)


def log_folder(facts: Facts) -> str:
    seen = facts.file("/var/log")
    return "" if seen["folder"] and seen["owner"] == "root" and seen["group"] in ("root", "syslog") else str(seen)


OS = (
    Control("os-01", "no host is trusted by name", lambda f: "there is one" if f.file("/etc/hosts.equiv") else ""),
    Control("os-02", "password hashes are root's", lambda f: owned(f, "/etc/shadow", "shadow", (0o640,))),
    Control("os-03", "accounts are root's to change", lambda f: owned(f, "/etc/passwd", "root", (0o644,))),
    Control("os-03b", "no hash lies among the accounts", shadow_passwords),
    Control(
        "os-04",
        "programs are not looked for where one is",
        lambda f: "it is" if {"", "."} & set(f.seen["path"]) else "",
    ),
    Control("os-05", "new accounts and logins are bounded", login_defs),
    Control(
        "os-06", "no needless program has others' rights", lambda f: ", ".join(UNWANTED & set(f.seen["privileged"]))
    ),
    Control("os-07", "no number means two accounts or groups", twice),
    Control(
        "os-08",
        "there is randomness",
        # A kernel from 5.18 on counts to 256 and then has enough for ever.
        lambda f: "" if f.seen["entropy"] >= 256 else f"only {f.seen['entropy']} bits",
    ),
    Control("os-09", "no home trusts hosts or keeps passwords", lambda f: ", ".join(f.seen["trusting"])),
    Control("os-10", "file systems that nobody uses cannot be loaded", file_systems),
    Control("os-11", "the folder of logs is root's", log_folder),
    Control("os-12", "the processor's known weaknesses are mended", processors),
    Control("os-13", "what is run by the clock is root's alone", each(cron, CRON)),
    Control("os-14", "no programs start where only data belongs", each(has_option("noexec"), NO_PROGRAMS)),
    Control("os-15", "no program gains rights where only data belongs", each(has_option("nosuid"), NO_RIGHTS)),
    Control("os-16", "no devices where only data belongs", each(has_option("nodev"), NO_DEVICES)),
)
PACKAGES = (
    Control("package-01", "no inetd", absent("inetd", "xinetd", "openbsd-inetd")),
    Control("package-02", "no telnet server", absent("telnetd", "telnetd-ssl", "inetutils-telnetd")),
    Control("package-03", "no rsh server", absent("rsh-server", "rsh-redone-server")),
    Control("package-05", "no NIS server", absent("ypserv", "nis")),
    Control("package-06", "no TFTP server", absent("tftp-server", "tftpd", "tftpd-hpa")),
    Control("package-07", "a syslog server", lambda f: "" if f.installed("rsyslog") else "rsyslog is not installed"),
    Control("package-08", "auditd, set up to keep what it saw", audit),
    Control("package-09", "no prelink", absent("prelink")),
)
SYSCTL = (
    # The baseline lets these two be where a host is meant to forward, as a node of Kubernetes is.
    Control(
        "sysctl-01",
        "forwards as a node must",
        parameter(net__ipv4__ip_forward=YES, net__ipv4__conf__all__forwarding=YES),
    ),
    Control(
        "sysctl-02",
        "strict about where packets come from",
        parameter(net__ipv4__conf__all__rp_filter=YES, net__ipv4__conf__default__rp_filter=YES),
    ),
    Control("sysctl-03", "bogus errors are not logged", parameter(net__ipv4__icmp_ignore_bogus_error_responses=YES)),
    Control("sysctl-04", "no echo to broadcasts", parameter(net__ipv4__icmp_echo_ignore_broadcasts=YES)),
    Control("sysctl-05", "errors are sent slowly", parameter(net__ipv4__icmp_ratelimit=("100",))),
    Control("sysctl-06", "which errors are sent slowly", parameter(net__ipv4__icmp_ratemask=("88089",))),
    Control("sysctl-07", "no TCP timestamps", parameter(net__ipv4__tcp_timestamps=NO)),
    Control("sysctl-08", "answers for an address where it is", parameter(net__ipv4__conf__all__arp_ignore=("1", "2"))),
    Control("sysctl-09", "asks from the best address", parameter(net__ipv4__conf__all__arp_announce=("2",))),
    Control("sysctl-10", "no assassinated TIME-WAIT", parameter(net__ipv4__tcp_rfc1337=YES)),
    Control("sysctl-11", "SYN cookies", parameter(net__ipv4__tcp_syncookies=YES)),
    Control(
        "sysctl-12",
        "shared media",
        parameter(net__ipv4__conf__all__shared_media=YES, net__ipv4__conf__default__shared_media=YES),
    ),
    Control(
        "sysctl-13",
        "no source routes",
        parameter(
            net__ipv4__conf__all__accept_source_route=NO,
            net__ipv4__conf__default__accept_source_route=NO,
            net__ipv6__conf__all__accept_source_route=NO,
            net__ipv6__conf__default__accept_source_route=NO,
        ),
    ),
    Control(
        "sysctl-14",
        "follows no redirects",
        parameter(net__ipv4__conf__all__accept_redirects=NO, net__ipv4__conf__default__accept_redirects=NO),
    ),
    Control(
        "sysctl-15",
        "nor those of gateways",
        parameter(net__ipv4__conf__all__secure_redirects=NO, net__ipv4__conf__default__secure_redirects=NO),
    ),
    Control(
        "sysctl-16",
        "sends no redirects",
        parameter(net__ipv4__conf__all__send_redirects=NO, net__ipv4__conf__default__send_redirects=NO),
    ),
    Control(
        "sysctl-17",
        "logs impossible addresses",
        parameter(net__ipv4__conf__all__log_martians=YES, net__ipv4__conf__default__log_martians=YES),
    ),
    Control("sysctl-19", "forwards no IPv6 by itself", parameter(net__ipv6__conf__all__forwarding=NO)),
    Control(
        "sysctl-20",
        "follows no IPv6 redirects",
        parameter(net__ipv6__conf__all__accept_redirects=NO, net__ipv6__conf__default__accept_redirects=NO),
    ),
    Control("sysctl-21", "asks no routers", parameter(net__ipv6__conf__default__router_solicitations=NO)),
    Control("sysctl-22", "takes no router's preference", parameter(net__ipv6__conf__default__accept_ra_rtr_pref=NO)),
    Control("sysctl-23", "takes no router's prefix", parameter(net__ipv6__conf__default__accept_ra_pinfo=NO)),
    Control("sysctl-24", "takes no router as default", parameter(net__ipv6__conf__default__accept_ra_defrtr=NO)),
    Control(
        "sysctl-25",
        "takes no router's word at all",
        parameter(net__ipv6__conf__all__accept_ra=NO, net__ipv6__conf__default__accept_ra=NO),
    ),
    Control("sysctl-26", "makes itself no IPv6 address", parameter(net__ipv6__conf__default__autoconf=NO)),
    Control(
        "sysctl-27", "does not wait before it uses an address", parameter(net__ipv6__conf__default__dad_transmits=NO)
    ),
    Control("sysctl-28", "one IPv6 address", parameter(net__ipv6__conf__default__max_addresses=YES)),
    Control("sysctl-29", "modules may be loaded, as k3s must", parameter(kernel__modules_disabled=NO)),
    Control("sysctl-30", "no magic keys", parameter(kernel__sysrq=NO)),
    Control("sysctl-31a", "no dumps of programs with others' rights", parameter(fs__suid_dumpable=("0", "2"))),
    Control(
        "sysctl-31b",
        "dumps go nowhere by chance",
        lambda f: (
            "" if f.parameter("kernel.core_pattern").lstrip("|").startswith("/") else f.parameter("kernel.core_pattern")
        ),
    ),
    Control("sysctl-32", "addresses are random", parameter(kernel__randomize_va_space=("2",))),
    Control(
        "sysctl-33",
        "data is no program",
        lambda f: "" if "nx" in f.seen["processor_flags"] else "the processor has no nx",
    ),
    Control(
        "sysctl-34",
        "links and pipes of others are not followed",
        parameter(
            fs__protected_fifos=("1", "2"),
            fs__protected_hardlinks=YES,
            fs__protected_regular=("2",),
            fs__protected_symlinks=YES,
        ),
    ),
)
CONTROLS = (*OS, *PACKAGES, *SYSCTL)
