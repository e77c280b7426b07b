//! How a live run of a state folder is reached from another terminal: a socket in its folder, and one line of JSON each way.
//!
//! Who connects is what the operating system says of the process at the other end. Whether they may connect is what the
//! permissions of the folder and of the socket say. An answer goes back when what it says is on disk.

mod client;
mod protocol;
mod server;
mod socket;

pub use client::Sent;
pub(crate) use client::send;
pub use protocol::Answer;
pub use server::{Arrived, Asked};
pub(crate) use server::{Control, Served, ending};
