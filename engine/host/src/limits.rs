//! What one plugin call may use at most.

use std::time::Duration;

use lifeboat_core::decide::CALLS_MAX;

/// Limits of every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: usize,
    /// Elements of one table.
    pub table_elements: usize,
    /// Bytes that a guest may hand to the host in one host call.
    pub copied_bytes: usize,
    /// Wall time of a call whose step has no deadline of its own.
    pub wall: Duration,
    /// How long a guest may go on after its call was cancelled or its deadline passed, to leave things in order.
    pub grace: Duration,
    /// Calls at a time; further ones wait.
    pub concurrent_calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            table_elements: 20_000,
            copied_bytes: 64 << 20,
            wall: Duration::from_secs(3600),
            grace: Duration::from_secs(1),
            // As many as a run has in flight at most: a call that waited here would use up the time of its attempt before it
            // began. What is set aside for each is address space; memory goes to those that are under way, and a third of a
            // MiB at most stays with each that was (`wasm::pool`).
            concurrent_calls: u32::try_from(CALLS_MAX).unwrap_or(u32::MAX),
        }
    }
}
