//! The actions that the tests' runbooks use.

use lifeboat_core::{
    action::{Action, Catalogue, Effect},
    sketch::{self, Fields, Repeat},
};

fn action(name: &str, effect: Effect, parameters: Fields<'_>, outputs: Fields<'_>) -> Action {
    sketch::action(name, effect, Repeat::Idempotent, parameters, outputs)
}

/// Six actions with every kind of type.
pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new([
        action("test/tell", Effect::Mutate, &[("channel", "target<notify:write>"), ("message", "string")], &[]),
        action(
            "test/find",
            Effect::Read,
            &[("server", "target<postgres:read>"), ("table", "string"), ("since?", "timestamp")],
            &[("xid", "string"), ("rows", "int"), ("at", "timestamp")],
        ),
        action(
            "test/restore",
            Effect::Destroy,
            &[
                ("machine", "target<machine:destroy>"),
                ("target", "one_of{latest: bool, before_xid: string, time: timestamp}"),
                ("checks?", "list<record{name: string, sql: string, min?: int}>"),
            ],
            &[("instance", "string")],
        ),
        action("test/destroy", Effect::Destroy, &[("machine", "target<machine:destroy>"), ("instance", "string")], &[]),
        action(
            "test/write",
            Effect::Mutate,
            &[("server", "target<postgres:write>"), ("rows?", "int"), ("flag?", "bool")],
            &[],
        ),
        action("drill/hold", Effect::Read, &[("scenario", "string"), ("testbed?", "string")], &[("seconds", "float")]),
    ])
}
