# Two commands: `make demo` and `make test`. Each makes its own .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow test-faults test-cluster check format clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stsfusion needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[test,demo]'
	@touch $@

demo: $(READY)  ## a simulated series from a real scene, from catalog to report
	$(BIN)/stsfusion run pipelines/demo.yaml

test: $(READY)  ## about a quarter of an hour on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not gpu and not cluster" -n 2 --dist loadfile \
	  --no-loadscope-reorder

test-slow: $(READY)
	$(BIN)/python -m pytest -m "not gpu and not cluster" --timeout 3600

test-faults: $(READY)  ## every fault, hundreds of them: the long form of what `make test` tries in two minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults -m "not gpu and not cluster" --timeout 3600

test-cluster: $(READY)  ## real SLURM jobs; as root, with Debian's packages, in a SLURM of its own on loopback
	@command -v slurmctld >/dev/null && command -v munged >/dev/null || { apt-get update -q && \
	  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends slurm-wlm munge; }
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster tests/cluster

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf demo-out build dist *.egg-info
