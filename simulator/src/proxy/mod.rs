//! The TCP fault proxy: the application's traffic goes through one, so that its path can be slowed, cut or turned into a black
//! hole. The engine and the observers have their own paths.
//!
//! A proxy holds an ordered list of [`Rule`]s; the first that matches gives the [`Verdict`] for a piece of traffic. Rules can be
//! changed at any time and take effect at once, also on connections that are open and idle. Nothing here knows what the traffic
//! means.

mod connection;
mod control;
mod listener;
mod pump;
mod rule;
mod setting;

pub use listener::{Proxy, ProxyStatistics};
pub use rule::{Direction, Rule, Verdict};
