# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums are found in the lists that publishers write, and put into artifacts.yml without touching anything else."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.download import Patience
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.pins import Locked, find_digest, lock, write_pin

ONE, TWO = "1" * 64, "2" * 64
CATALOGUE = """---
# At the top.
bundle_artifacts:
  - name: tool  # the first
    version: "1.0"
    licence: MIT
    origin: https://example.org
    kind: binaries
    groups: [site]
    files: [tool]
    release:
      url: SERVER/{version}/tool-{arch}
      checksums_url: SERVER/{version}/SUMS
      sha256:
        # The upstream forgot arm64 for a while.
        amd64: null
        arm64:   # not known
  - name: tool
    version: "2.0"
    licence: MIT
    origin: https://example.org
    kind: binaries
    groups: [site]
    files: [tool]
    release:
      url: SERVER/{version}/tool-{arch}
      checksums_url: SERVER/{version}/SUMS
      sha256: {amd64: null, arm64: ~}  # both
"""


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}  tool\n{TWO}  tool.sig\n",
        f"{ONE} *tool\n",
        f"{ONE.upper()}  ./release/tool\n",
        f"SHA256 (tool) = {ONE}\nSHA256 (tool.sig) = {TWO}\n",
        f"{ONE}\n",
        f"{ONE}  tool\n{ONE}  other/tool\n",
    ],
)
def test_the_lists_of_publishers_are_understood(text: str) -> None:
    assert find_digest(text, "tool") == ONE


@pytest.mark.parametrize(
    "text", ["", f"{ONE}  tools\n", f"{ONE}  tool\n{TWO}  x/tool\n", f"{ONE[1:]}  tool\n", "<html>", f"{ONE}\n{TWO}\n"]
)
def test_a_list_without_one_clear_answer_gives_none(text: str) -> None:
    assert find_digest(text, "tool") is None


def test_a_pin_is_written_and_all_else_stays() -> None:
    text = CATALOGUE
    for version, architecture, digest in (("1.0", "amd64", ONE), ("1.0", "arm64", TWO), ("2.0", "arm64", ONE)):
        text = write_pin(text, "tool", version, architecture, digest)
    first, second = yaml.safe_load(text)["bundle_artifacts"]
    assert first["release"]["sha256"] == {"amd64": ONE, "arm64": TWO}
    assert second["release"]["sha256"] == {"amd64": None, "arm64": ONE}
    changed = [new for old, new in zip(CATALOGUE.splitlines(), text.splitlines()) if old != new]
    assert len(changed) == 3
    assert changed[1].endswith("# not known")
    assert changed[2].endswith("# both")


def test_a_pin_that_is_there_is_never_overwritten() -> None:
    text = write_pin(CATALOGUE, "tool", "1.0", "amd64", ONE)
    with pytest.raises(BundleError, match=r"tool 1\.0 \(amd64\): no line with an empty pin.*by hand"):
        write_pin(text, "tool", "1.0", "amd64", TWO)
    with pytest.raises(BundleError, match=r"tool 3\.0: its entry was not found"):
        write_pin(CATALOGUE, "tool", "3.0", "amd64", ONE)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """A publisher's folder behind a web server, and a catalogue that points to it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "www"
    for version in ("1.0", "2.0"):
        (folder / version).mkdir(parents=True)
        (folder / version / "SUMS").write_text(f"{ONE}  tool-amd64\n{TWO}  tool-arm64\n", encoding="utf-8")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]  # passed on as they came

        def log_message(self, *arguments: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        catalogue = tmp_path / "artifacts.yml"
        catalogue.write_text(
            CATALOGUE.replace("SERVER", f"http://127.0.0.1:{server.server_address[1]}"), encoding="utf-8"
        )
        yield catalogue, folder
        server.shutdown()
        thread.join()


def run(catalogue: Path, recheck: bool = False, dry: bool = False) -> Locked:
    entries = yaml.safe_load(catalogue.read_text(encoding="utf-8"))["bundle_artifacts"]
    patience = Patience(timeout=2, first_pause=0.01, tries_without_progress=2)
    return lock(catalogue, read_catalogue(entries), {}, patience, recheck=recheck, dry=dry)


def test_locking_fills_in_what_is_missing_and_the_second_time_nothing(site: tuple[Path, Path]) -> None:
    catalogue, _folder = site
    before = catalogue.read_text(encoding="utf-8")
    assert run(catalogue, dry=True).changed
    assert catalogue.read_text(encoding="utf-8") == before
    locked = run(catalogue)
    assert (len(locked.pins), locked.summary) == (4, "4 checksums written down for review.")
    for entry in yaml.safe_load(catalogue.read_text(encoding="utf-8"))["bundle_artifacts"]:
        assert entry["release"]["sha256"] == {"amd64": ONE, "arm64": TWO}
    again = run(catalogue)
    assert (again.changed, again.summary) == (False, "No checksum was missing.")


def test_a_publisher_who_changed_a_checksum_is_named_and_nothing_is_written(site: tuple[Path, Path]) -> None:
    catalogue, folder = site
    run(catalogue)
    (folder / "2.0/SUMS").write_text(f"{TWO}  tool-amd64\n{TWO}  tool-arm64\n", encoding="utf-8")
    before = catalogue.read_text(encoding="utf-8")
    assert not run(catalogue).changed
    with pytest.raises(BundleError, match=rf"tool 2\.0 \(amd64\): artifacts.yml pins {ONE}, but .* now says {TWO}"):
        run(catalogue, recheck=True)
    assert catalogue.read_text(encoding="utf-8") == before


def test_a_list_that_does_not_name_the_file_writes_nothing(site: tuple[Path, Path]) -> None:
    catalogue, folder = site
    (folder / "2.0/SUMS").write_text(f"{TWO}  tool-amd64\n", encoding="utf-8")
    before = catalogue.read_text(encoding="utf-8")
    with pytest.raises(BundleError, match=r"tool 2\.0 \(arm64\): .*names no sha256 for tool-arm64"):
        run(catalogue)
    assert catalogue.read_text(encoding="utf-8") == before


def test_an_artifact_without_a_list_is_named_for_a_person(site: tuple[Path, Path]) -> None:
    catalogue, _folder = site
    text = "\n".join(line for line in catalogue.read_text(encoding="utf-8").splitlines() if "checksums_url" not in line)
    catalogue.write_text(text + "\n", encoding="utf-8")
    locked = run(catalogue)
    assert not locked.changed
    assert locked.summary == "no list of checksums (checksums_url) is known for tool 1.0, tool 2.0: write them by hand."
