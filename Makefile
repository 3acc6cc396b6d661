# Everything a person types; each target sets up what it needs.
PYTHON ?= python3
VENV := .venv/bin
TOKENIZER := build/qwen3-tokenizer/tokenizer.json
GEMMA := build/gemma2-tokenizer/tokenizer.json
ADAPTERS := tests/runtime/integrations
ROOMS := $(patsubst %/__init__.py,%,$(wildcard runtime/*/__init__.py))

.PHONY: help demo dist test coverage fuzz serve-fuzz web contract peers clients frameworks clusters triton lowest setup check types docs links bench bench-quick bench-exports bench-serve fidelity clean

help: ## Show these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/'

demo: .venv/ready ## Export the embedded demo checkpoint to q4, rank real text, show the parity table
	$(VENV)/export-model demo --q4 --force
	$(VENV)/onnxrank rank artifacts/demo "sort the values of an array along an axis" --documents docs/demo-documents.txt --top-k 5

test: .venv/ready $(TOKENIZER) $(GEMMA) ## Run all tests
	OMP_NUM_THREADS=1 $(VENV)/python -m pytest -n 2 --durations 20

coverage: .venv/ready $(TOKENIZER) $(GEMMA) ## Run all tests, and show the lines and branches that none of them ran
	$(VENV)/coverage erase
	OMP_NUM_THREADS=1 $(VENV)/coverage run -m pytest -n 2
	$(VENV)/coverage combine -q
	$(VENV)/coverage report

fuzz: .venv/ready ## Run the campaign of bad input at length
	OMP_NUM_THREADS=1 $(VENV)/python -m pytest tests/fuzz --hypothesis-profile long --capture=sys

serve-fuzz: .venv/ready ## Send 5,000 requests made from the server's OpenAPI document, good and bad
	SERVE_FUZZ_CASES=5000 OMP_NUM_THREADS=1 $(VENV)/python -m pytest tests/serve/http/test_openapi.py

web: .venv/ready runtime/web/node_modules/ready /usr/bin/chromium ## Check the module for browsers: types, Node, Chromium on WASM and WebGPU
	OMP_NUM_THREADS=1 $(VENV)/python -m tests.web.fixtures build/web
	cd runtime/web && npm run --silent check && npm test --silent
	cd runtime/web && PYTHON=$(abspath $(VENV))/python npm run --silent test:browser

contract: .venv/ready ## Write what JavaScript shares with Python: the manifest's shape and constants
	$(VENV)/python -m tests.web.contract

peers: .venv-peers/ready ## Run the families on transformers 4, and our artifacts in optimum, sentence-transformers and PyLate
	OMP_NUM_THREADS=1 .venv-peers/bin/python -m pytest -n 2 tests/test_families.py
	OMP_NUM_THREADS=1 .venv-peers/bin/python -m pytest -n 2 tests/peers

clients: .venv-clients/ready artifacts/demo/reranker.json ## Rank with the clients of other services, unmodified from PyPI and npm
	OMP_NUM_THREADS=1 $(VENV)/python -m tests.clients

frameworks: .venv-frameworks/ready artifacts/demo/reranker.json ## Run the adapters in LangChain, LlamaIndex and Haystack, and check the manifests for Kubernetes
	OMP_NUM_THREADS=1 .venv-frameworks/bin/python -m pytest --confcutdir=$(ADAPTERS) $(ADAPTERS)

clusters: .venv-clusters/ready artifacts/demo/reranker.json /usr/bin/java ## Score 20,000 pairs with Ray Data and with Spark, of which a worker is killed
	PAIRS=20000 PYTHONPATH=$(CURDIR) OMP_NUM_THREADS=1 .venv-clusters/bin/python -m pytest --confcutdir=$(ADAPTERS) $(ADAPTERS)

triton: .venv-triton/ready artifacts/demo/reranker.json ## Score in Triton's python backend, with the server that nvidia-pytriton brings
	OMP_NUM_THREADS=1 .venv-triton/bin/python -m pytest --confcutdir=$(ADAPTERS) $(ADAPTERS)

lowest: .venv-lowest/ready artifacts/demo/reranker.json ## Run the runtime on the oldest releases that the package allows
	LOWEST=1 .venv-lowest/bin/python -m pytest --confcutdir=tests/lowest tests/lowest

artifacts/demo/reranker.json: .venv/ready
	$(VENV)/export-model demo --q4 --force

setup: .venv/ready .venv-peers/ready .venv-clients/ready .venv-frameworks/ready .venv-lowest/ready runtime/web/node_modules/ready /usr/bin/chromium $(TOKENIZER) $(GEMMA) ## Install what the other targets need, side by side with -j

check: .venv/ready types ## Lint, formatting and types
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .

types: .venv/ready links
	$(VENV)/mypy -p onnxrank
	$(VENV)/mypy tests
	$(VENV)/mypy -p benchmarks
	$(VENV)/mypy docs

# The settings are in mkdocs.yml. The variable silences a notice about the future of MkDocs; it is no warning of the build.
docs: .venv/ready links ## Build the documentation site in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)/mkdocs build -q --strict
	@! grep -rlE '<(script|link|img)[^>]* (src|href)="?(https?:)?//' build/site --include='*.html' # requests to other servers

# mypy and mkdocstrings do not follow the editable install's mapping of folders to packages: give them the layout as links.
links:
	rm -rf build/types && mkdir -p build/types/onnxrank
	ln -s $(addprefix ../../../,$(wildcard runtime/*.py) $(ROOMS) runtime/py.typed export quantize) build/types/onnxrank/

# From the time of the last commit, so that everybody builds the same bytes. tsc keeps types of files that are gone.
dist: .venv/ready runtime/web/node_modules/ready ## Build the wheel, the sdist and the npm package of a release in dist/
	rm -rf dist runtime/web/types
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(VENV)/python -m tests.distribution dist
	cd runtime/web && npm pack --silent --pack-destination ../../dist

bench: .venv/ready $(TOKENIZER) $(GEMMA) ## Install the peers and compare speed, memory and size with them
	$(VENV)/python -m benchmarks.bench

bench-quick: .venv/ready $(TOKENIZER) ## The same in ten minutes, once the peers are installed
	$(VENV)/python -m benchmarks.bench --quick

bench-exports: .venv/ready $(TOKENIZER) $(GEMMA) ## Export full-size checkpoints; report time, memory, sizes, parity and exits
	$(VENV)/python -m benchmarks.export_full_size q4 int8
	$(VENV)/python -m benchmarks.export_full_size fp32
	$(VENV)/python -m benchmarks.encoders colbert
	$(VENV)/python -m benchmarks.encoders xlm-roberta
	$(VENV)/python -m benchmarks.encoders mmbert --keep
	$(VENV)/python -m benchmarks.long_text build/mmbert-artifact
	$(VENV)/python -m benchmarks.maxsim

bench-serve: .venv/ready ## Install other servers and compare latency, throughput and memory under load with them
	$(VENV)/python -m benchmarks.serving.bench

fidelity: .venv/ready ## Train checkpoints, install llama.cpp, and compare how well engines keep PyTorch's ranking
	$(VENV)/python -m benchmarks.fidelity.bench

clean: ## Remove what the other targets made
	rm -rf .venv .venv-peers .venv-clients .venv-frameworks .venv-clusters .venv-triton .venv-lowest build dist artifacts/demo runtime/web/node_modules tests/clients/npm/node_modules runtime/web/types *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

# torch first and by exact version: see constraints.txt.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(VENV)/pip install -q -c constraints.txt torch==2.13.0
	$(VENV)/pip install -q -c constraints.txt -e ".[cpu,parquet,retrieval,serve,export,dev,docs]"
	@touch $@

runtime/web/node_modules/ready: runtime/web/package-lock.json
	cd runtime/web && npm ci --ignore-scripts
	@touch $@

/usr/bin/chromium:
	@test -n "$$CI" || { echo "Chromium is missing: apt-get install chromium" >&2; exit 1; }
	apt-get update -qq
	apt-get install -y -qq chromium

# Not while .venv is made: both build the package in this folder.
.venv-peers/ready: .venv-peers/packages | .venv/ready
	.venv-peers/bin/pip install -q --no-deps -e .
	@touch $@

.venv-peers/packages: tests/peers/requirements.txt tests/peers/requirements-no-deps.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install -q torch==2.13.0
	.venv-peers/bin/pip install -q -r tests/peers/requirements.txt
	.venv-peers/bin/pip install -q --no-deps -r tests/peers/requirements-no-deps.txt
	@touch $@

# Two environments, and a folder of npm's; uv, because pip takes minutes to unpack them.
.venv-clients/ready: $(wildcard tests/clients/*/requirements.txt) tests/clients/npm/package-lock.json
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/pip install -q uv
	for name in cohere5 cohere7; do \
		.venv-clients/bin/uv venv -q --clear .venv-clients/$$name --python $(PYTHON) && \
		.venv-clients/bin/uv pip sync -q --python .venv-clients/$$name tests/clients/$$name/requirements.txt || exit 1; \
	done
	cd tests/clients/npm && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# Not while the others build the package in this folder. pyspark alone is half a gigabyte: of these environments, `make
# setup` and CI make that of the frameworks only.
.venv-frameworks/ready .venv-clusters/ready .venv-triton/ready: .venv-%/ready: $(ADAPTERS)/%.txt pyproject.toml | .venv/ready .venv-peers/ready
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install -q -r $<
	.venv-$*/bin/pip install -q --no-deps -e .
	@touch $@

/usr/bin/java:
	apt-get update -qq
	apt-get install -y -qq default-jre-headless

# After the others, which build the package in this folder too.
.venv-lowest/ready: pyproject.toml | .venv/ready .venv-peers/ready .venv-frameworks/ready
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install -q uv
	.venv-lowest/bin/uv pip install -q --python .venv-lowest/bin/python --resolution lowest-direct \
		-e ".[cpu,retrieval]" "pytest>=9"
	@touch $@

# The tokenizers of all Qwen3 models and of mmBERT, for tests that need the real ones and for benchmarks.
$(TOKENIZER) $(GEMMA):
	@$(PYTHON) tests/fetch_tokenizer.py $@
