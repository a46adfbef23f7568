# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down about a set, the inventory, and the way in by ssh."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.hosts import fault_notes, inventory, sets, ssh, state, tiers
from tests.hosts.container_spec import bridge_name, network_name
from tests.hosts.model import Host, HostsError, HostSet, Sizing


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep sets out of the real cache, in a path with a space."""
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "my cache"))
    return tmp_path / "my cache"


def record(name: str = "lab", network: str = "10.77.4.0/24") -> state.Record:
    """Return the record of a set with two hosts."""
    prefix = network.rpartition(".")[0]
    folder = state.directory(name)
    hosts = tuple(Host(f"{name}-{n}", f"{prefix}.{10 + n}", "container", name) for n in (1, 2))
    host_set = HostSet(name, "container", network, hosts, folder, folder / "id_ed25519")
    return state.Record(host_set, Sizing(512, 1, 4), "debian12", state.MAKING)


def test_a_record_is_read_as_it_was_written() -> None:
    assert state.load("lab") is None
    state.save(record())
    assert state.load("lab") == record()
    assert state.names() == ["lab"]


@pytest.mark.parametrize("text", ["", "{}", '{"name": 1', '["a"]', '{"name": "lab", "hosts": [{"x": 1}]}'])
def test_a_damaged_record_is_named_with_the_remedy(text: str) -> None:
    state.directory("lab").mkdir(parents=True)
    (state.directory("lab") / "set.json").write_text(text, encoding="utf-8")
    with pytest.raises(HostsError, match=r"lab: its record .*set\.json cannot be read .*'down lab' removes"):
        state.load("lab")


def test_a_reserved_network_carries_the_name_of_its_set() -> None:
    state.save(record("one", "10.77.1.0/24"))
    state.save(record("two", "10.77.2.0/24"))
    state.directory("damaged").mkdir()
    (state.directory("damaged") / "set.json").write_text("{", encoding="utf-8")
    assert [(str(item.network), item.user) for item in state.reserved_networks(but_for="one")] == [
        ("10.77.2.0/24", "the set two")
    ]


def test_forgetting_removes_all_of_a_set_and_its_record_last(cache: Path) -> None:
    made = record()
    state.save(made)
    state.save(record("other"))
    ssh.make_key(made.host_set.key)
    (made.host_set.directory / "data" / "lab-1").mkdir(parents=True)
    state.forget("lab")
    state.forget("lab")
    assert state.names() == ["other"]
    assert not made.host_set.directory.exists()


def test_a_key_is_made_once_and_half_a_pair_is_made_again() -> None:
    key = record().host_set.key
    ssh.make_key(key)
    first = key.read_text(encoding="utf-8")
    ssh.make_key(key)
    assert key.read_text(encoding="utf-8") == first
    assert key.stat().st_mode & 0o077 == 0
    key.with_name("id_ed25519.pub").unlink()
    ssh.make_key(key)
    assert key.read_text(encoding="utf-8") != first


def test_known_hosts_pins_each_address_and_port() -> None:
    host_set = record().host_set
    ssh.pin_host_keys(host_set, {"lab-1": "ssh-ed25519 AAAA1 lab-1\n", "lab-2": "ssh-ed25519 AAAA2 lab-2"})
    assert host_set.known_hosts.read_text(encoding="utf-8") == (
        "10.77.4.11 ssh-ed25519 AAAA1\n10.77.4.12 ssh-ed25519 AAAA2\n"
    )


def test_the_inventory_puts_every_host_in_the_group_edge_and_quotes_paths_with_spaces() -> None:
    tree = yaml.safe_load(inventory.render(record().host_set))
    group = tree["all"]["children"]["edge"]
    assert {name: facts["ansible_host"] for name, facts in group["hosts"].items()} == {
        "lab-1": "10.77.4.11",
        "lab-2": "10.77.4.12",
    }
    known_hosts = record().host_set.known_hosts
    assert f"""'UserKnownHostsFile="{known_hosts}"'""" in group["vars"]["ansible_ssh_common_args"]


def test_a_host_is_found_by_name_and_an_unknown_one_refused_with_the_names_there_are() -> None:
    host_set = record().host_set
    assert host_set.host("lab-2") == host_set.hosts[1]
    assert host_set.gateway == "10.77.4.1"
    with pytest.raises(HostsError, match="no host lab-3 in this set; it has lab-1, lab-2"):
        host_set.host("lab-3")


def test_sets_of_the_same_name_in_two_caches_share_no_name_in_the_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = record().host_set
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "another"))
    two = record().host_set
    assert network_name(one) != network_name(two)
    assert bridge_name(one) != bridge_name(two)
    assert len(bridge_name(one)) <= 15


def test_faults_are_noted_once_forgotten_by_heal_and_a_reboot_leaves_no_note() -> None:
    host_set = record().host_set
    one, two = host_set.hosts
    for fault in ("cut", "slow", "cut", "reboot"):
        fault_notes.add(host_set, one, fault)
    assert fault_notes.read(host_set) == {"lab-1": ["cut", "slow"]}
    fault_notes.clear(host_set, one)
    fault_notes.clear(host_set, two)
    assert fault_notes.read(host_set) == {}


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "1a", "a" * 32, "a/b", "..", "a b", "ä"])
def test_a_name_that_cannot_be_a_host_name_is_refused(name: str) -> None:
    with pytest.raises(HostsError, match="cannot name a set"):
        sets.down(name)


def test_an_unknown_tier_is_refused_with_the_known_ones() -> None:
    with pytest.raises(HostsError, match="no tier cloud; the test bed knows container and vm"):
        tiers.find("cloud")
