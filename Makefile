# `make` without a target lists the targets. CI runs the same targets.

BIN   := mission-control-runtime
CARGO ?= cargo
# The port of the board that `make demo` serves.
PORT  ?= 3210
# Most tests wait for events, so more threads than cores pay off.
TEST_THREADS ?= $(shell expr 2 '*' $$(nproc 2>/dev/null || echo 2))
export MCR_COMMIT ?= $(shell git rev-parse --short HEAD 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: image test-install test-image test-system up up-openclaw up-all logs down admin-key help fetch check static static-check static-droplet static-all dist facts test test-kill test-pool test-budget test-faults test-refused test-provisioning test-chaos nightly test-peers test-browser fuzz conformance test-gateway demo demo-pool run doctor bench bench-storms docs pictures clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

fetch: ## Download all dependencies; later builds and tests need no network
	$(CARGO) fetch --locked
	$(CARGO) fetch --locked --manifest-path fuzz/Cargo.toml

# Feature sets: default (`demo`, which includes `mission-control`), none, `mission-control` alone, default with `test-kind`.
check: ## Check formatting, lints for each set of features, documentation, layers and committed secrets
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features --features mission-control -- -D warnings
	$(CARGO) clippy --locked --all-targets --features test-kind -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	$(CARGO) test --locked --test suite -- --quiet tidiness

test: ## Run all tests; works offline after `make fetch`
	RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked
	$(CARGO) test --locked --no-default-features --package $(BIN) --lib -- --quiet cli::
	$(CARGO) test --locked --features test-kind --test suite -- test_kind

test-peers: ## Test the embedded Mission Control with curl and the official npm client; downloads the package
	$(CARGO) build --locked
	tests/peers/run.sh curl client

test-browser: ## Test the pages in Chromium; downloads the npm package, and Chromium if it is missing
	$(CARGO) build --locked
	tests/peers/run.sh browser

fuzz: ## Fuzz requests, tool arguments, session keys and gateway replies, 45 s each; FUZZ_SECONDS=n, FUZZ_SEED=n
	fuzz/run.sh

conformance: ## Test real OpenClaw gateways (downloads them): VERSIONS="a b" or all, KILLS=n, STORE=1 for docs/gateways.md
	$(CARGO) build --locked
	$(CARGO) test --locked --test suite --no-run
	tests/conformance/run.sh
	tests/conformance/configurations.sh
	tests/conformance/workspaces.sh

test-gateway: ## Test the current OpenClaw release in five minutes; downloads it (600 MB)
	$(CARGO) build --locked
	QUICK=1 tests/conformance/run.sh

static: ## Build static binaries into dist/; STATIC=glibc|musl|zig, TARGET=x86_64|aarch64, EDITIONS="droplet full"
	scripts/static.sh $(EDITIONS)

static-check: ## Run the static binaries in an empty root, without a network; BINARIES="file …"
	tests/static/run.sh $(or $(BINARIES),$(wildcard dist/$(BIN)-droplet dist/$(BIN)))

static-droplet: ## Build the static glibc droplet binary, run it in an empty root, compare its size with docs/facts.md
	STATIC=glibc scripts/static.sh droplet
	tests/static/run.sh dist/$(BIN)-droplet
	scripts/facts.sh size

static-all: ## Build and check the static variants: full, musl by zig, aarch64; downloads tools (500 MB)
	scripts/static-all.sh

dist: ## Build the release archives and SHA256SUMS into dist/; STATIC and TARGET as for `static`
	scripts/static.sh
	scripts/dist.sh

facts: ## Write size, memory and start of both static glibc binaries, and the calls of an idle account, into docs/facts.md
	UPDATE_DOCS=1 $(CARGO) test --locked --test suite -- --quiet --nocapture idle_cost
	STATIC=glibc scripts/static.sh
	scripts/facts.sh

demo: ## Run the whole system on this machine with a scripted team; PORT=n for the board, ARGS='more options'
	$(CARGO) build --profile quick --locked --bin $(BIN)
	@$(CARGO) run --quiet --profile quick --locked -- demo --port $(PORT) $(ARGS)

demo-pool: ## Run a worker pool with a chat on this machine; PORT=n for its page, the chat has the next one
	$(CARGO) build --profile quick --locked --bin $(BIN)
	@$(CARGO) run --quiet --profile quick --locked -- demo-pool --port $(PORT) $(ARGS)

test-kill: ## Send SIGKILL during writes and deliveries, print the figures; KILL_SEED=n repeats a run
	KILLS=$(or $(KILLS),100) $(CARGO) test --locked --test suite -- --nocapture --test-threads=1 mission_control::kill
	KILLS=$(or $(KILLS),200) $(CARGO) test --locked --test suite -- --nocapture --test-threads=1 conversation::killed

test-faults: ## Break each backend write in each way, 100 jobs each, print the table; FAULT_JOBS=n
	FAULT_JOBS=$(or $(FAULT_JOBS),100) $(CARGO) test --locked --test suite -- --nocapture --test-threads=1 faults::no_row

test-refused: ## Check in real time (11 minutes) that a refused token ends the process with exit code 3
	$(CARGO) test --locked --test suite -- --ignored --nocapture settings::a_token_that_is_never_accepted

test-provisioning: ## Provision machines with a crash at any step, 2,000 seeds
	$(CARGO) test --locked -p mcr-mission-control -- --ignored two_thousand_seeds
	PROVISION_SEEDS=$(or $(SEEDS),2000) $(CARGO) test --locked --test suite -- digitalocean::crashes

test-chaos: ## Kill the demo's runtime under load and count losses and doubles; CHAOS_SECONDS=n, CHAOS_SEED=n
	$(CARGO) build --locked --bin $(BIN)
	$(CARGO) run --quiet --locked -- demo --chaos --seconds $(or $(CHAOS_SECONDS),90) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED))

