# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a set of hosts: up, faults, heal, down. Each step may be repeated, and may follow a killed one."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from . import engine, fault_notes, inventory, networks, ssh, state, tiers
from .distribution import DEFAULT_DISTRIBUTION
from .files import write_atomically
from .locks import lock
from .model import FAULTS, Host, HostsError, HostSet, Report, Sizing

NAME = re.compile(r"[a-z]([a-z0-9-]{0,29}[a-z0-9])?")
DEFAULT_NAME = "demo"
DEFAULT_COUNT = 3


@dataclass(frozen=True)
class Wish:
    """What a person asks of a set; None leaves the choice to what is there already, or to the tier."""

    name: str = DEFAULT_NAME
    count: int | None = None
    tier: str | None = None
    network: str | None = None
    memory_mb: int | None = None
    cpus: int | None = None
    disk_gb: int | None = None
    distribution: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The set, whether anything was done to it, and a sentence that says so."""

    host_set: HostSet
    changed: bool
    sentence: str


def silent(_line: str) -> None:
    """Report to nobody."""


def up(wish: Wish, report: Report = silent) -> Outcome:
    """Make the set, or repair it, or find that it is there as it was asked for."""
    _check_name(wish.name)
    if wish.tier is not None:
        tiers.find(wish.tier, wish.distribution or DEFAULT_DISTRIBUTION)
    with _alone(wish.name):
        record = state.load(wish.name)
        if record is not None and record.stage == state.READY:
            _refuse_another_shape(record, wish)
            outcome = _find_alive(record, report)
            if outcome is not None:
                return outcome
            report(f"{wish.name}: some of its hosts are gone, so the set is made again.")
        elif record is not None:
            report(f"{wish.name}: an earlier 'up' was interrupted; what it left is removed first.")
        if record is not None:
            wish = _inherit(wish, record)
            tiers.find(record.host_set.tier, record.distribution).destroy(record.host_set)
            state.forget(wish.name)
        return _make(wish, report)


def prepare(tier: str = "container", distribution: str = DEFAULT_DISTRIBUTION, report: Report = silent) -> None:
    """Make all that a tier keeps in the cache, so that the first 'up' is as fast as the next."""
    found = tiers.find(tier, distribution)
    found.check(1, found.default_sizing)
    found.prepare(report)


def down(name: str, report: Report = silent) -> bool:
    """Remove all of the set; return whether there was anything of it."""
    _check_name(name)
    with _alone(name):
        try:
            record = state.load(name)
        except HostsError:
            record = None
        there = state.directory(name).exists()
        if record is not None:
            report(f"Removing {name} (usually 1 to 5 s).")
            tiers.find(record.host_set.tier, record.distribution).destroy(record.host_set)
        else:
            # Without a readable record the labels and places, which follow from the name, are all there is to go by.
            for tier in tiers.TIERS:
                if tier == "container" and not there and not engine.answers():
                    continue
                if tier == "container" or there:
                    tiers.find(tier).destroy(_nameless(name, tier))
        state.forget(name)
        return there


def load(name: str) -> HostSet:
    """Return the set of that name, made or half-made, or say which sets there are."""
    return _record(name).host_set


def listed(report: Report = silent) -> list[tuple[state.Record, dict[str, str], dict[str, list[str]]]]:
    """Return each set's record, the state of its hosts, and the faults that were done to them."""
    rows = []
    for name in state.names():
        try:
            record = state.load(name)
        except HostsError as error:
            report(str(error))
            continue
        if record is None:
            continue
        alive = tiers.find(record.host_set.tier, record.distribution).alive(record.host_set)
        rows.append((record, alive, fault_notes.read(record.host_set)))
    return rows


def inflict(name: str, host_name: str, fault: str, options: Mapping[str, str] | None = None) -> None:
    """Do one fault to one host of the set."""
    record = _record(name)
    host = record.host_set.host(host_name)
    if fault not in FAULTS:
        raise HostsError(f"There is no fault {fault}; the test bed knows {', '.join(FAULTS)}.")
    with _beside_others(name), _one_at_a_time(host):
        tiers.find(record.host_set.tier, record.distribution).inflict(record.host_set, host, fault, options or {})
        fault_notes.add(record.host_set, host, fault)


