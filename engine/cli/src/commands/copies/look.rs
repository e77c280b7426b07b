//! What the machines show about copies, if a person wants them to be examined.

use std::path::Path;

use lifeboat_core::{bindings::Bindings, name::RoleName};
use lifeboat_launch::source::{self, Content};
use lifeboat_runtime::home::Home;

use super::Arguments;
use crate::{
    arguments::Global,
    copies::{Copy, Held},
    engine,
    exit::Exit,
    findings::print,
    machines::{self, Instance, Looked},
    problem::Problem,
};

/// Looks at the machines, where that is wanted.
pub(super) async fn look(
    arguments: &Arguments,
    home: &Home,
    held: &[Held],
    global: &Global,
) -> anyhow::Result<Vec<Looked>> {
    let mut looked: Vec<Looked> = Vec::new();
    if !arguments.look && arguments.bindings.is_none() {
        return Ok(looked);
    }
    let host = engine::host_to_look_at(global)?;
    let mut wanted = Vec::new();
    match &arguments.bindings {
        Some(path) => {
            let bindings = read(path)?;
            wanted.extend(machines::roles(&bindings).into_iter().map(|role| (role, bindings.clone())));
        }
        None => {
            for Held { copy, .. } in held {
                wanted.push((RoleName::new(&copy.machine)?, read(&home.run_folder(&copy.run).join("bindings.yaml"))?));
            }
        }
    }
    for (role, bindings) in wanted {
        let system = bindings.targets.get(&role).map(|binding| &binding.system);
        if !looked.iter().any(|other| Some(&other.system) == system) {
            looked.push(machines::look(&host, &bindings, &role).await?);
        }
    }
    Ok(looked)
}

fn read(path: &Path) -> anyhow::Result<Bindings> {
    let checked = source::bindings(path)?;
    print(&checked);
    match checked.content {
        Content::Bindings(bindings) => Ok(*bindings),
        _ => Err(Problem::new(Exit::File, "the bindings are invalid; see above").into()),
    }
}

/// What the machine shows of a copy; `None` where it was not looked at, or has no such copy.
pub(super) fn seen<'a>(copy: &Copy, looked: &'a [Looked]) -> Option<&'a Instance> {
    looked.iter().flat_map(|machine| &machine.instances).find(|instance| is_same(copy, instance))
}

fn is_same(copy: &Copy, instance: &Instance) -> bool {
    let last = copy.step.as_str().rsplit('/').next();
    let made = instance.run.as_deref() == Some(copy.run.as_str()) && instance.step.as_deref() == last;
    copy.copy.as_ref().map_or(made, |name| *name == instance.name)
}

/// Copies on the machines that no journal of this state folder knows.
pub(super) fn strays<'a>(held: &[Held], looked: &'a [Looked]) -> Vec<(&'a RoleName, &'a Instance)> {
    let all = looked.iter().flat_map(|machine| machine.instances.iter().map(move |instance| (&machine.role, instance)));
    all.filter(|(_, instance)| !held.iter().any(|held| is_same(&held.copy, instance))).collect()
}
