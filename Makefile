# What people and CI call. `make help` lists it all.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# one profile and one target directory for everything, so that nothing is built twice
export CARGO_TARGET_DIR ?= $(CURDIR)/target
DEBUG := $(CARGO_TARGET_DIR)/debug

.PHONY: help setup build fmt lint test chaos chaos-mutants compose fuzz demo bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: Redis, PostgreSQL, Chromium, a C compiler, Python's venv, rustfmt, clippy
	@.ci/setup

build: ## Build all binaries, tests too
	@# what hosts without a browser get, under a name of its own; a test asks it
	cargo build --locked --workspace --exclude nstore-tests --no-default-features --bins
	cp $(DEBUG)/nstore-worker $(DEBUG)/nstore-worker-api
	cargo build --locked --workspace --all-targets

fmt: ## Format the code
	cargo fmt --all

lint: ## Check format and lints; every warning is an error
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

# networks of hosts are root's to make
ifneq ($(shell id -u),0)
WITHOUT := -E 'not test(/^hosts::/)'
endif

# small misleading sources and tables, each with a server of its own, kept beside the checkout
CASES ?= ../shared/cases

test: setup ## Set up, lint, build, run all tests beside private servers, a hundred faults, and the containers where Docker answers
	@.ci/setup nextest
	@$(MAKE) --no-print-directory lint build
	@$(if $(WITHOUT),echo "make test: the tests of hosts that are cut off are left out: they take root")
	$(DEBUG)/testbed -- cargo nextest run --locked --workspace $(WITHOUT)
	@if [ -x $(CASES)/run-all ]; then NSTORE_BIN=$(DEBUG) $(CASES)/run-all; \
	    else echo "make test: no cases at $(CASES)"; fi
	@# the same faults in the same order each time
	@$(MAKE) --no-print-directory chaos FAULTS=100 SEED=1
	@if docker info >/dev/null 2>&1; then $(MAKE) --no-print-directory compose; \
	    else echo "make test: docker-compose.yml is not tried out: no Docker engine answers here"; fi

FAULTS ?= 100
SEED ?=
chaos: setup ## Faults of all kinds in an order by lot, FAULTS=100 SEED=...; all tables must hold the truth
	cargo build --locked --workspace --bins
	env -u RUST_BACKTRACE $(DEBUG)/chaos --faults $(FAULTS) $(if $(SEED),--seed $(SEED))

UNGUARDED := $(DEBUG)/unguarded
chaos-mutants: setup ## Take each guard of the promises away in turn: a promise must break, and hold when all stand
	cargo build --locked --workspace --bins --features nstore-tests/unguarded
	mkdir -p $(UNGUARDED)
	cp $(addprefix $(DEBUG)/,nstore nstore-worker chaos) $(UNGUARDED)/
	@# everything else is to find programs whose guards stand
	cargo build --locked --workspace --bins
	env -u RUST_BACKTRACE $(UNGUARDED)/chaos --mutants

compose: ## Try docker-compose.yml out: two months with faults in containers, compared with the truth
	@.ci/setup compose
	cargo build --locked --workspace --bins
	NSTORE_BIN=$(DEBUG) tests/compose/run

FUZZ_SECONDS ?= 30
fuzz: ## Feed what came from dashboards with damage, half a minute for each target
	@cargo fuzz --version >/dev/null 2>&1 || env -u CARGO_TARGET_DIR cargo install cargo-fuzz --locked --version 0.13.2
	@mkdir -p fuzz/corpus/dsr fuzz/corpus/cell
	@cp worker/src/extract/browser/lanes/decode/fixtures/*.json fuzz/corpus/dsr/
	@# the sanitizer's flags are unstable ones; no nightly compiler is needed for them
	for target in dsr cell; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048; \
	done

demo: setup ## A month of six simulated sources into a private PostgreSQL, compared with the truth
	cargo build --locked --workspace --bins
	NSTORE_BIN=$(DEBUG) examples/demo/run

bench: setup ## Measure the figures, as ratios in one run
	cargo build --locked --release --workspace --bins
	$(DEBUG:debug=release)/bench

clean: ## Remove what was built; data under .nstore stays
	cargo clean
