# What developers, newcomers and CI run. `make` alone lists it.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help check test demo bench marks clean redis binary

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

check: ## Format, clippy and rustdoc, with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

# Not nextest: it starts a process for each test, and each process would start a cluster of its own.
test: redis binary ## Everything: unit, doc, integration and fault tests on private Redis servers
	$(CARGO) test --workspace

demo: ## Three nodes, workflows and a batch over these sources, and a node killed on the way
	@deploy/demo/run.sh

bench: redis ## Speed of jobs beside that of bare Redis, on a private server
	$(CARGO) run --release --quiet --bin paceline -- bench jobs

marks: redis ## Everything that is measured, held against the marks; takes ten minutes
	$(CARGO) run --release --quiet --bin paceline -- bench marks

clean: ## Remove what was built
	$(CARGO) clean

# A Redis server for tests and demo, installed if there is none.
redis:
	@deploy/install-redis.sh

# Tests start nodes as processes of their own.
binary:
	$(CARGO) build --bin paceline
