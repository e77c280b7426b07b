//! What a drill measured: `report.json` as a type, which the simulator fills and everybody else reads; and what people read of it: a
//! sentence, a summary, chapters, `report.md`, `junit.xml`.

mod chapter;
mod checklist;
mod document;
mod environment;
mod exercise;
mod gaps;
mod interval;
mod junit;
mod machine;
mod markdown;
mod proof;
mod sentence;
mod summary;
mod system;
#[cfg(test)]
pub(crate) mod testing;
mod versions;

pub(crate) use self::exercise::every_schema;
pub use self::{
    chapter::{chapters, point_verdict, reasons},
    checklist::{Checklist, ChecklistPoint, MEASURES},
    document::{
        BiteReport, Check, CheckKind, ControlReport, ControlRun, DrawnProbe, DrillReport, EpisodeReport, FORMAT,
        FaultReport, Instants, LagReport, LostWrite, NotApplied, ProbeSummary, RoutineReport, RpoReport, RtoReport,
        RunbookReport, Sample, Scaled, StepReport, TestbedReport, WritesReport,
    },
    environment::{Environment, Held, HostReport, PluginReport},
    exercise::{DrillFile, Every, Exercise},
    gaps::{Gap, gaps},
    interval::{Interval, Verdict},
    junit::junit,
    machine::{Load, Readiness},
    markdown::markdown,
    proof::{Proof, proof, verdict},
    sentence::sentence,
    summary::lines,
    system::{Backend, Fidelity, SystemInfo},
    versions::read,
};
