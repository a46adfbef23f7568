# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bundle.yml takes the upstreams' own files through a bad line, and refuses whatever is not the pinned file."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.bundle_bench import BundleBench, bundle_bench, released
from tests.integration.bundle_server import CONTENT, SHA256, BadServer

MAKE = "Make the bundle"
PATH = "amd64/bin/tool/1.0/tool"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[BundleBench]:
    with bundle_bench(tmp_path) as bench:
        yield bench


def wait_for(what: str, found: object) -> None:
    deadline = time.monotonic() + 60
    while not found():  # type: ignore[operator]  # a function without arguments
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


def test_files_come_side_by_side_and_the_second_run_asks_nobody(bench: BundleBench, server: BadServer) -> None:
    sizes = [1000 * number for number in range(1, 9)]
    bench.write(
        *(
            released(f"tool{size}", server.url(f"late/{size}"), hashlib.sha256(CONTENT[:size]).hexdigest())
            for size in sizes
        )
    )
    first = bench.run()
    assert first.rc == 0, first.stdout
    assert first.changed == {"localhost": 1}
    assert 2 <= server.peak <= 4
    tree = bench.tree()
    assert all(tree[f"amd64/bin/tool{size}/1.0/tool{size}"] == CONTENT[:size] for size in sizes)
    second = bench.run()
    assert (second.rc, dict(second.changed)) == (0, {}), second.stdout
    assert sum(server.hits.values()) == len(sizes)


def test_two_artifacts_of_the_same_bytes_are_fetched_once(bench: BundleBench, server: BadServer) -> None:
    bench.write(*(released(name, server.url("good/file"), SHA256) for name in ("one", "two", "three")))
    assert bench.run().rc == 0
    assert sum(server.hits.values()) == 1


def test_files_arrive_through_every_kind_of_bad_line(bench: BundleBench, server: BadServer) -> None:
    words = ("truncate", "reset", "norange", "busy", "stall", "redirect")
    # Each has a length of its own, so that none can be had from the cache of another.
    sizes = {word: len(CONTENT) - number for number, word in enumerate(words)}
    bench.write(
        *(
            released(word, server.url(f"{word}/{size}"), hashlib.sha256(CONTENT[:size]).hexdigest())
            for word, size in sizes.items()
        )
    )
    run = bench.run()
    assert run.rc == 0, run.stdout
    tree = bench.tree()
    for word, size in sizes.items():
        assert tree[f"amd64/bin/{word}/1.0/{word}"] == CONTENT[:size]
        assert server.hits[f"/{word}/{size}"] > 1 or word == "redirect"


REFUSALS = {
    "lie": "tool 1.0 (amd64), file was refused",
    "short": "tool 1.0 (amd64), file was refused",
    "circle": "redirects in a circle or too often",
    "nothing": "answered 404",
}


def test_what_is_not_the_pinned_file_is_refused_and_the_old_bundle_stays(bench: BundleBench, server: BadServer) -> None:
    bench.write(released("other", server.url("good/file"), SHA256))
    assert bench.run().rc == 0
    before = bench.tree()
    for word, complaint in REFUSALS.items():
        wrong = "f" * 64 if word != "lie" else SHA256[::-1]
        bench.write(
            released("other", server.url("good/file"), SHA256),
            released("tool", server.url(f"{word}/file"), wrong),
        )
        run = bench.run()
        assert run.rc != 0, word
        assert len(run.failures) == 1
        assert complaint in run.failures[0]
        if word in ("lie", "short"):
            assert f"{wrong} is pinned" in run.failures[0]
        assert bench.tree() == before
        assert not list((bench.cache / "store/partial").iterdir())


def test_check_mode_says_what_is_missing_and_how_large_and_writes_nothing(
    bench: BundleBench, server: BadServer
) -> None:
    bench.write(released("tool", server.url("good/file"), SHA256), released("gone", "http://127.0.0.1:9/x", SHA256))
    run = bench.run("--check --diff")
    assert run.rc == 0, run.stdout
    assert run.changed == {"localhost": 1}
    (result,) = run.results(MAKE)
    assert [(item["name"], item["size"]) for item in result["missing"]] == [("tool", len(CONTENT)), ("gone", None)]
    assert "gone 1.0 (amd64): unknown size, to be downloaded" in run.stdout
    assert f"+{PATH}  to be downloaded" in run.stdout
    assert not bench.bundle.exists()
    assert not bench.cache.exists()
    assert not server.hits


