//! Known breakages, as data. A drill that stays green with one of them proves nothing.

mod control;
mod saboteur;

pub use control::{Breakage, Control, LeftOut, Nothing};
pub use saboteur::{Known, Saboteur};
