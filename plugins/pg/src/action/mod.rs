//! The actions, one file each.

use lifeboat_plugin::{Action, Call, Failure, Observation, Outcome};

use crate::server::{Capabilities, refused_statement::explained};

mod amcheck;
mod archive_status;
mod archive_tail;
mod backup;
mod check;
mod check_backups;
mod check_fence;
mod check_history;
mod check_stopped;
mod checkpoint;
mod compare;
mod compare_definitions;
mod compare_seal;
mod confirm_whole;
mod count_divergence;
mod destroy_instance;
mod fence;
mod fill_tables;
mod find_clean_point;
mod find_corruption;
mod find_damage;
mod finish_definitions;
mod isolate;
mod list_backups;
mod list_instances;
mod made_again;
mod mend_values;
mod merge_missing;
mod pick_backup;
mod preflight;
mod prepare_primary;
mod promote;
mod read_tables;
mod rebuild_maps;
mod reindex;
mod repair_pages;
mod restore;
mod rotate_passwords;
mod seal_backup;
mod settle_conflicts;
mod short_lived_copy;
mod standby_status;
mod start_receiver;
mod stop_receiver;
mod stop_server;
mod switch_wal;
mod take_definitions;
mod try_write;
mod verify_backup;
mod wait_ready;

/// Every action.
pub(crate) fn declare() -> Vec<Action> {
    vec![
        amcheck::action(),
        archive_status::action(),
        archive_tail::action(),
        backup::action(),
        check::action(),
        check_backups::action(),
        check_fence::action(),
        check_history::action(),
        check_stopped::action(),
        checkpoint::action(),
        compare::action(),
        compare_definitions::action(),
        compare_seal::action(),
        confirm_whole::action(),
        count_divergence::action(),
        destroy_instance::action(),
        fence::action(),
        find_clean_point::action(),
        find_corruption::action(),
        find_damage::action(),
        list_backups::action(),
        list_instances::action(),
        made_again::action(),
        merge_missing::action(),
        pick_backup::action(),
        preflight::action(),
        prepare_primary::action(),
        promote::action(),
        read_tables::action(),
        rebuild_maps::action(),
        reindex::action(),
        repair_pages::action(),
        restore::action(),
        seal_backup::action(),
        settle_conflicts::action(),
        standby_status::action(),
        start_receiver::action(),
        stop_receiver::action(),
        switch_wal::action(),
        try_write::action(),
        verify_backup::action(),
        fill_tables::action(),
        finish_definitions::action(),
        isolate::action(),
        mend_values::action(),
        rotate_passwords::action(),
        stop_server::action(),
        take_definitions::action(),
        wait_ready::action(),
    ]
}