def test_programs_and_images_come_out_of_the_upstreams_archive(bench: BundleBench, server: BadServer) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("tool-1.0-amd64/tool", "tool-1.0-amd64/toolctl", "../evil"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    server.blobs["tool.tar.gz"] = buffer.getvalue()
    pin = hashlib.sha256(buffer.getvalue()).hexdigest()
    inside = "tool-{version}-{arch}/"
    url = server.url("blob/tool.tar.gz")
    programs = released("tool", url, pin, member={"tool": inside + "tool", "toolctl": inside + "toolctl"})
    programs["files"] = ["tool", "toolctl"]
    web = released("web", url, pin, member={"tool": inside + "tool"})
    web.update(kind="image", files=["tool"])
    web["image"] = {
        "reference": "registry.example.org/web:{version}",
        "entrypoint": ["/web"],
        "files": {"/web": "tool"},
        "user": "1:1",
    }
    bench.write(programs, web)
    run = bench.run()
    assert run.rc == 0, run.stdout
    tree = bench.tree()
    assert tree[PATH] == b"tool-1.0-amd64/tool"
    assert tree[f"{PATH}ctl"] == b"tool-1.0-amd64/toolctl"
    assert b"tool-1.0-amd64/tool" in tree["amd64/images/web-1.0.tar"]
    assert sorted(tree) == [PATH, f"{PATH}ctl", "amd64/images/web-1.0.tar", "bundle.json"]
    assert not list(bench.root.rglob("evil"))
    assert not bench.run().changed
    assert server.hits == {"/blob/tool.tar.gz": 1}


def test_a_mirror_serves_in_the_place_of_the_upstream_and_the_pin_still_decides(
    bench: BundleBench, server: BadServer
) -> None:
    bench.write(released("tool", "https://upstream.invalid/v{version}/tool-{arch}", SHA256))
    run = bench.run(bundle_mirror={"https://upstream.invalid/v1.0/": server.url("good/")})
    assert run.rc == 0, run.stdout
    assert server.hits == {"/good/tool-amd64": 1}
    manifest = (bench.bundle / "bundle.json").read_text(encoding="utf-8")
    assert "https://upstream.invalid/v1.0/tool-amd64" in manifest
    assert str(server.port) not in manifest
    bench.write(released("tool", "https://upstream.invalid/v{version}/tool-{arch}", "0" * 64))
    assert "was refused" in bench.run(bundle_mirror={"https://upstream.invalid/v1.0/": server.url("good/")}).failures[0]


def test_a_missing_pin_is_refused_until_it_was_locked(bench: BundleBench, server: BadServer) -> None:
    bench.write(released("tool", server.url("good/tool"), None, checksums_url=server.url("sums/list")))
    refused = bench.run()
    assert "No checksum is pinned in artifacts.yml for tool 1.0 (amd64)" in refused.failures[0]
    server.sums = f"{SHA256}  tool\n"
    locked = bench.run("--tags lock")
    assert (locked.rc, dict(locked.changed)) == (0, {"localhost": 1}), locked.stdout
    text = bench.catalogue.read_text(encoding="utf-8")
    assert "# Kept." in text
    assert yaml.safe_load(text)["bundle_artifacts"][0]["release"]["sha256"] == {"amd64": SHA256}
    assert bench.run().rc == 0
    assert not bench.run("--tags lock").changed
    server.sums = f"{'0' * 64}  tool\n"
    recheck = bench.run("--tags lock", bundle_lock_recheck=True)
    assert f"artifacts.yml pins {SHA256}, but" in recheck.failures[0]
    assert bench.catalogue.read_text(encoding="utf-8") == text


def test_a_killed_playbook_leaves_nothing_half_made_and_the_next_goes_on_where_it_was(
    bench: BundleBench, server: BadServer
) -> None:
    bench.write(released("tool", server.url("slow/file"), SHA256))
    server.slow.set()
    part = bench.cache / f"store/partial/{SHA256}.part"
    with bench.started(bench.root / "first.log") as playbook:
        wait_for("the first part of the download", lambda: part.exists() and part.stat().st_size > 100_000)
        os.killpg(playbook.pid, signal.SIGKILL)
        playbook.wait()
        holder = int((bench.cache / "store/lock").read_text(encoding="utf-8"))
        # The module is an orphan now; it ends by itself because nobody listens any more.
        wait_for("the end of the orphan", lambda: not Path(f"/proc/{holder}").exists())
    arrived = part.stat().st_size
    assert arrived < len(CONTENT)
    assert not bench.bundle.exists()
    server.slow.clear()
    run = bench.run()
    assert run.rc == 0, run.stdout
    assert server.ranges == ["", f"bytes={arrived}-"]
    assert bench.tree()[PATH] == CONTENT
    assert "going on where an earlier run stopped" in run.stdout


def test_a_second_playbook_at_once_is_refused_or_waits_as_it_was_told(bench: BundleBench, server: BadServer) -> None:
    bench.write(released("tool", server.url("slow/file"), SHA256))
    server.slow.set()
    part = bench.cache / f"store/partial/{SHA256}.part"
    with bench.started(bench.root / "first.log") as playbook:
        wait_for("the first part of the download", lambda: part.exists() and part.stat().st_size > 0)
        refused = bench.run(bundle_lock_wait=0)
        assert "Another run (process" in refused.failures[0]
        server.slow.clear()
        waited = bench.run()
        assert playbook.wait() == 0, (bench.root / "first.log").read_text(encoding="utf-8")
    assert (waited.rc, dict(waited.changed)) == (0, {}), waited.stdout
    assert sum(server.hits.values()) == 1


def test_progress_is_shown_while_the_module_works(bench: BundleBench, server: BadServer) -> None:
    bench.write(released("tool", server.url("slow/file"), SHA256))
    server.slow.set()
    log = bench.root / "first.log"
    with bench.started(log) as playbook:
        wait_for("the line", lambda: b"bundle: downloading tool 1.0 (amd64)" in log.read_bytes())
        assert playbook.poll() is None
        assert b"bundle: done downloading" not in log.read_bytes()
        server.slow.clear()
        assert playbook.wait() == 0
    assert b"bundle: done downloading tool 1.0 (amd64)" in log.read_bytes()
