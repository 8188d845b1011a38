# Start with `make up` and `make test`. `make` prints the list of targets.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export NEXT_TELEMETRY_DISABLED := 1

PYTHON ?=
UV := .venv-tools/bin/uv
LOCAL := .venv/bin/python -m deploy.local
PYTEST := .venv/bin/pytest

.PHONY: help up down status logs env smoke demo-bulk test check check-channels test-localstack localstack localstack-missing fmt lock clean venv dashboard \
  cloud synth function test-cdk

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- running it ------------------------------------------------------------------------------------

up: venv dashboard cloud ## start the local stack; AWS=embedded (default), localstack (Docker) or localstack-host; KEEP=1 keeps data after `down`
	@$(LOCAL) up

down: .venv/.installed ## stop the local stack
	@$(LOCAL) down

status: .venv/.installed ## list processes and ports
	@$(LOCAL) status

logs: .venv/.installed ## follow the logs; NAMES="api workers" selects some
	@$(LOCAL) logs $(NAMES)

env: .venv/.installed ## shell variables for the AWS CLI and `wecare`: eval "$(make -s env)"
	@$(LOCAL) env

# -- testing it ------------------------------------------------------------------------------------

check: .venv/.installed ## linters, type checks, import rules, contract tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTEST) tests/contracts

check-channels: .venv/.installed ## every sender and translator over its cases and the common faults, in about a minute
	$(PYTEST) tests/channels

test: venv ## all tests that need only Python
	$(PYTEST) tests -m "not localstack"

smoke: venv cloud ## the smoke scenario on a separate stack (AWS as above), which is deleted afterwards
	.venv/bin/python -m deploy.smoke

demo-bulk: venv cloud ## a bulk job to RECIPIENTS=2000 simulated people on a separate stack; prints speed and number of AWS calls
	.venv/bin/python -m deploy.demo_bulk --recipients $(or $(RECIPIENTS),2000)

test-localstack: venv localstack ## the flow tests on LocalStack, without Docker (Python 3.13, Java and npm); AGAIN=1: only failed ones
	$(PYTEST) -o addopts="-q --strict-markers" tests -m localstack --maxfail 8 $(if $(AGAIN),--lf)

# -- deploying it (docs/DEPLOY.md) ----------------------------------------------------------------

synth: .venv-cdk/.installed ## CloudFormation templates, without an account; HOSTS=lambda (default) or ecs, STAGE=dev
	@.venv-cdk/bin/python -m deploy.cdk --hosts $(or $(HOSTS),lambda) --stage $(or $(STAGE),dev) \
	  $(if $(PUBLIC_URL),--public-url $(PUBLIC_URL)) $(if $(CERTIFICATE),--certificate $(CERTIFICATE)) \
	  $(if $(SETTINGS),--settings $(SETTINGS))

function: .venv-tools/.installed ## dependencies of the Lambda functions, as wheels (arm64, Python 3.13)
	@rm -rf .local/cdk/dependencies
	@$(UV) pip install --quiet --require-hashes --only-binary :all: --no-binary localstack-client --python .venv-tools/bin/python --python-version 3.13 \
	  --python-platform aarch64-manylinux_2_28 --target .local/cdk/dependencies -r requirements/lambda.txt

test-cdk: .venv-cdk/.installed .venv-emulator/.installed ## compare the templates with the declarations, and deploy them to the embedded AWS
	.venv-cdk/bin/python -m pytest -c tests/cdk/pytest.ini --rootdir . tests/cdk

fmt: .venv/.installed ## format the code
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

lock: .venv-tools/.installed ## compile requirements/*.in into hash-pinned *.txt (UPGRADE=1 takes newer releases)
	deploy/local/lock $(if $(UPGRADE),--upgrade)

clean: ## stop the stack, and delete all generated files except the virtual environments
	@if [ -x .venv/bin/python ]; then $(LOCAL) down; fi
	rm -rf .local .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dashboard/out dashboard/.next
	find . -name __pycache__ -type d -not -path './.venv*' -not -path '*/node_modules/*' -prune -exec rm -rf {} +

# -- dependencies -----------------------------------------------------------------------------

venv: .venv/.installed .venv-emulator/.installed ## install the dependencies of the code and of the embedded AWS

.venv-tools/.installed: requirements/bootstrap.txt
	@python=$$(PYTHON="$(PYTHON)" deploy/local/find-python 3.11) && { "$$python" -m venv --clear .venv-tools \
	  || { echo "$$python cannot make virtual environments (on Debian: apt-get install python3-venv)" >&2; exit 1; }; }
	@.venv-tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# A virtual environment contains exactly the pinned packages; it is created again if its Python is missing.
.venv/.installed: requirements/dev.txt | .venv-tools/.installed
.venv-emulator/.installed: requirements/emulator.txt | .venv-tools/.installed
.venv-cdk/.installed: requirements/cdk.txt | .venv-tools/.installed
.venv/.installed .venv-emulator/.installed .venv-cdk/.installed:
	@$(@D)/bin/python -c '' 2>/dev/null || $(UV) venv --quiet --clear --python .venv-tools/bin/python $(@D)
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(@D)/bin/python $<
	@touch $@

# Prints the missing requirements for LocalStack without Docker; empty if there are none.
localstack-missing: .venv/.installed
	@PYTHON="$(PYTHON)" .venv/bin/python -m deploy.local.localstack_host missing

cloud: $(if $(filter localstack-host,$(AWS)),localstack)

localstack: .venv/.installed
	@PYTHON="$(PYTHON)" .venv/bin/python -m deploy.local.localstack_host set-up

# -- dashboard: built when its sources are newer than the build ------------------------------

ifneq ($(wildcard dashboard/package.json),)
DASHBOARD := $(shell find dashboard -type f -not -path '*/node_modules/*' -not -path 'dashboard/out/*' \
  -not -path 'dashboard/.next/*' -not -name next-env.d.ts -not -name '*.tsbuildinfo')
dashboard: dashboard/out/index.html
dashboard/node_modules/.installed: dashboard/package-lock.json
	@command -v npm >/dev/null || { echo "the dashboard needs Node 20 and npm; install them" >&2; exit 1; }
	cd dashboard && npm ci --no-audit --no-fund
	@touch $@
dashboard/out/index.html: $(DASHBOARD) dashboard/node_modules/.installed
	cd dashboard && npm run build
	@touch $@
else
dashboard:
endif
