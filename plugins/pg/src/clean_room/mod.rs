//! A new server that gets what is clean of an old one: roles and definitions from one copy, rows from another one.

pub mod definitions;
pub mod role_statements;
pub mod values;
