//! The PostgreSQL plugin: finds what a transaction removed, restores a copy of a server to a moment, and puts rows back.
//!
//! Each action is a file of its own; what they compute is in pure modules beside them.

use lifeboat_plugin::{Action, Call, Failure, Observation, Outcome, Plugin};

mod action;
pub mod amcheck;
pub mod archive;
pub mod archive_format;
pub mod backup;
pub mod backup_age;
pub mod catalog;
pub mod choice;
pub mod cleared;
pub mod commits;
pub mod comparison;
pub mod content;
pub mod control;
pub mod copying;
pub mod crossing;
pub mod damage;
pub mod databases;
pub mod dump;
pub mod duration;
pub mod exact_set;
pub mod fetching;
pub mod ground;
pub mod identifier;
pub mod instance;
pub mod isolation;
pub mod large_objects;
pub mod layout;
pub mod left;
pub mod log_line;
pub mod made_again;
pub mod mark;
pub mod marker;
pub mod mending;
pub mod merge;
pub mod nothing_found;
pub mod obstacle;
pub mod parameters;
pub mod parents;
pub mod preparation;
pub mod proof;
pub mod putting_back;
pub mod recovery;
pub mod relation;
pub mod removals;
pub mod restore_command;
pub mod run_files;
pub mod search;
pub mod server;
pub mod server_log;
pub mod session_settings;
pub mod set_file;
pub mod several;
pub mod source;
pub mod surroundings;
pub mod target;
pub mod timeline;
pub mod told;
pub mod transaction;
pub mod wal_damage;
pub mod wal_end;
pub mod wal_header;
pub mod wal_name;
pub mod wal_read;
pub mod wal_tablespaces;
pub mod waldump;
pub mod wording;
pub mod written;

/// The plugin.
pub struct Pg;

impl<C: server::Capabilities> Plugin<C> for Pg {
    const NAME: &'static str = "pg";

    fn actions() -> Vec<Action> {
        action::declare()
    }

    fn run(call: &Call, caps: &C) -> Result<Outcome, Failure> {
        action::run(call, &fetching::Fetching::around(caps))
            .unwrap_or_else(|| Err(call.unknown_action(<Self as Plugin<C>>::NAME)))
    }

    fn observe(call: &Call, caps: &C) -> Result<Observation, Failure> {
        action::observe(call, caps)
    }
}

lifeboat_plugin::export!(Pg);
