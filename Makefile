# A fresh machine needs Python 3.11 or newer, make and a C compiler. Everything else is installed here, into .venv.

PYTHON ?= python3
ENGINE ?= local
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-vlm fuzz test test-models check bench clean

# What each target needs, installed once and again when pyproject.toml changes.
EXTRAS_local := demo
EXTRAS_ray := demo,ray
EXTRAS_beam := demo,beam

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$(if $(EXTRAS_$*),$(EXTRAS_$*),$*)]'
	@touch $@

demo: $(VENV)/.installed-$(ENGINE)
	$(BIN)/rzen-corpus demo --engine $(ENGINE) --folder demo$(if $(filter-out local,$(ENGINE)),-$(ENGINE))

# Two files of tests at a time: each runs engines and workers of its own.
TWO := --numprocesses 2 --dist loadfile --max-worker-restart 0

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(TWO)

# An hour of damaged files for every reader; `make test` has a minute of it. FUZZ takes other options.
FUZZ := --seconds 3600 --processes $(shell nproc) --first $(shell date +%s)
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz $(FUZZ)

# torch and vLLM live in an environment of their own: vLLM as it is built for the CPU, and torch likewise.
MODELS := .venv-models
$(MODELS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(MODELS)
	$(MODELS)/bin/python -m pip install --quiet --upgrade pip
	$(MODELS)/bin/python -m pip install --quiet --editable '.[models]'
	@touch $@

test-models: $(MODELS)/.installed
	$(MODELS)/bin/python -m pytest $(TWO) tests/models

demo-vlm: $(MODELS)/.installed
	$(MODELS)/bin/rzen-corpus demo --vlm --rows 400 --engine $(ENGINE) --folder demo-vlm

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# imagededup asks for torch, which its hashing does not need: it gets an environment of its own, without.
PEER := .venv-peer
$(PEER)/.installed:
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet --no-deps imagededup
	$(PEER)/bin/python -m pip install --quiet numpy pillow scipy scikit-learn pywavelets tqdm
	@touch $@

bench: $(VENV)/.installed-dev $(VENV)/.installed-bench $(PEER)/.installed $(MODELS)/.installed
	RZEN_PEER_PYTHON=$(PEER)/bin/python $(BIN)/python -m benchmarks.inspect
	for name in download duplicates export sample video text_duplicates label_spread mixture; do \
		$(BIN)/python -m benchmarks.$$name || exit 1; \
	done
	$(MODELS)/bin/python -m benchmarks.recaption
	$(BIN)/python -m benchmarks.scale

clean:
	rm -rf $(VENV) $(MODELS) $(PEER) demo demo-ray demo-beam demo-vlm .mypy_cache .pytest_cache .ruff_cache
