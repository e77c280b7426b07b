//! How a live run is reached from another terminal: a socket in its folder, and one line of JSON each way.
//!
//! Who connects is what the operating system says of the process at the other end. Whether they may connect is what the
//! permissions of the folder and of the socket say. An answer goes back when what it says is on disk.

mod client;
mod protocol;
mod server;
mod socket;

pub(crate) use client::{Sent, send};
pub(crate) use protocol::Answer;
pub(crate) use server::{Arrived, Control, ending};
