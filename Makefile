# Every target sets itself up: Python 3.13 and a package index are all that a machine needs, but for what a target names.
# Without Python 3.13, uv makes one.  `make PYTHON=/path/to/python3.13` names one.
# Locked dependencies (with hashes) are in requirements/; `make lock` renews them.

include requirements/environment.mk

PORT ?= 3000
EVENT ?= events/launch.json
FUZZ_SECONDS ?= 60
# A release younger than this is not locked: most bad releases are withdrawn within days.
COOL_DOWN ?= 7 days

BIN := .venv/bin
SAM := .venv-sam/bin/sam
# What PYTHON names is in the environment of this script.
INSTALL := requirements/install
# uv does not read pip's settings.
INDEX := UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}}"
# Without --upgrade, uv keeps what its output has already.
COMPILE := $(INDEX) $(BIN)/uv pip compile --quiet --upgrade --python-version 3.13 --universal --generate-hashes --no-emit-index-url \
	--exclude-newer '$(COOL_DOWN)' --custom-compile-command 'make lock'
AS_SHIPPED := -c requirements/functions.txt --override requirements/overrides.txt
# What funds a package is an address in a file of names, versions and hashes.
NO_ADDRESSES := node -e 'const fs = require("fs"); const lock = JSON.parse(fs.readFileSync("package-lock.json")); \
	for (const name in lock.packages) delete lock.packages[name].funding; \
	fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n")'
# The lock has hashes but no addresses: it holds for whatever registry a machine is set up with.
NPM_LOCK := npm install --package-lock-only --omit-lockfile-registry-resolved --min-release-age=$(firstword $(COOL_DOWN)) \
	--ignore-scripts --no-audit --no-fund --loglevel=error
CHECKOV := BC_SKIP_MAPPING=TRUE .venv-checkov/bin/python -m checkov.main --framework cloudformation --skip-download --compact --quiet
NO_FINDINGS := 'Failed checks: 0, Skipped checks: [0-9]*$$'
# What looks like a secret and is none: the demo workspace's tokens and page cursors, which only a local table holds (demo.py); an id of an API
# and a JWT without a signature, made up for events; the alphabet of base58; words.
NO_SECRETS := --exclude-secrets PubLicDemoKeyForLocaLUse --exclude-secrets '^a1b2c3d4e5$$' --exclude-secrets '^eyJhbGciOiJub25lIn0\.' \
	--exclude-secrets '^123456789ABC.*xyz$$' --exclude-secrets WiNkZTMwMDAwMC0wMDAwLTQw --exclude-secrets '^(de30|local|made-up|seam_secret|api_key|API Key( not found)?)$$'
