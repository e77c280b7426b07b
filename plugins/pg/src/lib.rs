//! The PostgreSQL plugin: finds what a transaction removed, restores a copy of a server to a moment, and puts rows back.
//!
//! The modules here are pure.

pub mod damage;
pub mod duration;
pub mod exact_set;
pub mod identifier;
pub mod wal_name;
pub mod waldump;
