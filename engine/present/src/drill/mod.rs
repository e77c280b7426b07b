//! What a drill measured: `report.json` as a type, which the simulator fills and everybody else reads, and its summary for people.

mod document;
mod interval;
mod machine;
mod summary;
mod system;
mod versions;

pub use self::{
    document::{
        BiteReport, Check, CheckKind, ControlReport, ControlRun, DrawnProbe, DrillReport, Environment, EpisodeReport,
        FORMAT, FaultReport, HostReport, Instants, LagReport, LostWrite, PluginReport, ProbeSummary, RpoReport,
        RtoReport, RunbookReport, Sample, Scaled, StepReport, TestbedReport, WritesReport,
    },
    interval::{Interval, Verdict},
    machine::{Load, Readiness},
    summary::{Proof, lines, proof, verdict},
    system::{Backend, Fidelity, SystemInfo},
    versions::read,
};