nightly: test-kill test-pool test-budget test-faults test-refused test-provisioning static-all conformance bench ## Run all tests that take too long for CI
	$(MAKE) test-chaos CHAOS_SECONDS=600
	$(MAKE) test-system BINARY=dist/glibc/$(BIN)

image: ## Build the image of the runtime with buildah, from BINARY or dist/ (`make static`)
	scripts/image-root.sh $(or $(BINARY),dist/$(BIN)-droplet) dist/image
	buildah bud --isolation chroot --format docker --target prebuilt --tag $(BIN):local .

test-pool: ## Kill workers of a pool while jobs are answered: 60 jobs, then 1,000 of 200 conversations (minutes); STORM_SEED=n
	$(CARGO) test --locked --test suite -- --ignored --nocapture worker_pool::storm

test-budget: ## Kill the program 50 times while 1,000 turns of 50 workers spend a budget (minutes)
	BUDGET_KILLS=$(or $(KILLS),25) BUDGET_TURNS=1000 $(CARGO) test --locked --test suite -- --nocapture budgets::books

test-install: ## Test packaging/ in a Debian root with its own systemd; BINARY=a static binary, FULL=a full one
	tests/install/run.sh

test-image: ## Test images, compose file and scripts without a container engine; BINARY=a static binary
	tests/image/run.sh

test-system: ## Test runtime, embedded Mission Control and a real OpenClaw as containers (minutes); BINARY=a full static binary
	tests/image/run.sh system

up: ## Start the runtime in a container, for the account in .env
	@scripts/runtime-local.sh up

up-openclaw: ## Start the runtime and an OpenClaw gateway in containers
	@scripts/runtime-local.sh up-openclaw

up-all: ## Start runtime, gateway and the embedded Mission Control in containers; needs no account
	@scripts/runtime-local.sh up-all

logs: ## Follow the logs of the containers
	@scripts/runtime-local.sh logs

down: ## Stop and remove the containers; volumes stay
	@scripts/runtime-local.sh down

admin-key: ## Print the key for the page of the embedded Mission Control in its container
	@scripts/runtime-local.sh admin-key

run: ## Run the service, configured by the environment or ENV_FILE=path
	$(CARGO) run --release --locked -- run $(if $(ENV_FILE),--env-file $(ENV_FILE))

doctor: ## Find problems of the configuration and show how to fix them; ENV_FILE=path
	$(CARGO) run --profile quick --locked -- doctor $(if $(ENV_FILE),--env-file $(ENV_FILE))

bench: ## Measure the HTTP server, the embedded Mission Control with 10,000 rows, and deliveries
	$(CARGO) bench --locked --bench http_server --bench mission_control --bench delivery

bench-storms: ## Measure storms of agents and the waits of people in them (8 minutes); ARGS='pair team backlog'
	$(CARGO) bench --locked --bench storms -- $(ARGS)

docs: ## Regenerate .env.example and the generated tables in docs/
	UPDATE_DOCS=1 $(CARGO) test --locked --test suite -- --quiet documents

pictures: ## Retake the pictures of the README from the demo in Chromium; downloads the npm package
	$(CARGO) build --locked
	mkdir -p docs/img
	tests/peers/run.sh pictures

clean: ## Remove all build output
	$(CARGO) clean
