# Every target builds its prerequisites: Python 3.11 to 3.13 with its venv module is enough.
PYTHON ?= python3
DEMO_IMAGES ?= 400
DEMO_SEED ?= 1
PYTEST_ARGS ?=
# The command in front of `-t NAME -f FILE --target T .`: docker build, podman build, buildah bud, …
BUILDER ?= docker build
REGISTRY ?= localhost
TAG ?= dev
# The lock of TensorFlow for `make demo` and `make images`: tf, or tf-gpu for one that brings CUDA's libraries.
TF ?= tf
# A checkout of an earlier version with its environment, and the tag of its images: the tests of an upgrade begin with it.
export EARLIER ?=
export EARLIER_TAG ?=
# For the tests on a cluster: the number of tries per fault, of simultaneous runs, the seed of the moments, and the file from
# which an interrupted e2e-faults continues. KILL and STOP precede a container's id and send its first process SIGKILL and
# SIGSTOP; RESTART_API kills the API server and starts it again.
BCCD ?=
N ?= 10
AT_ONCE ?= 1
SEED ?= 1
STATE ?= faults.jsonl
export KILL ?=
export STOP ?=
export RESTART_API ?=

# For the chart: the location of kubeconform's schemas, including those of custom resources; kubeconform is not run if empty.
SCHEMAS ?=

# .ci/programs builds programs into this folder: helm, helm-unittest, kubeconform.
export PATH := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/slipway/bin:$(PATH)

venv := .venv
bin := $(venv)/bin
ready := $(venv)/.ready
gpu_venv := .venv-gpu
gpu_ready := $(gpu_venv)/.ready
demo_venv := $(if $(filter tf-gpu,$(TF)),$(gpu_venv),$(venv))

ifeq ($(filter tf tf-gpu,$(TF)),)
$(error TF is $(TF); choose tf, which trains on the CPU, or tf-gpu)
endif

help:  ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

demo: $(demo_venv)/.ready  ## Draw 400 images of a harbour and run the whole pipeline on them; TF=tf-gpu uses a GPU
	$(demo_venv)/bin/python tests/fakes/harbour.py demo/harbour --images $(DEMO_IMAGES) --seed $(DEMO_SEED)
	$(demo_venv)/bin/slipway run demo/harbour $(if $(PRESET),--preset $(PRESET))

test: $(ready)  ## Run every test, including those that train
	$(bin)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(ready)  ## Check format, style, types and imports; change nothing
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	PYTHONPATH=.:shared $(bin)/lint-imports

house: $(ready)  ## Measure folders, imports and names, and compare the figures with their limits
	$(bin)/python tests/measure_house.py $(if $(VERBOSE),--verbose)

fmt: $(ready)  ## Format the code, and apply the linter's fixes
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

images:  ## Build the images $(REGISTRY)/slipway-{light,data,tf}:$(TAG) with $(BUILDER)
	for target in light data tf; do \
	  $(BUILDER) --build-arg TF=$(TF) -t $(REGISTRY)/slipway-$$target:$(TAG) -f services/Dockerfile --target $$target . || exit 1; \
	done

e2e: $(ready)  ## Install the images of make images in the current cluster, and run the tests there
	REGISTRY=$(REGISTRY) TAG=$(TAG) BCCD=$(BCCD) SLIPWAY_TEST_CONTEXT=$$(kubectl config current-context) \
	  $(bin)/pytest -v tests/cluster $(PYTEST_ARGS)

e2e-faults: $(ready)  ## Inject each fault N times into the installation of make e2e, and print a table
	$(bin)/python -m tests.cluster.faults --tries $(N) --at-once $(AT_ONCE) --seed $(SEED) --state $(STATE) \
	  --kill "$$KILL" --restart-api "$$RESTART_API"

manifests: $(ready)  ## Write the generated files of charts/ and manifests/; needs helm
	$(controller) --crd > $(chart)/files/crd.yaml
	$(bin)/python charts/readme.py $(chart)
	$(bin)/python charts/grafana.py charts/dashboards $(chart)/dashboards
	$(controller) --jobs manifests/jobs/run.yaml --settings manifests/jobs/settings.yaml > manifests/jobs/jobs.yaml
	$(render) --show-only templates/crd.yaml > manifests/base/crd.yaml
	$(render) --set crds.install=false --values $(chart)/ci/quickstart-values.yaml > manifests/overlays/dev/all.yaml
	$(render) --set crds.install=false --values $(chart)/ci/gpu-values.yaml > manifests/overlays/gpu/all.yaml

