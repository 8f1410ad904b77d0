# Every target sets up what it needs: Python 3.11 to 3.13, make and a C++ compiler are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Compiled by hatch_build.py when the project is installed, so a change installs it anew.
COMPILED := $(addprefix extraction/,content.py features.py images.py markup.py metadata.py walk.py)
# Once here, and not in each of the many processes that a command starts.
export UV_COMPILE_BYTECODE := 1
LOCK_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

.PHONY: setup demo test test-abuse test-engines test-engines-full test-gpu lint bench bench-clip bench-decontamination bench-dedup bench-extraction bench-images bench-loader bench-parts bench-quality bench-training train-extraction lock clean

setup: $(VENV)/.installed-core

demo: $(VENV)/.installed-train
	rm -rf demo-out
	$(BIN)/curate demo --out demo-out

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

# Hostile inputs, servers and machines, in full: `make test` has a short version of each.
test-abuse: $(VENV)/.installed-dev
	CURATE_ABUSE=1 $(BIN)/python -m pytest tests/abuse

# Spark, Flink and Prism for real, on this machine: needs Java 17, Maven and Go as well. Every engine
# and every kind of failure once; test-engines-full has each failure on each engine.
test-engines: $(VENV)/.installed-dev .engines/.installed .venv-gcp/.installed
	CURATE_ENGINES=.engines $(BIN)/python -m pytest -vv --durations=10 tests/engines

test-engines-full: $(VENV)/.installed-dev .engines/.installed .venv-gcp/.installed
	CURATE_ENGINES_FULL=1 CURATE_ENGINES=.engines $(BIN)/python -m pytest -vv --durations=10 tests/engines

# On a machine with an NVIDIA GPU.
test-gpu: $(VENV)/.installed-dev
	CURATE_GPU=1 XLA_PYTHON_CLIENT_PREALLOCATE=false $(BIN)/python -m pytest tests/gpu

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What is compared with others runs beside them; what is measured of ourselves runs without them.
bench: .venv-bench/.installed $(VENV)/.installed-core
	.venv-bench/bin/python -m benchmarks archives extraction containers
	$(BIN)/python -m benchmarks plumbing

# Pages with known content are not part of the project: DATA is a folder with warc/ and its truth.
DATA ?= ../shared/data

bench-extraction: .venv-bench/.installed
	.venv-bench/bin/python -m benchmarks extraction --data $(DATA)/warc

# TEXTS is a folder of JSON lines files with real texts, of whose sentences documents are made.
TEXTS ?= $(DATA)/text

bench-dedup: .venv-datatrove/.installed $(VENV)/.installed-core
	$(BIN)/python -m benchmarks.deduplication rival $(TEXTS)
	$(BIN)/python -m benchmarks.deduplication scale $(TEXTS)

bench-decontamination: $(VENV)/.installed-core
	$(BIN)/python -m benchmarks.decontamination $(DATA)/bench $(TEXTS)

bench-quality: .venv-datatrove/.installed $(VENV)/.installed-core
	$(BIN)/python -m benchmarks.quality $(DATA)/warc

# IMAGES is a folder of image files, which a server on 127.0.0.1 gives to both.
bench-images: .venv-img2dataset/.installed $(VENV)/.installed-core
	$(BIN)/python -m benchmarks.images $(IMAGES)

# The same corpus in 100, 400 and 1,600 parts. OPTIONS="--parts 10 40 160" and so on.
bench-parts: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.parts $(OPTIONS)

bench-loader: .venv-bench/.installed
	.venv-bench/bin/python -m benchmarks.loader

# kosmos1 for 20 steps in bfloat16, with real shapes: for a GPU. OPTIONS="--config small" and so on.
bench-training: $(VENV)/.installed-train
	$(BIN)/python -m benchmarks.training $(OPTIONS)

# CLIP scores: on a GPU where there is one. OPTIONS="--model ViT-B-32" and so on.
bench-clip: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.clip $(OPTIONS)

train-extraction: .venv-bench/.installed
	.venv-bench/bin/python -m benchmarks.html.train $(DATA)

# Resolve the versions anew: one resolution for all extras, core and dev cut from it. What is only
# compared with in benchmarks is resolved apart, for its old pins are not ours.
lock: $(UV)
	$(UV) pip compile pyproject.toml $(LOCK_OPTIONS) --upgrade --all-extras --group dev -o lock/all.txt
	$(UV) pip compile pyproject.toml $(LOCK_OPTIONS) -c lock/all.txt -o lock/core.txt
	$(UV) pip compile pyproject.toml $(LOCK_OPTIONS) -c lock/all.txt --extra train -o lock/train.txt
	$(UV) pip compile pyproject.toml $(LOCK_OPTIONS) -c lock/all.txt --extra gcp -o lock/gcp.txt
	$(UV) pip compile pyproject.toml $(LOCK_OPTIONS) -c lock/all.txt --extra s3 --extra fallback --extra classifier --extra kenlm --extra nltk --extra clip --extra train --extra jax --group dev -o lock/dev.txt
	$(UV) pip compile pyproject.toml $(LOCK_OPTIONS) --upgrade --group bench -o lock/bench.txt
	$(UV) pip compile --group datatrove $(LOCK_OPTIONS) --upgrade -o lock/datatrove.txt
	$(UV) pip compile --group engines $(LOCK_OPTIONS) --upgrade -o lock/engines.txt
	$(UV) pip compile --group docker $(LOCK_OPTIONS) --upgrade -o lock/docker.txt
	$(UV) pip compile --group img2dataset $(LOCK_OPTIONS) --upgrade -o lock/img2dataset.txt

clean:
	rm -rf $(VENV) .venv-bench .venv-datatrove .venv-img2dataset .engines .venv-gcp demo-out

$(UV):
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "curate needs Python 3.11 to 3.13 (got %s): make PYTHON=python3.12" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv

$(VENV)/.installed-%: lock/%.txt pyproject.toml hatch_build.py $(COMPILED) | $(UV)
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --require-hashes -r lock/$*.txt
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps -e .
	touch $@

.venv-bench/.installed: lock/bench.txt pyproject.toml hatch_build.py $(COMPILED) | $(UV)
	$(PYTHON) -m venv .venv-bench
	VIRTUAL_ENV=.venv-bench $(UV) pip install --quiet --require-hashes -r lock/bench.txt
	VIRTUAL_ENV=.venv-bench $(UV) pip install --quiet --no-deps -e .
	touch $@

.venv-img2dataset/.installed: lock/img2dataset.txt | $(UV)
	$(PYTHON) -m venv .venv-img2dataset
	VIRTUAL_ENV=.venv-img2dataset $(UV) pip install --quiet --require-hashes -r lock/img2dataset.txt
	touch $@

.engines/.installed: lock/engines.txt tests/engines/install.sh tests/engines/pom.xml | $(UV)
	tests/engines/install.sh .engines
	touch $@

.venv-gcp/.installed: lock/gcp.txt pyproject.toml hatch_build.py $(COMPILED) | $(UV)
	$(PYTHON) -m venv .venv-gcp
	VIRTUAL_ENV=.venv-gcp $(UV) pip install --quiet --require-hashes -r lock/gcp.txt
	VIRTUAL_ENV=.venv-gcp $(UV) pip install --quiet --no-deps -e .
	touch $@

.venv-datatrove/.installed: lock/datatrove.txt | $(UV)
	$(PYTHON) -m venv .venv-datatrove
	VIRTUAL_ENV=.venv-datatrove $(UV) pip install --quiet --require-hashes -r lock/datatrove.txt
	touch $@