JAVASCRIPT := $(patsubst %/package.json,%,$(wildcard tests/acceptance/javascript/*/package.json))
TYPESCRIPT := tests/acceptance/clients/typescript

.DEFAULT_GOAL := help
.PHONY: help run invoke test test-browser test-build test-setup test-deploy test-sam-local test-document test-javascript test-clients \
	test-faults test-races soak test-hostile fuzz test-mutation reliability figures bench flat burst scale cost check \
	gates audit format openapi answers published sbom build sam-local invoke-docker deploy lock lock-javascript clean \
	node

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/run.stamp ## the deployed system on this machine, on 127.0.0.1:$(PORT); no AWS, no Docker
	@exec $(BIN)/enrollments local run --port $(PORT)

invoke: .venv/run.stamp ## run one event in process and print the response: make invoke EVENT=events/launch.json
	@exec $(BIN)/enrollments local invoke "$(EVENT)"

test: .venv/dev.stamp .venv-seam-1/stamp .venv-seam-3/stamp ## all tests, but for those of the targets below
	@$(BIN)/pytest $(ARGS)

test-browser: node .venv/dev.stamp $(JAVASCRIPT:=/node_modules/stamp) ## /docs and pages with the JavaScript SDKs in Chromium; needs Debian's packages chromium and chromium-driver
	@$(BIN)/pytest -m browser -n 0 $(ARGS) tests/acceptance

test-build: build .venv/dev.stamp ## what is shipped: built twice, as published, started without compiling
	@$(BIN)/pytest -m artefacts -n 0 $(ARGS) tests/artefacts

test-setup: .venv/dev.stamp ## the commands that set something up, in a new clone in a folder with spaces; needs git
	@$(BIN)/pytest -m setup -n 0 $(ARGS) tests/setup

test-deploy: .venv/dev.stamp .venv-sam/stamp ## make deploy to a stand-in for AWS, twice; needs ../shared/workbench
	@$(BIN)/pytest -m deploy -n 0 $(ARGS) tests/deploy

test-sam-local: build .venv/dev.stamp .venv-seam-1/stamp .venv-seam-3/stamp ## acceptance tests and events/ in Lambda's containers
	@ENROLLMENTS_SAM=$(SAM) $(BIN)/pytest -n 0 $(ARGS) tests/acceptance \
		-m "not browser and not clients and not gateway and not javascript and not schemathesis"

test-document: .venv/dev.stamp .venv-schemathesis/stamp ## requests that schemathesis makes up from openapi.json
	@$(BIN)/pytest -m schemathesis -n 3 --dist load $(ARGS) tests/acceptance

test-clients: node .venv/dev.stamp .venv-clients/stamp $(TYPESCRIPT)/node_modules/stamp ## clients generated from openapi.json: they compile and launch
	@$(BIN)/pytest -m clients -n 0 $(ARGS) tests/acceptance

test-races: .venv/dev.stamp ## requests at the same moment; needs a DynamoDB server (ENROLLMENTS_DYNAMODB_ENDPOINT)
	@$(BIN)/pytest -m races -n 0 -s $(ARGS) experiments/reliability

soak: .venv/dev.stamp ## made-up sequences of requests, for as long as ENROLLMENTS_SOAK_SECONDS; needs a DynamoDB server, as above
	@$(BIN)/pytest -m soak -n 0 -s $(ARGS) experiments/reliability

test-mutation: .venv/dev.stamp .venv-mutation/stamp ## mutants of the package; an hour and more the first time, then what has changed
	@.venv-mutation/bin/python -m experiments.reliability.mutation $(ARGS)

# pytest's logging would keep every line of every request.
test-hostile: .venv/dev.stamp ## requests that nobody should send, by the thousand, and how long a wrong secret takes
	@$(BIN)/pytest -m hostile -n 0 -s -p no:logging $(ARGS) experiments/reliability

# atheris alone is in its environment: what it fuzzes runs with what the tests run with.
fuzz: .venv/dev.stamp .venv-atheris/stamp ## bodies and tokens that atheris makes up from what they reach: FUZZ_SECONDS=60
	@PYTHONPATH=.:layers/enrollment:cli:.venv/lib/python3.13/site-packages .venv-atheris/bin/python -m experiments.reliability.fuzz \
		-max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $(ARGS)

# Hours.  An experiment can be run again by its own target, with ENROLLMENTS_FIGURES=1, and the figures then be written.
reliability scale: export ENROLLMENTS_FIGURES = 1
reliability: export ENROLLMENTS_SOAK_STEPS ?= 50000
reliability: export ENROLLMENTS_RACE_ROUNDS ?= 500
reliability: export ENROLLMENTS_FUZZ_REQUESTS ?= 200000
reliability: .venv/dev.stamp .venv-mutation/stamp ## all experiments of docs/reliability.md in full, and their figures into it
	@failed=0; \
	$(BIN)/pytest -m "faults or hostile or races or soak" -n 0 -s -p no:logging $(ARGS) experiments/reliability || failed=1; \
	$(BIN)/pytest -n 0 experiments/reliability/test_time.py || failed=1; \
	$(MAKE) --no-print-directory test-mutation || failed=1; \
	$(BIN)/python -m experiments.figures --write; exit $$failed

figures: .venv/dev.stamp ## what the experiments' last runs have left, into docs/; and which figures are older than the code
	@$(BIN)/python -m experiments.figures --write

test-faults: .venv/dev.stamp ## every fault at every request to DynamoDB; needs a DynamoDB server, like test-races
	@$(BIN)/pytest -m faults -n 0 $(ARGS) experiments/reliability

flat: .venv/dev.stamp ## what a call costs with 1,000 automations and with 200,000; needs a DynamoDB server, as above
	@$(BIN)/pytest -m flat -n 0 -s $(ARGS) experiments/scale

burst: .venv/dev.stamp ## 10,000 launches in a minute, simulated with the code's own requests and DynamoDB's limits
	@$(BIN)/python -m experiments.scale.burst

scale: flat burst ## both, and their figures into docs/scale.md
	@$(BIN)/python -m experiments.figures --write >/dev/null

cost: .venv/dev.stamp ## renew docs/cost.md: what a million launches cost
	@$(BIN)/python -m experiments.scale.cost

test-javascript: node .venv/dev.stamp $(JAVASCRIPT:=/node_modules/stamp) ## the tests of the JavaScript SDKs
	@$(BIN)/pytest -m javascript -n 0 $(ARGS) tests/acceptance

bench: build .venv-bench/stamp ## what is shipped, timed under Lambda's runtime client beside other ways to write it; ARGS=--help
	@.venv-bench/bin/python -m experiments.bench $(ARGS)

check: .venv/dev.stamp .venv-sam/stamp ## format, lint, strict types, docstrings, template, gates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(foreach app,$(filter-out functions/authorizer/%,$(wildcard functions/*/app.py)),$(BIN)/mypy $(app) &&) true
	$(BIN)/enrollments openapi --check
	$(BIN)/python -m experiments.figures --check
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	@$(MAKE) --no-print-directory gates audit

