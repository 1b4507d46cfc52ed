# Everything a person types here. Logic lives in the package (`payments …`) and in .ci/; this file only names it.
# Works with make 3.81 and bash 3.2. Recipes use relative paths only, so the checkout may lie in a path with spaces.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv/bin
INSTALLED := .venv/.installed
PAGES := .venv/.pages
MANIFEST := dbt/target/manifest.json
DBT_SOURCES := $(shell find dbt -type f \( -name '*.sql' -o -name '*.yml' -o -name '*.csv' -o -name '*.md' \) -not -path 'dbt/target/*' -not -path 'dbt/logs/*' 2>/dev/null)
PYTEST := $(VENV)/python -m pytest

# No program started from here reports its use to anyone.
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := yes

ROWS ?= 1000000
DAYS ?= 7
PER_DAY ?= 10000
FROM ?=
TO ?=
ARGS ?=

.PHONY: help setup demo demo-late test test-all lint types format up down reset clean status ui simulate backfill bench-batch bench-oltp bench-freshness bench-stream bench-stream-processor bench-stream-mongodb test-alert-delay test-faults test-stream-faults lock pins docs pictures

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  %-24s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) $(MANIFEST) ## Make .venv from the hashed lock and compile the warehouse models' manifest
	@echo "Ready: .venv and $(MANIFEST) are up to date, nothing to download"

$(INSTALLED): requirements.lock pyproject.toml .ci/setup
	@bash .ci/setup

$(MANIFEST): $(INSTALLED) $(DBT_SOURCES)
	@if [ -f dbt/dbt_project.yml ]; then $(VENV)/dbt --quiet parse --project-dir dbt --profiles-dir dbt && touch $@; fi

demo: setup ## A week of payments from PostgreSQL to the star schema, with the UI left running
	@$(VENV)/payments demo $(ARGS)

demo-late: setup ## Hold a day back, show the alert, build it, show the close; in a home of its own, deleted after (2 min)
	@PAYMENTS_DOWNLOADS="$${PAYMENTS_DOWNLOADS:-.local/cache}" PAYMENTS_HOME=.local/demo-late $(VENV)/payments demo-late

test: setup ## Everything that must hold before a commit: style, layers, types, tests (slow ones left out)
	@$(MAKE) lint types
	$(PYTEST) $(ARGS)

test-all: setup ## As test, with the slow and the fault-injection tests
	@$(MAKE) lint types
	$(PYTEST) -m "" $(ARGS)

lint: $(INSTALLED) ## Style and the dependency rule between rooms
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/lint-imports --no-logo

types: $(INSTALLED) ## Strict type check
	$(VENV)/mypy

format: $(INSTALLED) ## Rewrite the code in the house style
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

up: setup ## Start the local stack, with the UI, and wait until it is ready
	@$(VENV)/payments up $(ARGS)

down: $(INSTALLED) ## Stop the local stack; data stays
	@$(VENV)/payments down $(ARGS)

reset: $(INSTALLED) ## Stop the local stack and delete its data
	@$(VENV)/payments reset $(ARGS)

clean: ## As reset, and delete downloads, caches and .venv
	@if [ -x $(VENV)/payments ]; then $(VENV)/payments clean $(ARGS); fi
	rm -rf .venv .bootstrap .peer .peer-stream .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dbt/target dbt/logs

status: $(INSTALLED) ## Show what runs, where, and how to reach it
	@$(VENV)/payments status $(ARGS)

ui: setup ## Start what is not running yet, and print the address of the asset graph
	@$(VENV)/payments up $(ARGS)

simulate: setup ## Put DAYS=7 days of PER_DAY=10000 synthetic payments into PostgreSQL
	@$(VENV)/payments simulate --days $(DAYS) --per-day $(PER_DAY) $(ARGS)

backfill: setup ## Build the days FROM=2025-01-01 to TO=2025-01-31, both included, lake to star schema
	@if [ -z "$(FROM)" ] || [ -z "$(TO)" ]; then echo "Say which days: make backfill FROM=2025-01-01 TO=2025-01-31" >&2; exit 2; fi
	@$(VENV)/payments backfill --from $(FROM) --to $(TO) $(ARGS)

bench-batch: setup ## Time one day of ROWS=1000000 changed transactions, extract to aggregates, beside PySpark
	@bash .ci/peer batch
	@$(VENV)/python -m benchmarks.bench_batch --rows $(ROWS) $(ARGS)

bench-oltp: setup ## Time payment commits at 500 a second with the replica attached and change capture on
	@$(VENV)/python -m benchmarks.bench_oltp $(ARGS)

bench-stream-processor: setup ## Time the stream processor beside its broker, one and two workers, and Quix Streams
	@bash .ci/peer stream
	@$(VENV)/python -m benchmarks.bench_stream_processor $(ARGS)

bench-stream-mongodb: setup ## Time the MongoDB sink beside MongoDB's own connector, 50 000 messages, on the running stack
	@$(VENV)/python -m benchmarks.bench_stream_mongodb --events 50000 $(ARGS)

bench-freshness: setup ## Time a tick of the freshness and the alert sensors over 200 assets x 400 partitions on PostgreSQL
	@$(VENV)/python -m benchmarks.bench_freshness_tick $(ARGS)

test-alert-delay: setup ## Let a day and a stream become late under Dagster's own daemon; print how long each alert took
	$(PYTEST) -m slow assets_tests/integration/test_alert_delay.py $(ARGS)

test-faults: setup ## Kill at 30 seeded points, fill the disk, stop the replica …: print what the next run made of it
	$(PYTEST) -m "faults" assets_tests/faults/test_kills.py assets_tests/faults/test_misfortunes.py $(ARGS)

bench-stream: setup ## Time payments from commit to each store: 500 a second, rising rates, 5 000 a second
	@$(VENV)/python -m benchmarks.bench_stream $(ARGS)

test-stream-faults: setup ## Kill every process of the speed layer at seeded points under load; write what came of it
	PAYMENTS_FAULT_PAGE=docs/faults.md $(PYTEST) -m "faults" assets_tests/faults/test_stream_kills.py \
		assets_tests/faults/test_stream_misfortunes.py $(ARGS)

lock: $(INSTALLED) ## Resolve pyproject.toml again: requirements.lock (hashed, no URLs) and requirements.size
	@bash .ci/lock

pins: $(INSTALLED) ## Resolve the Java servers' Maven coordinates again: local/downloads.lock (every file's SHA-256)
	@$(VENV)/python -m payments_platform.local.pinning

$(PAGES): $(INSTALLED) requirements-pages.lock
	@bash .ci/setup requirements-pages.lock
	@touch $@

pictures: setup $(PAGES) ## Take the pictures of docs/ and run its notebooks again, on a stack of their own (5 minutes)
	@bash .ci/pictures

docs: $(INSTALLED) ## Write the generated files again: YAML beside the dbt models, then the pages of docs/
	@$(VENV)/payments dbt-schema $(ARGS)
	@$(MAKE) setup
	@$(VENV)/payments docs $(ARGS)
