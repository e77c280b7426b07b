//! YAML with places: every key and every value knows where it stands. Reading is bounded in time and memory.

mod node;
mod read;
mod slips;

pub(crate) use self::{
    node::{Entry, Node, Yaml},
    read::read,
};