# A skip stands at its resource in template.yaml, with its reason; but SAM hands the API's metadata on to the API and not to
# its stage.  checkov's own status is 0 after a template that it cannot read.
gates: .venv/run.stamp .venv-sam/stamp .venv-checkov/stamp .venv-gates/stamp ## rules for serverless templates, policies, secrets
	@mkdir -p .local
	.venv-sam/bin/cfn-lint --append-rules cfn_lint_serverless.rules --regions us-east-1 --template template.yaml
	@$(BIN)/enrollments local expand > .local/expanded.json
	$(CHECKOV) --file template.yaml | tee .local/checkov.txt; grep -q $(NO_FINDINGS) .local/checkov.txt
	$(CHECKOV) --file .local/expanded.json --skip-check CKV_AWS_120 | tee .local/checkov.txt; grep -q $(NO_FINDINGS) .local/checkov.txt
	@echo detect-secrets
	@git ls-files -z | xargs -0 .venv-gates/bin/detect-secrets-hook $(NO_SECRETS)
	@! git grep -nE 'seam_[1-9A-HJ-NP-Za-km-z]{8,12}_[1-9A-HJ-NP-Za-km-z]{24}' | grep -v ubLicDemoKeyForLocaLUs

# An old release with known vulnerabilities tells whether the service knows any.
audit: .venv-gates/stamp ## known vulnerabilities of what is locked, where pip-audit's service answers
	@mkdir -p .local && echo 'jinja2==2.11.0' > .local/vulnerable.txt
	@if .venv-gates/bin/pip-audit --disable-pip --no-deps -r .local/vulnerable.txt 2>&1 | grep -q 'PYSEC\|GHSA\|CVE'; then \
		.venv-gates/bin/pip-audit --strict --disable-pip -r requirements/functions.txt -r requirements/dev.txt; \
	else \
		echo "Left out: pip-audit, because its service does not answer on this machine"; \
	fi

format: .venv/dev.stamp ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: .venv/run.stamp ## renew what is made from the route table: openapi.json and the authorizer's list for client sessions
	@$(BIN)/enrollments openapi --write

answers: .venv/dev.stamp ## renew tests/integration/answers.json, what events/ are answered with
	@$(BIN)/python -m tests.integration.answers

published: .venv/dev.stamp ## renew tests/acceptance/published_schemas.json, for who has Seam's OpenAPI document
	@$(BIN)/python -m tests.acceptance.published