/// Runs the action that the call names; `None` if there is no such action.
pub(crate) fn run(call: &Call, caps: &impl Capabilities) -> Option<Result<Outcome, Failure>> {
    const UNCHANGED: &str = "nothing was changed";
    let (done, doing, after) = match call.action.as_str() {
        "amcheck" => (amcheck::run(call, caps), "checking indexes", "their state is unknown"),
        "archive-status" => (archive_status::run(call, caps), "asking what is archived", UNCHANGED),
        "backup" => (backup::run(call, caps), "taking a backup", "there is no new backup"),
        "check" => (check::run(call, caps), "running the check's query", "nothing is known"),
        "check-backups" => (check_backups::run(call, caps), "looking at the backups", UNCHANGED),
        "compare" => (compare::run(call, caps), "comparing rows", UNCHANGED),
        "compare-definitions" => (compare_definitions::run(call, caps), "comparing definitions", UNCHANGED),
        "compare-seal" => (compare_seal::run(call, caps), "comparing a copy with its seal", UNCHANGED),
        "check-stopped" => (check_stopped::run(call, caps), "looking at the old server", UNCHANGED),
        "confirm-whole" => (confirm_whole::run(call, caps), "reading the set of rows", UNCHANGED),
        "count-divergence" => (count_divergence::run(call, caps), "reading what the old primary wrote", UNCHANGED),
        "destroy-instance" => (destroy_instance::run(call, caps), "removing a copy", "it may still be there"),
        "find-clean-point" => (find_clean_point::run(call, caps), "looking for a clean moment", UNCHANGED),
        "find-corruption" => (find_corruption::run(call, caps), "reading pages", UNCHANGED),
        "find-damage" => (find_damage::run(call, caps), "looking for the transaction", UNCHANGED),
        "list-backups" => (list_backups::run(call, caps), "listing the backups", UNCHANGED),
        "made-again" => (made_again::run(call, caps), "looking for rows that were made again", UNCHANGED),
        "list-instances" => (list_instances::run(call, caps), "listing the copies", UNCHANGED),
        "merge-missing" => (merge_missing::run(call, caps), "putting rows back", "no row was put back"),
        "pick-backup" => (pick_backup::run(call, caps), "looking at the backups", UNCHANGED),
        "preflight" => (preflight::run(call, caps), "reading the catalog", UNCHANGED),
        "read-tables" => (read_tables::run(call, caps), "reading tables", "whether they are whole is unknown"),
        "rebuild-maps" => (rebuild_maps::run(call, caps), "making maps again", "a table without a map is only slower"),
        "reindex" => {
            (reindex::run(call, caps), "making indexes again", "an index that was not made again is as it was")
        }
        "repair-pages" => (repair_pages::run(call, caps), "replacing pages", "the damaged files are kept"),
        "restore" => (restore::run(call, caps), "restoring a copy", "the original is unchanged"),
        "seal-backup" => (seal_backup::run(call, caps), "sealing a backup", "it has no seal"),
        "settle-conflicts" => {
            (settle_conflicts::run(call, caps), "replacing newer rows with older ones", "no row was changed")
        }
        "switch-wal" => (switch_wal::run(call, caps), "having the WAL archived", "no row was changed"),
        "verify-backup" => (verify_backup::run(call, caps), "reading the backup", UNCHANGED),
        "fill-tables" => (fill_tables::run(call, caps), "copying rows", "the new server has none of them"),
        "finish-definitions" => {
            (finish_definitions::run(call, caps), "making indexes and constraints", "none of them was made")
        }
        "isolate" => (isolate::run(call, caps), "cutting a server off", "some may still reach it"),
        "mend-values" => (mend_values::run(call, caps), "mending values", "what is mended stays mended"),
        "rotate-passwords" => {
            (rotate_passwords::run(call, caps), "giving new passwords", "some roles may have none yet")
        }
        "stop-server" => (stop_server::run(call, caps), "stopping a server", "its files are as they were"),
        "take-definitions" => (take_definitions::run(call, caps), "taking definitions", "the new server is empty"),
        "wait-ready" => (wait_ready::run(call, caps), "asking whether the server is ready", UNCHANGED),
        "archive-tail" => (archive_tail::run(call, caps), "looking for the end of the archive", UNCHANGED),
        "check-history" => (check_history::run(call, caps), "looking for the history of a timeline", UNCHANGED),
        "check-fence" => (check_fence::run(call, caps), "looking at the old primary", UNCHANGED),
        "checkpoint" => (checkpoint::run(call, caps), "writing a checkpoint", "no row was changed"),
        "fence" => (fence::run(call, caps), "ending the old primary", "whether it writes is unknown"),
        "prepare-primary" => (prepare_primary::run(call, caps), "preparing the primary", "some of it may be done"),
        "promote" => {
            (promote::run(call, caps), "promoting the standby", "look whether it is in recovery before anything else")
        }
        "standby-status" => (standby_status::run(call, caps), "asking the standby", UNCHANGED),
        "start-receiver" => {
            (start_receiver::run(call, caps), "starting the receiver again", "the standby may follow nobody")
        }
        "stop-receiver" => (stop_receiver::run(call, caps), "stopping the receiver", "it may still receive WAL"),
        "try-write" => (try_write::run(call, caps), "trying a write", "no row was changed"),
        _ => return None,
    };
    Some(done.map_err(|failure| explained(failure, doing, after)))
}

/// Says whether an interrupted attempt took effect.
pub(crate) fn observe(call: &Call, caps: &impl Capabilities) -> Result<Observation, Failure> {
    match call.action.as_str() {
        "merge-missing" => merge_missing::observe(call, caps),
        "settle-conflicts" => settle_conflicts::observe(call, caps),
        other => Ok(Observation::Unknown(format!("`pg/{other}` cannot be observed"))),
    }
}
