# `make` without a target lists the targets.  `##@` begins a group of the list, and `##` is a target's line in it.
#
# Each target installs what it needs.  A machine needs Python 3.13 and a package index, and what a target's line names.
# If there is no Python 3.13, uv downloads one.  `make PYTHON=/path/to/python3.13` chooses a Python.
# The locks in requirements/ name each package with its hashes; `make lock` renews them.

include requirements/environment.mk

PORT ?= 3000
CONNECTOR_PORT ?= 3100
EVENT ?= events/launch.json
FUZZ_SECONDS ?= 60
# A lock takes no release that is younger than this.  Most bad releases are withdrawn within days.
COOL_DOWN ?= 7 days

BIN := .venv/bin
SAM := .venv-sam/bin/sam
# The script reads PYTHON from its environment.
INSTALL := requirements/install
# uv does not read pip's settings, so it is told the package index.
INDEX := UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}}"
# Without --upgrade, uv keeps the versions that are in the lock already.
COMPILE := $(INDEX) $(BIN)/uv pip compile --quiet --upgrade --python-version 3.13 --universal --generate-hashes --no-emit-index-url \
	--exclude-newer '$(COOL_DOWN)' --custom-compile-command 'make lock'
AS_SHIPPED := -c requirements/functions.txt --override requirements/overrides.txt
# npm writes addresses for donations into its lock.  The lock is to have names, versions and hashes only.
NO_ADDRESSES := node -e 'const fs = require("fs"); const lock = JSON.parse(fs.readFileSync("package-lock.json")); \
	for (const name in lock.packages) delete lock.packages[name].funding; \
	fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n")'
# The lock has no addresses of a registry, so that it works with the registry that a machine is set up with.
NPM_LOCK := npm install --package-lock-only --omit-lockfile-registry-resolved --min-release-age=$(firstword $(COOL_DOWN)) \
	--ignore-scripts --no-audit --no-fund --loglevel=error
CHECKOV := BC_SKIP_MAPPING=TRUE .venv-checkov/bin/python -m checkov.main --framework cloudformation --skip-download --compact --quiet
NO_FINDINGS := 'Failed checks: 0, Skipped checks: [0-9]*$$'
# These look like secrets but are none: the demo workspace's tokens and page cursors (demo.py), which only a local table
# accepts; the secret of its webhook, which is derived from another public constant; an API's id, an unsigned JWT and checksums,
# which are made up for events; the alphabet of base58; the template's words for making a secret; some words.
NO_SECRETS := --exclude-secrets PubLicDemoKeyForLocaLUse --exclude-secrets '^a1b2c3d4e5$$' --exclude-secrets '^eyJhbGciOiJub25lIn0\.' \
	--exclude-secrets '^123456789ABC.*xyz$$' --exclude-secrets WiNkZTMwMDAwMC0wMDAwLTQw --exclude-secrets '^(de30|local|made-up|seam_secret|SEAM_API_KEY|api_key|API Key( not found)?)$$' \
	--exclude-secrets '^(whsec_|demo-secret-of-webhooks|arn:aws:|made-up-)' \
	--exclude-lines '"(eventID|md5OfBody)": "[0-9a-f]{32}"|Name: !Sub [$$]{AWS::StackName}-webhooks|GenerateSecretString|secretsmanager:GetSecretValue'
