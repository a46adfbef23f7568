# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``python -m tests.hosts``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import distribution, engine, paths, sets, ssh, state, tiers
from .files import write_atomically
from .model import FAULTS, HostsError, Report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; an error that the operator can act on is one sentence and exit status 1."""
    options = _parser().parse_args(arguments)
    # A polite end from outside is treated as Ctrl-C is: what was being made is removed.
    signal.signal(signal.SIGTERM, _interrupt)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except HostsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next 'up' or 'down' of the same set puts things in order", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough, as in "list | head".
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description="Test hosts on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="make a set of hosts, repair it, or find it as it should be")
    up.add_argument("--name", default=sets.DEFAULT_NAME, help="the set (default: %(default)s)")
    up.add_argument("--count", type=int, help=f"how many hosts (default: {sets.DEFAULT_COUNT})")
    up.add_argument("--tier", help=f"{' or '.join(tiers.TIERS)} (default: container)")
    up.add_argument("--network", help="such as 10.77.0.0/24 (default: a free one)")
    up.add_argument("--memory", type=_positive, metavar="MB", help="memory of each host")
    up.add_argument("--cpus", type=_positive, help="processors of each host")
    up.add_argument("--disk", type=_positive, metavar="GB", help="data disk of each host")
    up.add_argument("--distribution", help=f"{', '.join(distribution.known())} (default: debian12)")
    up.add_argument("--inventory-file", type=Path, metavar="FILE", help="write a copy of the inventory here")
    _add_output(up)
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="remove sets of hosts, all of each and nothing else")
    down.add_argument("names", nargs="*", metavar="NAME", help="the sets")
    down.add_argument("--all", action="store_true", help="every set of this cache")
    _add_output(down)
    down.set_defaults(run=_down)

    prepare = commands.add_parser("prepare", help="make the engine and the image ready, so that 'up' is fast")
    prepare.add_argument("--tier", default="container", help=f"{' or '.join(tiers.TIERS)} (default: %(default)s)")
    prepare.add_argument("--distribution", default=distribution.DEFAULT_DISTRIBUTION, help="default: %(default)s")
    prepare.set_defaults(run=_prepare)

    commands.add_parser("list", help="show sets and hosts").set_defaults(run=_list)

    shell = commands.add_parser("ssh", help="open a shell on a host, or run a command there")
    shell.add_argument("name", metavar="NAME")
    shell.add_argument("host", metavar="HOST")
    shell.add_argument("remote", nargs=argparse.REMAINDER, metavar="COMMAND")
    shell.set_defaults(run=_ssh)

    fault = commands.add_parser("fault", help="break a host")
    fault.add_argument("name", metavar="NAME")
    fault.add_argument("host", metavar="HOST")
    fault.add_argument("fault", metavar="FAULT", help=", ".join(FAULTS))
    fault.add_argument("--rate", help="slow: the rate, such as 1mbit")
    fault.add_argument("--megabytes", help="fill: how many to leave free (default: 0)")
    fault.add_argument("--seconds", help="skew: how far to move the clock, may be negative")
    fault.set_defaults(run=_fault)

    heal = commands.add_parser("heal", help="undo every fault of a host, or of all hosts of a set")
    heal.add_argument("name", metavar="NAME")
    heal.add_argument("host", nargs="?", metavar="HOST")
    heal.set_defaults(run=_heal)

    listing = commands.add_parser("inventory", help="print where the Ansible inventory of a set is")
    listing.add_argument("name", metavar="NAME")
    listing.set_defaults(run=_inventory)

    machine = commands.add_parser("engine", help="start the container engine, or end the one that the test bed started")
    machine.add_argument("action", choices=("start", "stop"))
    machine.set_defaults(run=_engine)

    clean = commands.add_parser("clean", help="remove every set, the engine that was started, and all cached images")
    clean.set_defaults(run=_clean)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="show no progress, only the result")
    parser.add_argument("--json", action="store_true", help='print the result as JSON, with "changed"')


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _reporter(options: argparse.Namespace) -> Report:
    if getattr(options, "quiet", False):
        return sets.silent
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr, flush=True)

    return report


def _up(options: argparse.Namespace) -> int:
    started = time.monotonic()
    wish = sets.Wish(
        name=options.name,
        count=options.count,
        tier=options.tier,
        network=options.network,
        memory_mb=options.memory,
        cpus=options.cpus,
        disk_gb=options.disk,
        distribution=options.distribution,
    )
    outcome = sets.up(wish, _reporter(options))
    host_set = outcome.host_set
    if options.inventory_file is not None:
        write_atomically(options.inventory_file, host_set.inventory.read_text(encoding="utf-8"))
    seconds = round(time.monotonic() - started, 1)
    if options.json:
        facts = {
            "changed": outcome.changed,
            "message": outcome.sentence,
            "seconds": seconds,
            "network": host_set.network,
            "inventory": str(host_set.inventory),
            "hosts": {host.name: host.address for host in host_set.hosts},
        }
        print(json.dumps(facts))
    else:
        print(f"{'changed' if outcome.changed else 'unchanged'}: {outcome.sentence} ({seconds} s)")
    return 0


def _prepare(options: argparse.Namespace) -> int:
    sets.prepare(options.tier, options.distribution, _reporter(options))
    print(f"The tier {options.tier} is ready.")
    return 0


def _down(options: argparse.Namespace) -> int:
    names = state.names() if options.all else options.names
    if not names and not options.all:
        raise HostsError("Name the sets to remove, or say --all.")
    gone = [name for name in names if sets.down(name, _reporter(options))]
    sentence = f"{', '.join(gone)} removed." if gone else "There was nothing to remove."
    if options.json:
        print(json.dumps({"changed": bool(gone), "message": sentence}))
    else:
        print(f"{'changed' if gone else 'unchanged'}: {sentence}")
    return 0


def _list(_options: argparse.Namespace) -> int:
    table = [("SET", "TIER", "NETWORK", "HOST", "ADDRESS", "STATE", "FAULTS")]
    for record, alive, faults in sets.listed(lambda line: print(f"warning: {line}", file=sys.stderr)):
        half_made = "" if record.stage == state.READY else " (half-made)"
        for host in record.host_set.hosts:
            where = (record.host_set.name, record.host_set.tier, record.host_set.network)
            noted = " ".join(faults.get(host.name, [])) or "-"
            table.append((*where, host.name, host.address, alive[host.name] + half_made, noted))
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _ssh(options: argparse.Namespace) -> int:
    host_set = sets.load(options.name)
    remote = options.remote[1:] if options.remote[:1] == ["--"] else options.remote
    command = ssh.ssh_command(host_set, host_set.host(options.host), remote, batch=False)
    sys.stdout.flush()
    os.execvp(command[0], command)


def _fault(options: argparse.Namespace) -> int:
    given = {key: getattr(options, key) for key in ("rate", "megabytes", "seconds")}
    sets.inflict(options.name, options.host, options.fault, {key: text for key, text in given.items() if text})
    print(f"changed: {options.host}: {options.fault}. 'heal {options.name} {options.host}' undoes it.")
    return 0


def _heal(options: argparse.Namespace) -> int:
    sets.heal(options.name, options.host)
    print(f"changed: {options.host or options.name} is healed.")
    return 0


def _inventory(options: argparse.Namespace) -> int:
    path = sets.load(options.name).inventory
    if not path.exists():
        raise HostsError(f"{options.name} is half-made and has no inventory. Run 'up --name {options.name}' first.")
    print(path)
    return 0


def _engine(options: argparse.Namespace) -> int:
    report = _reporter(options)
    if options.action == "start":
        there = engine.answers()
        engine.ensure(report)
        print("unchanged: the container engine answers." if there else "changed: the container engine was started.")
    else:
        stopped = engine.stop(report)
        print("changed: the container engine was stopped." if stopped else "unchanged: the test bed started no engine.")
    return 0


def _clean(options: argparse.Namespace) -> int:
    report = _reporter(options)
    for name in state.names():
        sets.down(name, report)
    engine.remove_images(report)
    engine.stop(report)
    shutil.rmtree(paths.hosts_root(), ignore_errors=True)
    print("changed: every set, image and engine of the test bed is gone.")
    return 0
