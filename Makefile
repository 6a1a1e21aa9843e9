# `make help` lists the targets. The two to begin with: `make demo` and `make test`.

PY := .venv/bin/python
ARGS ?=
SEEDS ?= 5000
FAULTS ?= 200

.DEFAULT_GOAL := help
.PHONY: help venv demo screens check format test molecule bench rewrite soak docs lock dist clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## .venv with everything, the package itself installed editable
	@tools/setup.sh run

demo: ## two real nodes on this machine; ARGS=--once runs it unattended (root)
	@tools/setup.sh run
	@exec .venv/bin/servha lab demo $(ARGS)

check: venv ## style, types, who imports whom, the tables: seconds
	@tools/check.sh

format: venv ## rewrite the layout of the code
	@$(PY) -m ruff format -q .
	@$(PY) -m ruff check -q --fix .

test: ## every test that this machine can run
	@tools/setup.sh test
	@tools/check.sh code
	@$(PY) -m pytest -n 3 --dist loadscope $(ARGS)

molecule: ## every Molecule scenario on booted machines, about ten minutes (root); ARGS="-k failover" for one
	@tools/setup.sh test
	@SERVHA_MOLECULE=all $(PY) -m pytest tests/machines/test_molecule.py $(ARGS)

bench: ## timings, as ratios against a peer (root)
	@tools/setup.sh bench
	@$(PY) -m bench $(ARGS)

rewrite: venv ## regenerate the answers of tests/scenarios and the pages of docs/reference; then review the diff
	@$(PY) -m pytest -q tests/test_scenarios.py --rewrite
	@$(PY) tools/draw_rules.py docs/reference/rules.md
	@$(PY) tools/draw_api.py

soak: venv ## random faults for a long time: SEEDS=n simulated, then FAULTS=n on real nodes (root)
	@$(PY) -m servha.sim.soak $(SEEDS)
	@SERVHA_SOAK=1 FAULTS=$(FAULTS) $(PY) -m pytest -s tests/live/test_campaign.py tests/live/test_quorum_links.py
	@PG_FAULTS=20 $(PY) -m pytest -s tests/live/test_postgresql.py

screens: ## the console's pictures in docs/screens, made anew in both languages (root)
	@tools/setup.sh test
	@SERVHA_SCREENS=$(CURDIR)/docs/screens $(PY) -m pytest tests/live/test_console_chapter.py

docs: venv ## man pages and completions into build/
	@$(PY) tools/make_pages.py build

dist: venv ## offline installer and Debian package into build/; ARGS="--version 0.2.0 --arch aarch64"
	@$(PY) -m tools.dist $(ARGS)

lock: ## pin the newest allowed releases anew, with hashes
	@tools/lock.sh

clean: ## what the targets made, .venv included
	@rm -rf .venv .cache build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