JAVASCRIPT := $(patsubst %/package.json,%,$(wildcard tests/acceptance/javascript/*/package.json))
TYPESCRIPT := tests/acceptance/clients/typescript

.DEFAULT_GOAL := help
.PHONY: help run invoke connector build sbom deploy test test-document test-javascript test-clients test-browser test-build test-deploy test-month \
	test-setup check gates audit format sam-local invoke-docker test-sam-local test-large test-faults test-races test-kills test-provisioning soak test-hostile fuzz \
	test-mutation reliability bench flat burst scale figures openapi answers published cost lock lock-javascript clean node

##@ Start

run: .venv/run.stamp ## serve the API on this machine, without AWS or Docker; CONNECTOR=1 (5 s to start)
	@exec $(BIN)/enrollments local run --port $(PORT) $(if $(CONNECTOR),--connector "$(CONNECTOR)" --connector-port $(CONNECTOR_PORT))

invoke: .venv/run.stamp ## run one event and print the response; EVENT=events/launch.json (5 s)
	@exec $(BIN)/enrollments local invoke "$(EVENT)"

connector: .venv/run.stamp ## serve the example of a connector, whose secret is in CONNECTOR_SECRET (1 s)
	@PORT=$(CONNECTOR_PORT) exec $(BIN)/python -m examples.connector.connector

help: ## print this list
	@echo 'New here?  Type "make run".  It takes a minute the first time, and installs into this folder only.'
	@echo 'Then open the page that it names.  README.md has the same as a script.'
	@echo
	@echo 'Times in brackets are for two idle cores.  The first call of a target also installs what it needs,'
	@echo 'which takes up to two minutes.  ARGS="…" gives the program of a target more arguments.'
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' Makefile

##@ Deploy

# The answers to --guided are in a file that git does not track.  samconfig.toml has what they begin with.
deploy: .venv/run.stamp ## build, and deploy to your AWS account; ARGS=--guided the first time (minutes)
	@$(BIN)/enrollments deploy check $(ARGS)
	@$(MAKE) --no-print-directory build
	@if [ -f samconfig.local.toml ]; then set -- --config-file "$$PWD/samconfig.local.toml"; fi; \
		SAM_CLI_TELEMETRY=0 $(SAM) deploy "$$@" $(ARGS)
	@$(BIN)/enrollments deploy show $(ARGS)

build: .venv-sam/stamp sbom ## build what is deployed; CUT= keeps all files of the packages (1 min)
	@BUILD_PYTHON="$$PWD/.venv-sam/bin/python" SAM_CLI_TELEMETRY=0 $(SAM) build

sbom: .venv-gates/stamp ## write .aws-sam/sbom.cdx.json, the list of packages that are shipped
	@mkdir -p .aws-sam
	@PYTHONWARNINGS=ignore .venv-gates/bin/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --mc-type application \
		-o .aws-sam/sbom.cdx.json requirements/functions.txt

##@ Test

test: .venv/dev.stamp .venv-seam-1/stamp .venv-seam-3/stamp ## run all tests that need nothing but Python; ARGS="-k launch" picks some (2 min)
	@$(BIN)/pytest $(ARGS)

test-large: .venv/dev.stamp .venv-seam-1/stamp .venv-seam-3/stamp ## test large numbers, and times, alone on a machine: a story in 10 s (1 min)
	@ENROLLMENTS_SOON_SECONDS=$${ENROLLMENTS_SOON_SECONDS:-5} $(BIN)/pytest -n 0 $(ARGS) tests/acceptance/test_events.py \
		tests/acceptance/test_paging_at_scale.py tests/acceptance/test_story.py experiments/scale/test_events.py

test-document: .venv/dev.stamp .venv-schemathesis/stamp ## send requests that schemathesis makes up from openapi.json (2 min)
	@$(BIN)/pytest -m schemathesis -n 3 --dist load $(ARGS) tests/acceptance

test-build: build .venv/dev.stamp ## build, and test what is shipped: the same twice, packages as published (2 min)
	@$(BIN)/pytest -m artefacts -n 0 $(ARGS) tests/artefacts

test-deploy: .venv/dev.stamp .venv-sam/stamp ## test make deploy on a stand-in for AWS; needs ../shared/workbench (2 min)
	@$(BIN)/pytest -m deploy -n 0 $(ARGS) tests/deploy/test_deploy.py

test-month: .venv/dev.stamp .venv-sam/stamp ## the same for the first month of docs/operations.md; needs curl (6 min)
	@$(BIN)/pytest -m deploy -n 0 $(ARGS) tests/deploy/test_first_month.py

test-setup: .venv/dev.stamp ## test these commands in a new clone; needs git (3 min)
	@$(BIN)/pytest -m setup -n 0 $(ARGS) tests/setup

test-javascript: node .venv/dev.stamp $(JAVASCRIPT:=/node_modules/stamp) ## test with the JavaScript SDKs; needs node and npm (35 s)
	@$(BIN)/pytest -m javascript -n 0 $(ARGS) tests/acceptance

test-clients: node .venv/dev.stamp .venv-clients/stamp $(TYPESCRIPT)/node_modules/stamp ## test clients generated from openapi.json; needs node and npm (25 s)
	@$(BIN)/pytest -m clients -n 0 $(ARGS) tests/acceptance

test-browser: node .venv/dev.stamp $(JAVASCRIPT:=/node_modules/stamp) ## test in a browser; needs node, npm, Debian's chromium and chromium-driver (3 min)
	@$(BIN)/pytest -m browser -n 0 $(ARGS) tests/acceptance

##@ Check

check: .venv/dev.stamp .venv-sam/stamp ## check format, lint, types, openapi.json, the template; then gates, audit (2 min)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(foreach app,$(filter-out functions/authorizer/%,$(wildcard functions/*/app.py)),$(BIN)/mypy $(app) &&) true
	$(BIN)/enrollments openapi --check
	$(BIN)/enrollments connectors schema --check
	$(BIN)/python -m experiments.figures --check
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	@$(MAKE) --no-print-directory gates audit

