//! The runtime from outside: in a virtual world, and in the real one with scripted plugins and people.

mod crash;
mod full_disk;
mod plans;
mod scripted;
mod session;
mod virtual_world;
