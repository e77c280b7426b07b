//! The actions, one file each.

use lifeboat_plugin::{Action, Call, Failure, Observation, Outcome};

use crate::{server::Capabilities, wording::explained};

mod amcheck;
mod archive_status;
mod backup;
mod check;
mod check_backups;
mod compare;
mod confirm_whole;
mod destroy_instance;
mod find_damage;
mod list_backups;
mod list_instances;
mod made_again;
mod merge_missing;
mod preflight;
mod read_tables;
mod restore;
mod settle_conflicts;
mod switch_wal;
mod verify_backup;
mod wait_ready;

/// Every action.
pub(crate) fn declare() -> Vec<Action> {
    vec![
        amcheck::action(),
        archive_status::action(),
        backup::action(),
        check::action(),
        check_backups::action(),
        compare::action(),
        confirm_whole::action(),
        destroy_instance::action(),
        find_damage::action(),
        list_backups::action(),
        made_again::action(),
        list_instances::action(),
        merge_missing::action(),
        preflight::action(),
        read_tables::action(),
        restore::action(),
        settle_conflicts::action(),
        switch_wal::action(),
        verify_backup::action(),
        wait_ready::action(),
    ]
}

/// Runs the action that the call names; none where there is no such action.
pub(crate) fn run(call: &Call, caps: &impl Capabilities) -> Option<Result<Outcome, Failure>> {
    Some(match call.action.as_str() {
        "amcheck" => amcheck::run(call, caps),
        "archive-status" => archive_status::run(call, caps),
        "backup" => backup::run(call, caps),
        "check" => check::run(call, caps),
        "check-backups" => check_backups::run(call, caps),
        "compare" => {
            compare::run(call, caps).map_err(|failure| explained(failure, "comparing rows", "nothing was changed"))
        }
        "confirm-whole" => confirm_whole::run(call, caps),
        "destroy-instance" => destroy_instance::run(call, caps),
        "find-damage" => find_damage::run(call, caps),
        "list-backups" => list_backups::run(call, caps),
        "made-again" => made_again::run(call, caps),
        "list-instances" => list_instances::run(call, caps),
        "merge-missing" => merge_missing::run(call, caps)
            .map_err(|failure| explained(failure, "putting rows back", "no row was put back")),
        "preflight" => preflight::run(call, caps)
            .map_err(|failure| explained(failure, "reading the catalog", "nothing was changed")),
        "read-tables" => read_tables::run(call, caps),
        "restore" => restore::run(call, caps),
        "settle-conflicts" => settle_conflicts::run(call, caps)
            .map_err(|failure| explained(failure, "replacing newer rows by older ones", "no row was changed")),
        "switch-wal" => switch_wal::run(call, caps),
        "verify-backup" => verify_backup::run(call, caps),
        "wait-ready" => wait_ready::run(call, caps),
        _ => return None,
    })
}

/// Says whether an interrupted attempt took effect.
pub(crate) fn observe(call: &Call, caps: &impl Capabilities) -> Result<Observation, Failure> {
    match call.action.as_str() {
        "merge-missing" => merge_missing::observe(call, caps),
        "settle-conflicts" => settle_conflicts::observe(call, caps),
        other => Ok(Observation::Unknown(format!("`pg/{other}` cannot be observed"))),
    }
}