# A skip of a check is in template.yaml, at its resource, with its reason.  CKV_AWS_120 is also skipped here, because SAM does not
# copy the API's metadata to its stage.  checkov exits with 0 even if it cannot read a template, so its summary is compared too.
gates: .venv/run.stamp .venv-sam/stamp .venv-checkov/stamp .venv-gates/stamp ## check the template, its permissions, and that no secret is committed (1 min)
	@mkdir -p .local
	.venv-sam/bin/cfn-lint --append-rules cfn_lint_serverless.rules --regions us-east-1 --template template.yaml
	@$(BIN)/enrollments local expand > .local/expanded.json
	$(CHECKOV) --file template.yaml | tee .local/checkov.txt; grep -q $(NO_FINDINGS) .local/checkov.txt
	$(CHECKOV) --file .local/expanded.json --skip-check CKV_AWS_120 | tee .local/checkov.txt; grep -q $(NO_FINDINGS) .local/checkov.txt
	@echo detect-secrets
	@git ls-files -z | xargs -0 .venv-gates/bin/detect-secrets-hook $(NO_SECRETS)
	@! git grep -nE 'seam_[1-9A-HJ-NP-Za-km-z]{8,12}_[1-9A-HJ-NP-Za-km-z]{24}' | grep -vE 'ubLicDemoKeyForLocaLUs|seam_cst1testApp1_'

# The service is asked first about an old release with known vulnerabilities.  If it knows of none, it does not work here.
audit: .venv-gates/stamp ## look up known vulnerabilities of the locked packages
	@mkdir -p .local && echo 'jinja2==2.11.0' > .local/vulnerable.txt
	@if .venv-gates/bin/pip-audit --disable-pip --no-deps -r .local/vulnerable.txt 2>&1 | grep -q 'PYSEC\|GHSA\|CVE'; then \
		.venv-gates/bin/pip-audit --strict --disable-pip -r requirements/functions.txt -r requirements/dev.txt; \
	else \
		echo "Left out: pip-audit, because its service does not answer on this machine"; \
	fi

format: .venv/dev.stamp ## format the code, and fix what lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

##@ Run in Lambda's containers (needs Docker)

sam-local: build .venv/run.stamp ## build, and serve the API with `sam local`; PORT=3001 (1 min)
	@exec $(BIN)/enrollments local sam --sam $(SAM) --port $(PORT)

invoke-docker: build .venv/run.stamp ## build, and run one event; EVENT=events/launch.json (1 min)
	@exec $(BIN)/enrollments local sam-invoke --sam $(SAM) "$(EVENT)"

test-sam-local: build .venv/dev.stamp .venv-seam-1/stamp .venv-seam-3/stamp ## build, and run the acceptance tests and every event (6 min)
	@ENROLLMENTS_SAM=$(SAM) $(BIN)/pytest -n 0 $(ARGS) tests/acceptance \
		-m "not browser and not clients and not gateway and not javascript and not schemathesis"

##@ Experiments (those with * need a DynamoDB server: ENROLLMENTS_DYNAMODB_ENDPOINT=http://…)

test-faults: .venv/dev.stamp ## * every fault at every request to DynamoDB (6 min)
	@$(BIN)/pytest -m faults -n 0 $(ARGS) experiments/reliability

test-races: .venv/dev.stamp ## * conflicting requests at the same moment (2 min)
	@$(BIN)/pytest -m races -n 0 -s $(ARGS) experiments/reliability

test-kills: .venv/dev.stamp ## * kill long commands at random moments, and run them again (20 min)
	@$(BIN)/pytest -m kills -n 0 -s $(ARGS) experiments/reliability

test-provisioning: export ENROLLMENTS_PROVISIONING_ROUNDS ?= 2000
test-provisioning: .venv/dev.stamp ## made-up rounds of provisioning, in which much goes wrong (5 min)
	@$(BIN)/pytest -n 0 $(ARGS) experiments/reliability/test_provisioning.py experiments/reliability/test_told.py

soak: .venv/dev.stamp ## * made-up sequences, compared with a model; ENROLLMENTS_SOAK_SECONDS (6 min)
	@$(BIN)/pytest -m soak -n 0 -s $(ARGS) experiments/reliability

# pytest's logging is off, because it keeps each line that each request logs.
test-hostile: .venv/dev.stamp ## thousands of malformed requests; how long a wrong secret takes (minutes)
	@$(BIN)/pytest -m hostile -n 0 -s -p no:logging $(ARGS) experiments/reliability

test-mutation: .venv/dev.stamp .venv-mutation/stamp ## whether the tests notice changes in the code (an hour; later what changed)
	@.venv-mutation/bin/python -m experiments.reliability.mutation $(ARGS)

