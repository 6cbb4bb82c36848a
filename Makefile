# `make` alone lists the targets. CI calls the same ones.

BIN   := mission-control-runtime
CARGO ?= cargo
# Where the page of `make demo` is, on this machine.
PORT  ?= 3210
# Many tests wait more than they work.
TEST_THREADS ?= $(shell expr 2 '*' $$(nproc 2>/dev/null || echo 2))
export MCR_COMMIT ?= $(shell git rev-parse --short HEAD 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help fetch check test test-kill test-faults test-refused nightly test-peers test-browser fuzz conformance demo run doctor bench docs pictures clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

fetch: ## Download the dependencies once; afterwards nothing here needs a network
	$(CARGO) fetch --locked
	$(CARGO) fetch --locked --manifest-path fuzz/Cargo.toml

# The sets of features: none, each alone, all, and all with the kind of work for tests. `demo` includes `mission-control`, so that it is all of them.
check: ## Formatting, lints with each set of features, documentation, layers, committed secrets
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features --features mission-control -- -D warnings
	$(CARGO) clippy --locked --all-targets --features test-kind -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items
	$(CARGO) test --locked --test suite -- --quiet tidiness

test: ## All tests, offline once the dependencies are there
	RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked
	$(CARGO) test --locked --no-default-features --package $(BIN) --lib -- --quiet cli::
	$(CARGO) test --locked --features test-kind --test suite -- test_kind

test-peers: ## The embedded Mission Control against curl and the official npm client; fetches the package
	$(CARGO) build --locked
	tests/peers/run.sh curl client

test-browser: ## Its page in Chromium; fetches the package, and Chromium where it is missing
	$(CARGO) build --locked
	tests/peers/run.sh browser

fuzz: ## Any bytes at the doors: 45 seconds each for requests, tool arguments, session keys and gateway replies; FUZZ_SECONDS=n, FUZZ_SEED=n
	fuzz/run.sh

conformance: ## The gateway's contract and whole conversations over a real OpenClaw gateway; fetches it (800 MB)
	$(CARGO) test --locked --test suite --no-run
	tests/conformance/run.sh

demo: ## Everything on this machine, with a scripted team that plays by itself; PORT=N moves it
	$(CARGO) build --profile quick --locked --bin $(BIN)
	@$(CARGO) run --quiet --profile quick --locked -- demo --port $(PORT)

test-kill: ## SIGKILL in a write storm and in a burst of deliveries, with the figures; KILL_SEED=n repeats one
	KILLS=$(or $(KILLS),100) $(CARGO) test --locked --test suite -- --nocapture --test-threads=1 mission_control::kill
	KILLS=$(or $(KILLS),200) $(CARGO) test --locked --test suite -- --nocapture --test-threads=1 conversation::killed

test-faults: ## Every writing function of the backend with every broken connection, 100 jobs each, with the table; FAULT_JOBS=n
	FAULT_JOBS=$(or $(FAULT_JOBS),100) $(CARGO) test --locked --test suite -- --nocapture --test-threads=1 faults::no_row

test-refused: ## A token that the backend refuses ends the process with 3, in real time (11 minutes)
	$(CARGO) test --locked --test suite -- --ignored --nocapture settings::a_token_that_is_never_accepted

nightly: test-kill test-faults test-refused conformance bench ## All that takes too long for each change

run: ## The service, configured by the environment or ENV_FILE=path
	$(CARGO) run --release --locked -- run $(if $(ENV_FILE),--env-file $(ENV_FILE))

doctor: ## What is wrong with the configuration and how to fix it
	$(CARGO) run --profile quick --locked -- doctor $(if $(ENV_FILE),--env-file $(ENV_FILE))

bench: ## Figures, each measured in one run: the HTTP server, the embedded Mission Control with 10,000 rows, deliveries
	$(CARGO) bench --locked --bench http_server --bench mission_control --bench delivery

docs: ## Write .env.example and the generated tables in docs/ anew
	UPDATE_DOCS=1 $(CARGO) test --locked --test suite -- --quiet documents

pictures: ## Take the pictures of the README anew, from the demo in Chromium; fetches the package
	$(CARGO) build --locked
	mkdir -p docs/img
	tests/peers/run.sh pictures

clean: ## Remove what was built
	$(CARGO) clean
