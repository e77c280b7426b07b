//! Where the numbers come from: systems with their fidelity, digests, seed, versions.

use crate::{
    Text,
    chapter::{Chapter, chapter, sheet, words},
    drill::DrillReport,
};

/// Everything that is needed to hold the drill again.
pub(super) fn origin(report: &DrillReport) -> Chapter {
    let environment = &report.environment;
    let systems = report.testbed.systems.iter().map(|system| {
        [
            Text::name(&*system.role),
            words(&*system.kind),
            words(system.region.clone().unwrap_or_default()),
            words(&*system.version),
            words(system.fidelity.as_str()),
            words(&*system.origin),
        ]
    });
    let heads = ["role", "kind", "region", "version", "fidelity", "origin"];
    let systems = sheet("Systems, and how true their numbers are", heads, systems);
    let mut rows = vec![
        [words("Lifeboat"), words(&*report.version)],
        [words("Seed"), words(report.seed.to_string())],
        [words("Testbed"), words(report.testbed.backend.as_str())],
        [words("Platform"), words(&*environment.platform)],
        [words("Processors"), words(environment.processors.to_string())],
    ];
    let episodes = report.episodes.iter();
    rows.extend(episodes.map(|it| [words(format!("Runbook {}", it.runbook.id)), Text::name(&*it.runbook.digest)]));
    rows.push([words("Bindings"), Text::name(&*environment.bindings_digest)]);
    let plugins = environment.plugins.iter();
    rows.extend(plugins.map(|it| [words(format!("Plugin {}", it.name)), Text::name(&*it.digest)]));
    rows.extend(report.episodes.iter().map(|it| [words(format!("Run of {}", it.runbook.id)), Text::name(&*it.run)]));
    let rows = sheet("Versions, seed and digests", ["what", "value"], rows);
    chapter("environment", "Environment", [systems, rows])
}