# To repeat one experiment, set ENROLLMENTS_FIGURES=1 and call its own target, then `make figures`.
reliability scale: export ENROLLMENTS_FIGURES = 1
reliability: export ENROLLMENTS_SOAK_STEPS ?= 50000
reliability: export ENROLLMENTS_RACE_ROUNDS ?= 500
reliability: export ENROLLMENTS_PROVISIONING_ROUNDS ?= 10000
reliability: export ENROLLMENTS_FUZZ_REQUESTS ?= 200000
reliability: .venv/dev.stamp .venv-mutation/stamp ## * all of the above in full, and their figures into docs/reliability.md (hours)
	@failed=0; \
	$(BIN)/pytest -m "faults or hostile or kills or races or soak" -n 0 -s -p no:logging $(ARGS) experiments/reliability || failed=1; \
	$(BIN)/pytest -n 0 experiments/reliability/test_time.py experiments/reliability/test_provisioning.py || failed=1; \
	$(MAKE) --no-print-directory test-mutation || failed=1; \
	$(BIN)/python -m experiments.figures --write; exit $$failed

# The environment of atheris has nothing else in it.  What it fuzzes is imported from the tests' environment.
fuzz: .venv/dev.stamp .venv-atheris/stamp ## bodies and tokens that atheris makes up; needs atheris; FUZZ_SECONDS=60 (1 min)
	@PYTHONPATH=.:layers/enrollment:cli:.venv/lib/python3.13/site-packages .venv-atheris/bin/python -m experiments.reliability.fuzz \
		-max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $(ARGS)

bench: build .venv-bench/stamp ## build, and time a start and a request; ARGS=--help lists options (minutes)
	@.venv-bench/bin/python -m experiments.bench $(ARGS)

flat: .venv/dev.stamp ## * what does not grow with size: capacity of a call, memory of a move (minutes)
	@$(BIN)/pytest -m flat -n 0 -s $(ARGS) experiments/scale

burst: .venv/dev.stamp ## simulate 10,000 launches in a minute (seconds)
	@$(BIN)/python -m experiments.scale.burst

scale: flat burst ## * flat and burst, and their figures into docs/scale.md (minutes)
	@$(BIN)/python -m experiments.figures --write >/dev/null

##@ Maintain

openapi: .venv/run.stamp ## renew openapi.json, the authorizer's list, connector.schema.json; after a change
	@$(BIN)/enrollments openapi --write
	@$(BIN)/enrollments connectors schema --write

answers: .venv/dev.stamp ## renew tests/integration/answers.json, after a change of an answer or event
	@$(BIN)/python -m tests.integration.answers

published: .venv/dev.stamp ## renew tests/acceptance/published_schemas.json; needs Seam's OpenAPI document
	@$(BIN)/python -m tests.acceptance.published

cost: .venv/dev.stamp ## renew docs/cost.md: what launches, events, deliveries and phones cost
	@$(BIN)/python -m experiments.scale.cost

figures: .venv/dev.stamp ## write the figures of the last experiments into docs/
	@$(BIN)/python -m experiments.figures --write

# The functions' packages are locked first and alone, so that no developers' tool holds them back.  The other locks take their
# versions, so that the tests run what ships.
lock: .venv/dev.stamp ## renew the locks in requirements/ with newer releases (minutes)
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

lock-javascript: node ## renew the locks of JavaScript and TypeScript; needs node and npm
	$(foreach folder,$(JAVASCRIPT) $(TYPESCRIPT),(cd $(folder) && rm -rf package-lock.json node_modules && $(NPM_LOCK) && $(NO_ADDRESSES)) &&) true

clean: ## remove everything that the targets made
	@[ ! -d .local ] || chmod -R u+w .local
	rm -rf .venv .venv-* .uv .hypothesis .local .aws-sam .mypy_cache .pytest_cache .ruff_cache $(JAVASCRIPT:=/node_modules) $(TYPESCRIPT)/node_modules

# ------------------------------------------------------------------------------------------ What the targets install

.venv/run.stamp: requirements/run.txt pyproject.toml
	@echo "Installing $< (about 15 s, once)"
	@$(INSTALL) .venv $<
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@echo "Installing $< (about 15 s, once)"
	@$(INSTALL) .venv $<
	@touch $@

# These tools have environments of their own, because what they pin or replace must not reach the code under test.
.venv-%/stamp: requirements/%.txt
	@echo "Installing $< (once)"
	@$(INSTALL) .venv-$* $<
	@touch $@

node:
	@command -v node >/dev/null && command -v npm >/dev/null \
		|| { echo "This needs node and npm; install them first" >&2; exit 1; }

# --ignore-scripts: no code of a package runs when it is installed.  --loglevel=error: newer releases ask for a newer node than
# they need, and npm would warn about that.
%/node_modules/stamp: %/package-lock.json | node
	@echo "Installing $< (once)"
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
