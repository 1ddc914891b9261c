# mm2gate: what one types in this checkout. `make` alone lists it; each target's line starts with what it does.

PYTHON ?= python3
STATE_DIR ?= .lab
WEB_PORT ?= 8089
BIN := .venv/bin
# Tests of real processes and threads: without the plugin that lets Locust patch them (pyproject.toml).
UNPATCHED := -o addopts="--strict-markers --strict-config --import-mode=importlib -ra"

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- prepare -------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: ## .venv, Java, Kafka's jars, Prometheus; no root, cached outside the checkout, a second call takes a second
	@$(PYTHON) -I lab/bootstrap.py $(if $(KAFKA_VERSION),--kafka-version $(KAFKA_VERSION))

# ---- the lab -------------------------------------------------------------------------------------------------------

.PHONY: lab-up
lab-up: setup ## two Kafka clusters, Connect with MirrorMaker 2, Prometheus on 127.0.0.1 (STATE_DIR=.lab)
	@$(BIN)/python -m lab up --state-dir $(STATE_DIR)

.PHONY: lab-down
lab-down: setup ## end the lab's processes and remove its files
	@$(BIN)/python -m lab down --state-dir $(STATE_DIR)

# ---- play ----------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: ## a lab on this machine, phase 1, phase 2 rehearsed at 1/30, their fiches, and the lab gone again
	@began=$$(date +%s) && $(MAKE) --no-print-directory setup && $(BIN)/python -m runbook.demo --since $$began

.PHONY: ui
ui: setup ## a lab on this machine and Locust's web UI on it at 127.0.0.1:8089 (WEB_PORT=8089); Ctrl-C ends both
	@$(BIN)/python -m runbook.ui --state-dir $(STATE_DIR) --port $(WEB_PORT)

# ---- check ---------------------------------------------------------------------------------------------------------

# Each part a process of its own, the long ones first. Those that take time wait most of it, so there are more of them
# than cores; the others go on beside them, and give way. The tests on real labs have the machine to themselves.
TIMED := fast-locust_session fast-mm2_users fast-runbook fast-kafka-user
UNTIMED := fast-checks fast-metamorphic fast-others fast-lab
SIDE_BY_SIDE := $(MAKE) --no-print-directory --keep-going --output-sync=target

.PHONY: check
check: setup ## lint, types and the fast tests
	@$(SIDE_BY_SIDE) --jobs 3 $(TIMED) lint types $(UNTIMED)

.PHONY: test
test: setup ## everything that CI runs: lint, types, fast tests, and the tests on real labs (half an hour)
	@$(SIDE_BY_SIDE) --jobs 3 $(TIMED) lint types $(UNTIMED)
	@echo "The tests on real labs take a quarter of an hour, and tell what they have to tell at their end."
	@$(MAKE) --no-print-directory labs

.PHONY: lint types $(TIMED) $(UNTIMED) labs
lint:
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types:
	@$(BIN)/mypy

fast-mm2_users:
	@$(BIN)/pytest -q tests/mm2_users --ignore tests/mm2_users/test_kafka_user.py

fast-kafka-user:
	@$(BIN)/pytest -q tests/mm2_users/test_kafka_user.py

fast-locust_session fast-runbook: fast-%:
	@$(BIN)/pytest -q tests/$*

fast-checks fast-metamorphic: fast-%:
	@nice $(BIN)/pytest -q tests/$*

fast-others:
	@nice $(BIN)/pytest -q tests $(addprefix --ignore tests/,mm2_users locust_session runbook checks metamorphic lab lab_unit)

fast-lab:
	@nice $(BIN)/pytest -q $(UNPATCHED) tests/lab_unit

labs:
	@$(BIN)/pytest -q $(UNPATCHED) --durations 25 -m "not long" tests/lab

.PHONY: test-long
test-long: setup ## every damage; tests on real labs that take minutes each: staircases, tasks, another Kafka
	@MM2GATE_ALL_DAMAGES=1 $(BIN)/pytest -q tests/metamorphic
	@$(BIN)/pytest -q $(UNPATCHED) --durations 25 -m long tests/lab

# ---- measure -------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: setup ## how fast and how cheap, beside what people use today: benchmarks/results.md (a quarter of an hour)
	@$(BIN)/python -m benchmarks

.PHONY: bench-full
bench-full: setup ## the same, and a soak of half an hour
	@$(BIN)/python -m benchmarks --full

# ---- maintain ------------------------------------------------------------------------------------------------------

.PHONY: lock
lock: ## rewrite requirements.txt after requirements.in changed (needs uv)
	@uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header -q requirements.in -o requirements.txt

.PHONY: jars-lock
jars-lock: setup ## rewrite lab/kafka-*.lock after lab/pom.xml changed (needs Maven)
	@$(BIN)/python -m lab.jars_lock
