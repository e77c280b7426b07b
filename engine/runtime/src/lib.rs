//! The shell around the pure core: the driver loop, the journal on disk, timers, leases, and resuming.
//!
//! `session` is what a program calls. It takes the run's lock and the leases of its targets, opens the journal, and lets the
//! `driver` loop run in the real `world`. Runs are kept in a `store`, whose form on disk is `home`. Plugins are behind `invoke`, people behind `people`, readers behind `report`.

mod control;
mod damage;
pub mod driver;
pub mod error;
pub mod files;
pub mod holder;
pub mod home;
pub mod identity;
pub mod invoke;
pub mod journal;
pub mod lease;
pub mod lock;
mod loss;
pub mod people;
pub mod report;
pub mod request;
pub mod session;
pub mod store;
mod sync;
mod variant;
mod world;

pub use error::Error;
pub use world::shown;
