# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
SHELL := bash
.DEFAULT_GOAL := help
python = PYTHONPATH="$(CURDIR)/inference/src$(and_path)" PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python

.PHONY: help setup demo demo-down drill serve fixture-model test test-all lint unit sanity bundle contract bench-hosts bench-k3s bench-site bench-failover-api bench-inference bench-failover bench-image bench-soak docs lock clean

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "make %-18s %s\n", $$1, $$2 }'

setup: ## install what the other targets need: Debian packages, locked Python packages, Go
	@dev/setup

demo: setup ## three hosts, the bundle, and a site built on them with site.yml; ends with a question and its answer
	@$(python) -m dev.demo

drill: setup ## break the nodes of the demo's site in every way while clients ask, and report what they noticed
	@PATH="$(CURDIR)/.venv/bin:$$PATH" ansible-playbook -i inventory/local playbooks/drill.yml -e drill_sure=true

demo-down: setup ## take the demo's hosts away again (the caches stay)
	@$(python) -m tests.hosts down local

serve: setup ## the inference server alone, with a small model, on this machine; prints a key and lines for curl, Ctrl-C ends it
	@$(python) -m dev.serve

test: setup ## the tests that each change must pass, tier by tier, with a table at the end
	@$(python) -m dev.run_tests

test-all: setup ## every test there is: also those that take hours from empty caches
	@$(python) -m dev.run_tests --all

lint: setup ## the conventions only
	@$(python) -m dev.run_tests conventions

unit: setup ## the unit tests only
	@$(python) -m dev.run_tests unit

sanity: setup ## ansible-test sanity and units only
	@$(python) -m dev.run_tests sanity

bundle: setup ## build the bundle that demo and tests use, or verify it where it is there
	@$(python) -m dev.bundle

contract: setup ## what k3s promises, asked of the stand-in: K3S_BINARY=… K3S_BINARY_OLDER=… for another
	@$(python) -m dev.contract

bench-hosts: setup ## how fast hosts answer ssh and how fast the bundle is there; ends with one JSON line
	@$(python) -m tests.bench.hosts

bench-k3s: setup ## how fast k3s is ready and how little it takes when idle; ends with one JSON line
	@$(python) -m dev.contract bench

bench-site: bundle ## how long site.yml takes from blank hosts to a site, and when there is nothing to do; ends with one JSON line
	@$(python) -m tests.bench.site

# Not for all: ansible-galaxy takes what is there for installed, and the tests install it.
bench-failover bench-failover-api: and_path = :$(CURDIR)/collections
bench-failover-api: bundle ## how long the API is away when a server fails, beside the set-up of k3s' own page; ends with one JSON line
	@$(python) -m tests.bench.failover_api

bench-inference: setup ## how fast the engine is beside llama.cpp, which it builds the first time; ends with one JSON line
	@$(python) -m tests.bench.inference

bench-failover: bundle ## what clients notice when an inference node or the holder of the address fails, beside HAProxy (Debian's, to be installed); ends with one JSON line
	@$(python) -m tests.bench.failover

bench-image: setup ## how large the image of the inference service is, and how fast a server in it answers; ends with one JSON line
	@$(python) -m tests.bench.image

bench-soak: setup ## what becomes of memory while node and gateway are asked for MINUTES (30); ends with one JSON line
	@$(python) -m tests.bench.soak --minutes $(or $(MINUTES),30)

fixture-model: setup ## train the small model of a made-up shop anew, all its versions: minutes of two free cores, never needed by a test
	@dev/train-fixture

docs: setup ## write the roles' README files from their argument specs
	@$(python) -m dev.role_readme

lock: setup ## renew the locked Python packages from dev/*.in
	@cd dev && for name in requirements go-requirements fixture-requirements client-requirements old-client-requirements openapi-requirements; do \
	  ../.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command 'make lock' $$name.in --output-file $$name.txt; done
	@cd inference && ../.venv/bin/uv pip compile --quiet --upgrade --python-version 3.11 --python-platform linux --generate-hashes \
	  --no-emit-index-url --override image/not-needed.txt --constraint ../dev/requirements.txt \
	  --custom-compile-command 'make lock' pyproject.toml --output-file image/requirements.txt

clean: ## take away all that was made: hosts, engine that we started, caches, virtual environment
	@dev/clean
