# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
SHELL := bash
.DEFAULT_GOAL := help
python = PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python

.PHONY: help setup demo demo-down test lint unit sanity bundle contract bench-hosts bench-k3s docs lock clean

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: ## install what the other targets need: Debian packages, locked Python packages, Go
	@dev/setup

demo: setup ## three hosts up and checked, the bundle built and verified, a table of both
	@$(python) -m dev.demo

demo-down: setup ## take the demo's hosts away again (the caches stay)
	@$(python) -m tests.hosts down local

test: setup ## every test there is, tier by tier, with a table at the end
	@$(python) -m dev.run_tests

lint: setup ## the conventions only
	@$(python) -m dev.run_tests conventions

unit: setup ## the unit tests only
	@$(python) -m dev.run_tests unit

sanity: setup ## ansible-test sanity and units only
	@$(python) -m dev.run_tests sanity

bundle: setup ## build the bundle that demo and tests use, or verify it where it is there
	@$(python) -m dev.demo bundle

contract: setup ## what k3s promises, asked of the stand-in: K3S_BINARY=… K3S_BINARY_OLDER=… for another
	@$(python) -m dev.contract

bench-hosts: setup ## how fast hosts answer ssh and how fast the bundle is there; ends with one JSON line
	@$(python) -m tests.bench.hosts

bench-k3s: setup ## how fast k3s is ready and how little it takes when idle; ends with one JSON line
	@$(python) -m dev.contract bench

docs: setup ## write the roles' README files from their argument specs
	@$(python) -m dev.role_readme

lock: setup ## renew the locked Python packages from dev/*.in
	@cd dev && for name in requirements go-requirements; do \
	  ../.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command 'make lock' $$name.in --output-file $$name.txt; done

clean: ## take away all that was made: hosts, engine that we started, caches, virtual environment
	@dev/clean