model-garden: $(ready)  ## Write the list of Model Garden's fields that --set and presets may name
	$(bin)/python tests/model_garden_fields.py shared/slipway/run/model_garden.json

controller := PYTHONPATH=.:shared $(bin)/python -m services.controller
chart := charts/slipway
kube := --kube-version 1.31.0
render := helm template slipway $(chart) --namespace slipway --skip-tests $(kube)

findings: $(ready)  ## Write the table of docs/findings.md
	PYTHONPATH=.:shared $(bin)/python tests/findings_page.py docs/findings.md

networks: $(ready)  ## Write the shapes of each preset's variables, with which initial checkpoints are compared
	PYTHONPATH=.:shared $(bin)/python tests/networks.py

chart: .venv-checkov/.ready  ## Lint, test and check the chart in every variant; needs helm and helm-unittest
	set -e; rendered=$$(mktemp -d); trap 'rm -r "$$rendered"' EXIT; \
	for values in $(chart)/values.yaml $(chart)/ci/*-values.yaml; do \
	  helm lint --strict --quiet $(chart) --values $$values $(kube); \
	  helm template slipway $(chart) --namespace slipway --values $$values $(kube) > $$rendered/$$(basename $$values); \
	done; \
	if [ "$(SCHEMAS)" ]; then kubeconform -strict -summary -schema-location $(SCHEMAS) $$rendered; fi; \
	$$(command -v helm-unittest || echo helm unittest) $(chart); \
	.venv-checkov/bin/checkov --config-file $(chart)/ci/checkov.yaml --directory $$rendered

.venv-checkov/.ready: $(ready) requirements/checkov.txt
	$(PYTHON) -m venv --clear .venv-checkov
	$(bin)/uv pip install -q --python .venv-checkov/bin/python --no-deps --require-hashes -r requirements/checkov.txt
	@touch $@

lock: $(ready)  ## Compile requirements/ from pyproject.toml
	$(lock) requirements/uv.in -o requirements/uv.txt
	$(lock) requirements/checkov.in -o requirements/checkov.txt
	$(lock) pyproject.toml --extra light --extra data --extra tf --extra dev $(tensorflow) -o requirements/dev.txt
	$(lock) pyproject.toml --extra light $(as_tested) -o requirements/light.txt
	$(lock) pyproject.toml --extra data $(as_tested) -o requirements/data.txt
	$(lock) pyproject.toml --extra tf $(as_tested) $(tensorflow) -o requirements/tf.txt
	$(lock) pyproject.toml --extra tf-gpu $(as_tested) --excludes requirements/excludes.txt -o requirements/tf-gpu.txt

# The resolution is universal: packages of one platform have a marker. No index address is written.
lock := $(bin)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
tensorflow := --overrides requirements/overrides.txt --excludes requirements/excludes.txt
# dev.txt is compiled first, from the union of the environments: the images ship the versions that the tests run.
as_tested := --constraints requirements/dev.txt

# uv installs the lock in seconds, pip in minutes; pip checks the hash of uv. Bytecode is compiled here, in half a minute: if
# Python may not write it later (PYTHONDONTWRITEBYTECODE), each process would compile TensorFlow for 5 s.
# The environment for a GPU is beside .venv, where the tests run, and has none of their tools.
$(ready): locks := requirements/dev.txt
$(ready): requirements/dev.txt
$(gpu_ready): locks := requirements/data.txt requirements/tf-gpu.txt
$(gpu_ready): requirements/data.txt requirements/tf-gpu.txt
$(ready) $(gpu_ready): requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"$(PYTHON) is {v[0]}.{v[1]}; Slipway needs 3.11 to 3.13: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(@D)/bin/uv pip install -q --python $(@D)/bin/python --no-deps --require-hashes --compile-bytecode $(addprefix -r ,$(locks))
	$(@D)/bin/uv pip install -q --python $(@D)/bin/python --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: help demo test lint house fmt images e2e e2e-faults manifests model-garden networks chart lock
