//! In-memory doubles of every capability, for native tests.