def heal(name: str, host_name: str | None = None) -> None:
    """Undo every fault of one host, or of all."""
    record = _record(name)
    hosts = record.host_set.hosts if host_name is None else (record.host_set.host(host_name),)
    with _beside_others(name):
        _heal_each(record, hosts)


@contextmanager
def session_set(name: str, count: int = DEFAULT_COUNT, tier: str = "container", **wish: object) -> Iterator[HostSet]:
    """Give tests a set of their own, and take it away whatever happens. More of a Wish may be given by name."""
    outcome = up(replace(Wish(name=name, count=count, tier=tier), **wish))  # type: ignore[arg-type] # replace checks it
    try:
        yield outcome.host_set
    finally:
        down(name)


def _make(wish: Wish, report: Report) -> Outcome:
    count = DEFAULT_COUNT if wish.count is None else wish.count
    if count < 1:
        raise HostsError(f"A set has at least one host; {count} were asked for.")
    distribution = wish.distribution or DEFAULT_DISTRIBUTION
    tier = tiers.find(wish.tier or "container", distribution)
    default = tier.default_sizing
    sizing = Sizing(
        memory_mb=wish.memory_mb or default.memory_mb,
        cpus=wish.cpus or default.cpus,
        disk_gb=wish.disk_gb or default.disk_gb,
    )
    if wish.network is not None:
        # Reserving comes later, under a lock; this only spares a person the wait for an image.
        networks.choose(wish.network, _used_networks(wish.name), count)
    tier.check(count, sizing)
    tier.prepare(report)
    record = _reserve(wish, tier.name, count, sizing, distribution)
    host_set = record.host_set
    try:
        ssh.make_key(host_set.key)
        tier.start(host_set, sizing, report)
        write_atomically(host_set.inventory, inventory.render(host_set))
        state.save(replace(record, stage=state.READY))
    except BaseException as error:
        report(f"{wish.name}: {type(error).__name__} in the middle; what was made is removed.")
        with _no_second_interrupt():
            tier.destroy(host_set)
            state.forget(wish.name)
        raise
    return Outcome(host_set, True, f"{wish.name} is up: {_summary(record)}.")


def _reserve(wish: Wish, tier: str, count: int, sizing: Sizing, distribution: str) -> state.Record:
    busy = "Another command has been choosing a network for a minute; nothing was made. Run this again."
    with lock("networks", busy=busy, wait_seconds=60):
        network = networks.choose(wish.network, _used_networks(wish.name), count)
        folder = state.directory(wish.name)
        hosts = tuple(
            Host(name=f"{wish.name}-{number}", address=address, tier=tier, set_name=wish.name)
            for number, address in enumerate(networks.addresses(network, count), start=1)
        )
        host_set = HostSet(wish.name, tier, str(network), hosts, folder, folder / "id_ed25519")
        record = state.Record(host_set, sizing, distribution, state.MAKING)
        state.save(record)
    return record


def _used_networks(but_for: str) -> list[networks.UsedNetwork]:
    # The most telling names first: a set's network is the engine's and the kernel's too.
    return [*state.reserved_networks(but_for), *engine.used_networks(), *networks.used_by_kernel()]


