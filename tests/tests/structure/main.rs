//! How the source is laid out, read from the source itself: no circles between modules, no type name twice, no file that nothing
//! names.
//!
//! Everything is found by walking from cargo's targets along `mod`, so a crate or a folder that moves is found where it is.

mod circles;
mod files;
mod imports;
mod modules;
mod names;
mod tokens;
