//! The actions that the tests' runbooks use.

use lifeboat_core::{
    action::{Action, Catalogue, Effect, Field},
    name::ActionName,
};

fn fields(list: &[(&str, &str, bool)]) -> Vec<Field> {
    let field = |(name, ty, required): &(&str, &str, bool)| Field {
        name: (*name).to_owned(),
        doc: format!("The {name}."),
        ty: ty.parse().expect(ty),
        required: *required,
    };
    list.iter().map(field).collect()
}

type Fields<'a> = &'a [(&'a str, &'a str, bool)];

fn action(name: &str, effect: Effect, parameters: Fields<'_>, outputs: Fields<'_>) -> Action {
    Action {
        name: ActionName::new(name).expect(name),
        doc: format!("{name} of the tests."),
        parameters: fields(parameters),
        outputs: fields(outputs),
        effect,
        idempotent: true,
        observable: false,
    }
}

/// Six actions with every kind of type.
pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new([
        action(
            "test/tell",
            Effect::Mutate,
            &[("channel", "target<notify:write>", true), ("message", "string", true)],
            &[],
        ),
        action(
            "test/find",
            Effect::Read,
            &[("server", "target<postgres:read>", true), ("table", "string", true), ("since", "timestamp", false)],
            &[("xid", "string", true), ("rows", "int", true), ("at", "timestamp", true)],
        ),
        action(
            "test/restore",
            Effect::Destroy,
            &[
                ("machine", "target<machine:destroy>", true),
                ("target", "one_of{latest: bool, before_xid: string, time: timestamp}", true),
                ("checks", "list<record{name: string, sql: string, min?: int}>", false),
            ],
            &[("instance", "string", true)],
        ),
        action(
            "test/destroy",
            Effect::Destroy,
            &[("machine", "target<machine:destroy>", true), ("instance", "string", true)],
            &[],
        ),
        action(
            "test/write",
            Effect::Mutate,
            &[("server", "target<postgres:write>", true), ("rows", "int", false), ("flag", "bool", false)],
            &[],
        ),
        action(
            "drill/hold",
            Effect::Read,
            &[("scenario", "string", true), ("testbed", "string", false)],
            &[("seconds", "float", true)],
        ),
    ])
}
