# Filled in with the set-up and drill targets.
.PHONY: test
test:
	cargo test --workspace --locked
