# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipes of images: the data files, and the commands that are made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.hosts import distribution, image_build
from tests.hosts.model import HostsError

SOURCES = """\
http://archive.example/debian/ bookworm main
http://archive.example/debian/ bookworm main
http://archive.example/debian/ bookworm-updates main
http://archive.example/debian/ bookworm contrib
http://archive.example/security/ bookworm-security main
http://vendor.example/apt/ nodistro main
"""


def test_every_promised_distribution_has_a_data_file() -> None:
    assert distribution.known() == ("debian12", "debian13", "rocky9", "ubuntu2204", "ubuntu2404")


@pytest.mark.parametrize("key", distribution.known())
def test_every_data_file_is_whole_and_names_nothing_twice(key: str) -> None:
    recipe = distribution.load(key)
    data = yaml.safe_load((distribution.DATA / f"{key}.yml").read_text(encoding="utf-8"))
    assert set(data) == {
        "title", "builder", "suite", "components", "suites_beside", "packages", "masked_units",
    }  # fmt: skip
    assert recipe.builder in image_build.REMEDIES
    for words in (recipe.packages, recipe.masked_units, recipe.components):
        assert words
        assert len(set(words)) == len(words)
    assert {"systemd", "openssh-server", "sudo", "python3", "nftables", "runc"} <= set(recipe.packages)
    assert all(Path(unit).suffix in (".service", ".timer", ".target", ".mount") for unit in recipe.masked_units)


def test_an_unknown_distribution_is_refused_with_the_known_ones() -> None:
    with pytest.raises(HostsError, match="no distribution plan9; the test bed knows debian12, debian13"):
        distribution.load("plan9")
    with pytest.raises(HostsError, match="no distribution"):
        distribution.load("../distributions/debian12")


def test_another_recipe_has_another_hash_and_the_same_one_the_same() -> None:
    recipe = distribution.load("debian12")
    hashes = {
        distribution.recipe_hash(recipe),
        distribution.recipe_hash(replace(recipe, packages=(*recipe.packages, "vim"))),
        distribution.recipe_hash(replace(recipe, masked_units=())),
        distribution.recipe_hash(distribution.load("debian13")),
    }
    assert len(hashes) == 4
    assert distribution.recipe_hash(distribution.load("debian12")) == distribution.recipe_hash(recipe)


def test_the_machines_own_archives_are_used_for_its_own_suite_only() -> None:
    debian12 = distribution.load("debian12")
    assert image_build.matching_sources(debian12, SOURCES) == (
        "deb http://archive.example/debian/ bookworm main\n"
        "deb http://archive.example/debian/ bookworm-updates main\n"
        "deb http://archive.example/security/ bookworm-security main\n"
    )
    assert image_build.matching_sources(distribution.load("debian13"), SOURCES) == ""
    assert image_build.matching_sources(debian12, "http://archive.example/security/ bookworm-security main\n") == ""


def test_only_what_leads_to_the_archive_is_forwarded_of_apts_options() -> None:
    dumped = (
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::https "";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::Languages "none";\n'
        'APT::Architecture "amd64";\n'
    )
    assert image_build.forwarded_apt_options(dumped) == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::Check-Valid-Until "false";',
    ]


def test_the_builder_gets_the_sources_only_when_the_machine_has_some(tmp_path: Path) -> None:
    recipe = distribution.load("debian12")
    sources = tmp_path / "sources.list"
    for text, wanted in (("", "rootfs.tar"), ("deb x y z\n", "sources.list")):
        sources.write_text(text, encoding="utf-8")
        command = image_build.mmdebstrap_command(
            recipe, tmp_path / "a place", tmp_path / "rootfs.tar", sources, ["Acquire::Retries 3;"]
        )
        assert command[-1] == str(tmp_path / wanted)
        assert "--aptopt=Acquire::Retries 3;" in command
        assert f"--customize-hook=sync-in '{tmp_path}/a place' /" in command


def test_rocky_is_made_of_its_own_repositories_only(tmp_path: Path) -> None:
    commands = image_build.dnf_commands(distribution.load("rocky9"), tmp_path, tmp_path / "root", tmp_path / "out.tar")
    assert {"--disablerepo=*", "--enablerepo=baseos", "--releasever=9"} <= set(commands[0])
    assert commands[-1][0] == "tar"


def test_staged_files_have_the_modes_of_the_image_whatever_the_umask_of_the_checkout(tmp_path: Path) -> None:
    recipe = distribution.load("debian12")
    image_build.stage(recipe, tmp_path / "root")
    init = tmp_path / "root/usr/local/sbin/holdfast-init"
    assert init.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "root/etc/ssh/sshd_config.d/10-holdfast.conf").stat().st_mode & 0o777 == 0o644
    masked = tmp_path / "root/etc/systemd/system" / recipe.masked_units[0]
    assert str(masked.readlink()) == "/dev/null"
