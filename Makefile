# Two commands are all that is needed: `make drill` and `make test`. Both set up what is missing first; both are safe to repeat.
# CARGO_FLAGS=--offline works where everything is there already.

CARGO_FLAGS ?= --locked
LIFEBOAT := target/release/lifeboat

.PHONY: drill drills test fmt clippy deny tests other-major bench fuzz build setup clean

## Builds Lifeboat, replays an accidental deletion on a real PostgreSQL, and prints the measured RTO and RPO.
drill: setup-drill $(LIFEBOAT)
	$(LIFEBOAT) drill dr-003

## Every drill that ships, with its negative controls, on containers and on processes: half an hour.
drills: setup-drills $(LIFEBOAT)
	LIFEBOAT=$(LIFEBOAT) scripts/drills

## Every check and every test, on both testbeds.
test: setup-test fmt deny tests
	@scripts/setup engine

## The benchmarks, as JSON lines with a ratio beside each.
bench: setup-drill
	scripts/bench

## Looks for bytes that break a promise, FUZZ_SECONDS for each target (see CONTRIBUTING.md).
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
fuzz: setup-fuzz
	scripts/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

build: setup-build $(LIFEBOAT)

.PHONY: $(LIFEBOAT)
$(LIFEBOAT):
	cargo build --release $(CARGO_FLAGS) --package lifeboat

.PHONY: setup-build setup-drill setup-drills setup-test setup-fuzz
setup-build setup-drill setup-drills setup-test setup-fuzz: setup-%:
	scripts/setup $*

fmt:
	cargo fmt --all --check

## The lints alone. `make test` lints in the same pass as it builds; after a change of a clippy.toml only this looks at everything again.
clippy:
	cargo clippy --workspace --all-targets $(CARGO_FLAGS) -- --deny warnings

deny:
	cargo deny --locked check licenses bans
	cargo update --quiet --workspace --locked --manifest-path fuzz/Cargo.toml

tests other-major: export RUSTC_WORKSPACE_WRAPPER := $(CURDIR)/scripts/rustc-and-clippy
tests:
	scripts/test $(CARGO_FLAGS)

# A part of `tests`. What a server answers has changed between major versions before.
other-major:
	scripts/test-on 17

clean:
	cargo clean