def _find_alive(record: state.Record, report: Report) -> Outcome | None:
    host_set = record.host_set
    alive = tiers.find(host_set.tier, record.distribution).alive(host_set)
    if "missing" in alive.values():
        return None
    with ThreadPoolExecutor(max_workers=max(1, len(host_set.hosts))) as pool:
        answering = list(
            pool.map(lambda host: alive[host.name] == "running" and ssh.answers(host_set, host), host_set.hosts)
        )
    silent_hosts = tuple(host for host, answers in zip(host_set.hosts, answering, strict=True) if not answers)
    if not silent_hosts:
        return Outcome(host_set, False, f"{host_set.name} is up already: {_summary(record)}. Nothing was changed.")
    report(
        f"{host_set.name}: {', '.join(host.name for host in silent_hosts)} did not answer; healing (a boot at most)."
    )
    _heal_each(record, silent_hosts)
    healed = ", ".join(host.name for host in silent_hosts)
    return Outcome(host_set, True, f"{host_set.name} is up again: {healed} healed, nothing else changed.")


def _heal_each(record: state.Record, hosts: tuple[Host, ...]) -> None:
    tier = tiers.find(record.host_set.tier, record.distribution)

    def heal_one(host: Host) -> None:
        with _one_at_a_time(host):
            tier.heal(record.host_set, host)
            fault_notes.clear(record.host_set, host)

    with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
        list(pool.map(heal_one, hosts))


def _refuse_another_shape(record: state.Record, wish: Wish) -> None:
    pairs = (
        ("hosts", len(record.host_set.hosts), wish.count),
        ("tier", record.host_set.tier, wish.tier),
        ("network", record.host_set.network, wish.network and str(networks.parse(wish.network))),
        ("MB of memory", record.sizing.memory_mb, wish.memory_mb),
        ("cpus", record.sizing.cpus, wish.cpus),
        ("GB of disk", record.sizing.disk_gb, wish.disk_gb),
        ("distribution", record.distribution, wish.distribution),
    )
    for what, there, wanted in pairs:
        if wanted is not None and wanted != there:
            raise HostsError(
                f"{wish.name} is there with another shape ({what}: {there}, and {wanted} was asked for), so it was "
                f"left as it is. Run 'down {wish.name}' first, or choose another name."
            )


def _inherit(wish: Wish, record: state.Record) -> Wish:
    if record.stage != state.READY:
        # Nobody has used it yet, so only what was asked for now counts.
        return wish
    return replace(
        wish,
        count=len(record.host_set.hosts),
        tier=record.host_set.tier,
        network=record.host_set.network,
        memory_mb=record.sizing.memory_mb,
        cpus=record.sizing.cpus,
        disk_gb=record.sizing.disk_gb,
        distribution=record.distribution,
    )


def _record(name: str) -> state.Record:
    _check_name(name)
    record = state.load(name)
    if record is None:
        there = ", ".join(state.names()) or "none"
        raise HostsError(f"There is no set {name}; the sets here are: {there}. Run 'up --name {name}' to make it.")
    return record


def _nameless(name: str, tier: str) -> HostSet:
    folder = state.directory(name)
    return HostSet(name, tier, "0.0.0.0/32", (), folder, folder / "id_ed25519")


def _summary(record: state.Record) -> str:
    host_set = record.host_set
    return f"{len(host_set.hosts)} hosts of the tier {host_set.tier} in {host_set.network}"


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise HostsError(
            f"{name!r} cannot name a set: use up to 31 small letters, digits and hyphens, a letter first, "
            "no hyphen last."
        )


def _alone(name: str) -> AbstractContextManager[int]:
    busy = (
        f"Another command is working on the set {name} now, so this one did nothing. Wait for it, then run this again."
    )
    return lock(f"set-{name}", busy=busy)


def _beside_others(name: str) -> AbstractContextManager[int]:
    busy = (
        f"Another command is making or removing the set {name} now, so this one did nothing. Run it again after that."
    )
    return lock(f"set-{name}", shared=True, busy=busy)


def _one_at_a_time(host: Host) -> AbstractContextManager[int]:
    busy = f"{host.name}: another command has been working on it for five minutes, so this one did nothing."
    return lock(f"host-{host.name}", busy=busy, wait_seconds=300)


@contextmanager
def _no_second_interrupt() -> Iterator[None]:
    # A person who presses Ctrl-C twice means "stop now"; half a removal would only make the next run longer.
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers, and only it is interrupted.
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
