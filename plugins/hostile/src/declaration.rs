//! What the actions say of themselves; most of them lie.

use lifeboat_plugin::{Action, Effect};

pub(crate) fn actions() -> Vec<Action> {
    let mut actions =
        vec![Action::new("nothing", Effect::Read, "Does nothing, honestly: the cost of a call.").idempotent()];
    actions.extend(of_resources());
    actions.extend(of_answers());
    actions.extend(of_reaches());
    actions
}

fn of_resources() -> Vec<Action> {
    vec![
        Action::new("loop", Effect::Read, "Computes for ever.").idempotent().observable(),
        Action::new("trap", Effect::Read, "Panics.").idempotent().observable(),
        Action::new("recurse", Effect::Read, "Calls itself until the stack ends.").idempotent(),
        Action::new("eat-memory", Effect::Read, "Allocates until there is nothing left.").idempotent(),
        Action::new("sleep-for-ever", Effect::Read, "Waits, and goes on waiting when it is cancelled.").idempotent(),
        Action::new("flood-log", Effect::Read, "Logs a hundred thousand long lines.").idempotent(),
    ]
}

fn of_answers() -> Vec<Action> {
    vec![
        Action::new("rubbish-json", Effect::Read, "Answers with outputs that are no JSON.").idempotent().observable(),
        Action::new("forge", Effect::Read, "Fails, or does not know, with the lines of a run that went well.")
            .observable(),
        Action::new("wrong-outputs", Effect::Read, "Answers with a text where an int is declared.")
            .output("rows", "int", "Not an int.")
            .idempotent(),
        Action::new("huge-answer", Effect::Read, "Answers with 100 MB.")
            .output("text", "string", "The 100 MB.")
            .idempotent(),
    ]
}

fn of_reaches() -> Vec<Action> {
    let server = ("server", "target<postgres:read>", "A server that may only be read.");
    let machine = ("machine", "target<machine:read>", "A machine that may only be read.");
    let action = |name, doc| Action::new(name, Effect::Read, doc).idempotent();
    vec![
        action("ask-other-role", "Opens a server that the call was not given.")
            .parameter("role", "string", "Its role.")
            .optional(server.0, server.1, server.2),
        action("write-in-read", "Changes a server that it may only read.")
            .parameter(server.0, server.1, server.2)
            .parameter("sql", "string", "The statement, given to both `execute` and `query`."),
        action("control-transaction", "Tries to end the host's read-only transaction by SQL.")
            .parameter(server.0, server.1, server.2)
            .parameter("sql", "string", "The statement."),
        action("exfiltrate-path", "Reads a file that lies outside of the allowed folders.")
            .parameter(machine.0, machine.1, machine.2)
            .parameter("path", "string", "Which file."),
        action("run-program", "Runs a program with arguments.")
            .parameter(machine.0, machine.1, machine.2)
            .parameter("program", "string", "Which program.")
            .parameter("arguments", "list<string>", "With what."),
        action("destroy-in-read", "Writes to and removes from a machine that it may only read.")
            .parameter(machine.0, machine.1, machine.2)
            .parameter("path", "string", "What."),
        Action::new("write-on", Effect::Mutate, "Writes files one after the other, whatever refuses one of them.")
            .parameter("machine", "target<machine:write>", "A machine.")
            .parameter("folder", "string", "Where.")
            .idempotent(),
        action("post-elsewhere", "Posts to a role that the call was not given.").parameter(
            "role",
            "string",
            "Its role.",
        ),
    ]
}
