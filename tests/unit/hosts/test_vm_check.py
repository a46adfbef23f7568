# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the vm tier refuses before it makes anything, and what it accepts as options."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.hosts import vm, vm_faults, vm_recipe
from tests.hosts.model import HostsError, Sizing


def test_more_memory_than_there_is_free_is_refused_with_both_numbers() -> None:
    with pytest.raises(HostsError, match=r"1000 virtual machine\(s\) of 900000 MB need \d+ MB of memory and \d+ MB"):
        vm.check_memory(1000, Sizing(memory_mb=900_000, cpus=1, disk_gb=8))


def test_more_disk_than_there_is_free_is_refused_with_the_place() -> None:
    with pytest.raises(HostsError, match=r"may come to need \d+ GB of disk and \d+ GB are free at /"):
        vm.check_disk(1000, Sizing(memory_mb=512, cpus=1, disk_gb=100_000))


def test_a_machine_too_small_to_boot_is_refused() -> None:
    with pytest.raises(HostsError, match="384 is the least"):
        vm.check_memory(1, Sizing(memory_mb=64, cpus=1, disk_gb=8))
    with pytest.raises(HostsError, match="3 is the least"):
        vm.check_disk(1, Sizing(memory_mb=512, cpus=1, disk_gb=1))


def test_a_small_machine_is_accepted() -> None:
    vm.check_memory(1, Sizing(memory_mb=384, cpus=1, disk_gb=3))
    vm.check_disk(1, Sizing(memory_mb=384, cpus=1, disk_gb=3))


@pytest.mark.parametrize("rate", ["fast", "1", "-1mbit", "1mbit; reboot", ""])
def test_a_rate_that_is_none_is_refused_with_an_example(rate: str) -> None:
    with pytest.raises(HostsError, match="such as 1mbit"):
        vm_faults.rate({"rate": rate})


@pytest.mark.parametrize("rate", ["1mbit", "256kbit", "1.5Mbit", "90kbps"])
def test_a_rate_with_its_unit_is_accepted(rate: str) -> None:
    assert vm_faults.rate({"rate": rate}) == rate


def test_numbers_are_read_with_a_default_and_a_least() -> None:
    assert vm_faults.number({}, "seconds") == 3600
    assert vm_faults.number({"seconds": "-90"}, "seconds") == -90
    with pytest.raises(HostsError, match="is not a number of megabytes"):
        vm_faults.number({"megabytes": "some"}, "megabytes", at_least=0)
    with pytest.raises(HostsError, match="too few"):
        vm_faults.number({"megabytes": "-1"}, "megabytes", at_least=0)


def test_every_recipe_can_be_read_and_another_list_of_packages_is_another_image() -> None:
    for key in vm_recipe.known():
        recipe = vm_recipe.load(key)
        assert len(set(recipe.all_packages)) == len(recipe.all_packages)
        other = replace(recipe, packages=(*recipe.packages, "cowsay"))
        assert vm_recipe.recipe_hash(recipe) != vm_recipe.recipe_hash(other)


def test_an_unknown_distribution_is_refused_with_the_known_ones() -> None:
    with pytest.raises(HostsError, match="knows debian12"):
        vm_recipe.load("plan9")
