# What people and CI call. `make help` lists it all.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# one profile and one target directory for everything, so that nothing is built twice
DEBUG := $(or $(CARGO_TARGET_DIR),target)/debug

.PHONY: help setup build fmt lint test clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: Redis, PostgreSQL, a C compiler, rustfmt, clippy, cargo-nextest
	@.ci/setup

build: ## Build all binaries, tests too
	cargo build --locked --workspace --all-targets

fmt: ## Format the code
	cargo fmt --all

lint: ## Check format and lints; every warning is an error
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

test: setup lint build ## Set up, lint, build, run all tests beside private servers
	$(DEBUG)/testbed -- cargo nextest run --locked --workspace

clean: ## Remove what was built; data under .nstore stays
	cargo clean
