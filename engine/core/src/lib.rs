//! The engine's pure core: runbooks, plans, runs and the three functions that move them.
//!
//! Nothing here does I/O, reads a clock, draws a random number or waits.

pub mod action;
pub mod bindings;
pub mod decide;
pub mod diagnostic;
pub mod digest;
pub mod document;
pub mod due;
mod effect;
pub mod event;
pub mod every;
pub mod expression;
pub mod failure;
pub mod feasibility;
pub mod fit;
mod grammar;
pub mod graph;
pub mod input;
pub mod inputs;
pub mod mutant;
pub mod name;
mod needs;
pub mod operator;
pub mod outputs;
pub mod plan;
pub mod run;
pub mod runbook;
pub mod schema;
mod scope;
mod secret;
pub mod sketch;
pub mod text;
pub mod types;
mod variant;
mod yaml;
