//! The runtime from outside: in a virtual world, and in the real one with scripted plugins and people.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod crash;
mod full_disk;
mod fuzz_corpus;
#[path = "../../../../fuzz/src/targets/mod.rs"]
mod fuzz_targets;
mod golden;
mod golden_stories;
mod leases;
mod operator;
#[expect(dead_code, reason = "the test with processes uses more of it")]
mod scripted;
mod session;
mod store;
mod tamper;
mod troubled;
mod witness;
