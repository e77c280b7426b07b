//! `lifeboat plugins`: what the plugins can do and what they may reach.

use clap::Args;
use lifeboat_core::action::{Action, Effect, Field};
use lifeboat_host::PluginInfo;
use lifeboat_simulator::drill_step::actions;
use serde::Serialize;

use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    output::{BAD, GOOD, QUIET, STRONG, WARN, data, json, styled},
    problem::Problem,
};

/// List plugins with their actions, parameters, effects and capabilities
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat plugins\n  lifeboat plugins pg\n  lifeboat plugins pg/restore")]
pub(crate) struct Arguments {
    /// A plugin or an action [default: all plugins]
    name: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct PluginDocument<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    digest: &'a str,
    imports: &'a [String],
    actions: &'a [Action],
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let mut plugins = engine::host_to_look_at(global)?.plugins();
    plugins.push(simulator());
    let plugins = chosen(plugins, arguments.name.as_deref())?;
    if arguments.json {
        json(&plugins.iter().map(document).collect::<Vec<_>>())?;
    } else if arguments.name.is_some() {
        plugins.iter().for_each(print_whole);
    } else {
        plugins.iter().for_each(print_short);
    }
    Ok(Exit::Done)
}

/// What the simulator serves is no plugin, and used as if it were one.
fn simulator() -> PluginInfo {
    let actions = actions();
    let name = actions.first().map_or_else(String::new, |action| action.name.plugin().to_owned());
    PluginInfo { name, digest: String::new(), imports: Vec::new(), actions }
}

fn document(plugin: &PluginInfo) -> PluginDocument<'_> {
    PluginDocument { name: &plugin.name, digest: &plugin.digest, imports: &plugin.imports, actions: &plugin.actions }
}

/// The plugins of that name, or the one plugin with only that action.
fn chosen(mut plugins: Vec<PluginInfo>, name: Option<&str>) -> Result<Vec<PluginInfo>, Problem> {
    let Some(name) = name else { return Ok(plugins) };
    let known: Vec<String> = plugins.iter().map(|plugin| plugin.name.clone()).collect();
    for plugin in &mut plugins {
        plugin.actions.retain(|action| plugin.name == name || action.name.to_string() == name);
    }
    plugins.retain(|plugin| !plugin.actions.is_empty());
    if plugins.is_empty() {
        let problem = Problem::usage(format!("unknown plugin or action `{name}`"));
        return Err(problem.hint(format!("the plugins are: {}", known.join(", "))));
    }
    Ok(plugins)
}

fn print_short(plugin: &PluginInfo) {
    data(styled(STRONG, &plugin.name));
    let width = plugin.actions.iter().map(|action| action.name.to_string().len()).max().unwrap_or(0);
    for action in &plugin.actions {
        let name = format!("{:width$}", action.name.to_string());
        data(format_args!("  {name}  {}  {}", effect(action.effect, 7), first_sentence(&action.doc)));
    }
}

fn print_whole(plugin: &PluginInfo) {
    if plugin.digest.is_empty() {
        data(format_args!("{} {}", styled(STRONG, &plugin.name), styled(QUIET, "the simulator, which is no plugin")));
    } else {
        data(format_args!("{} {}", styled(STRONG, &plugin.name), styled(QUIET, &plugin.digest)));
        data("may use:");
    }
    plugin.imports.iter().for_each(|import| data(format_args!("  {import}")));
    plugin.actions.iter().for_each(print_action);
}

fn print_action(action: &Action) {
    let flags = [(action.idempotent, "idempotent"), (action.observable, "observable")];
    let flags: String = flags.iter().filter(|(is, _)| *is).map(|(_, name)| format!(", {name}")).collect();
    data(format_args!("\n{}  ({}{flags})", styled(STRONG, &action.name), effect(action.effect, 0)));
    data(format_args!("  {}", action.doc));
    print_fields("parameters", &action.parameters);
    print_fields("outputs", &action.outputs);
}

fn print_fields(heading: &str, fields: &[Field]) {
    if fields.is_empty() {
        return;
    }
    data(format_args!("  {heading}:"));
    let name = |field: &Field| format!("{}{}", field.name, if field.required { "" } else { "?" });
    let width = fields.iter().map(|field| name(field).len()).max().unwrap_or(0);
    for field in fields {
        data(format_args!("    {:width$}  {}", name(field), styled(QUIET, String::from(field.ty.clone()))));
        data(format_args!("    {:width$}  {}", "", field.doc));
    }
}

fn effect(effect: Effect, width: usize) -> String {
    let style = match effect {
        Effect::Read => GOOD,
        Effect::Mutate => WARN,
        Effect::Destroy => BAD,
    };
    styled(style, format_args!("{:width$}", effect.access()))
}

fn first_sentence(doc: &str) -> &str {
    doc.split_once(". ").map_or(doc, |(first, _)| first).trim_end_matches('.')
}