sbom: .venv-gates/stamp ## what the functions are made of, as CycloneDX, validated: .aws-sam/sbom.cdx.json
	@mkdir -p .aws-sam
	@PYTHONWARNINGS=ignore .venv-gates/bin/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --mc-type application \
		-o .aws-sam/sbom.cdx.json requirements/functions.txt

build: .venv-sam/stamp sbom ## both layers and the functions, as they are deployed; CUT= leaves botocore's data whole
	@BUILD_PYTHON="$$PWD/.venv-sam/bin/python" SAM_CLI_TELEMETRY=0 $(SAM) build

sam-local: build .venv/run.stamp ## what is built, in Lambda's containers, on 127.0.0.1:$(PORT); needs Docker
	@exec $(BIN)/enrollments local sam --sam $(SAM) --port $(PORT)

invoke-docker: build .venv/run.stamp ## run one event in Lambda's container: make invoke-docker EVENT=events/launch.json
	@exec $(BIN)/enrollments local sam-invoke --sam $(SAM) "$(EVENT)"

deploy: build ## deploy to AWS; the first time asks for what it needs
	@SAM_CLI_TELEMETRY=0 $(SAM) deploy $(ARGS)

# What ships is locked for itself, so that no developers' tool holds it back; what is run and tested is what ships.
lock: .venv/dev.stamp ## renew the locked dependencies
	$(COMPILE) pyproject.toml -o requirements/functions.txt
	$(COMPILE) pyproject.toml --extra run $(AS_SHIPPED) -o requirements/run.txt
	$(COMPILE) pyproject.toml --extra run --group dev $(AS_SHIPPED) -c requirements/run.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra run --group mutation $(AS_SHIPPED) -c requirements/dev.txt -o requirements/mutation.txt
	$(COMPILE) --group bench -c requirements/run.txt -o requirements/bench.txt
	$(COMPILE) --group sam -o requirements/sam.txt
	$(COMPILE) --group seam-1 -o requirements/seam-1.txt
	$(COMPILE) --group seam-3 -o requirements/seam-3.txt
	$(COMPILE) --group atheris -o requirements/atheris.txt
	$(COMPILE) --group schemathesis -o requirements/schemathesis.txt
	$(COMPILE) --group clients -o requirements/clients.txt
	$(COMPILE) --group checkov -o requirements/checkov.txt
	$(COMPILE) --group gates -o requirements/gates.txt
	$(COMPILE) --group pip -o requirements/pip.txt
	$(COMPILE) --group uv -o requirements/uv.txt

lock-javascript: node ## renew those of the JavaScript SDKs and of the generated clients
	$(foreach folder,$(JAVASCRIPT) $(TYPESCRIPT),(cd $(folder) && rm -rf package-lock.json node_modules && $(NPM_LOCK) && $(NO_ADDRESSES)) &&) true

clean: ## remove what the targets made
	@[ ! -d .local ] || chmod -R u+w .local
	rm -rf .venv .venv-* .uv .hypothesis .local .aws-sam .mypy_cache .pytest_cache .ruff_cache $(JAVASCRIPT:=/node_modules) $(TYPESCRIPT)/node_modules

.venv/run.stamp: requirements/run.txt pyproject.toml
	@echo "Installing $< (about 15 s, once)"
	@$(INSTALL) .venv $<
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@echo "Installing $< (about 15 s, once)"
	@$(INSTALL) .venv $<
	@touch $@

# Environments of their own: what they pin or replace must not reach the code under test.
.venv-%/stamp: requirements/%.txt
	@echo "Installing $< (once)"
	@$(INSTALL) .venv-$* $<
	@touch $@

node:
	@command -v node >/dev/null && command -v npm >/dev/null \
		|| { echo "node and npm are needed for the JavaScript SDKs and the generated clients" >&2; exit 1; }

# No script of a package runs. Newer releases ask for a newer node than they need, which npm would warn about.
%/node_modules/stamp: %/package-lock.json | node
	@echo "Installing $< (once)"
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
