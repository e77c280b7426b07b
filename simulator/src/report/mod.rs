//! What a drill leaves behind: `report.json` and its schema, `report.html`, a line of the history. `report.md` and `junit.xml` are of
//! `lifeboat-present`.

mod html;
mod line;
mod schema;
mod series;
#[cfg(test)]
mod tests;
mod time_line;

pub use html::render;
pub use lifeboat_present::drill::{
    BiteReport, Check, CheckKind, Checklist, ChecklistPoint, ControlReport, ControlRun, DrawnProbe, DrillFile,
    DrillReport, Environment, EpisodeReport, Every, Exercise, FORMAT, FaultReport, Held, HostReport, Instants,
    LagReport, LostWrite, MEASURES as POINT_MEASURES, NotApplied, PluginReport, ProbeSummary, RoutineReport, RpoReport,
    RtoReport, RunbookReport, Sample, Scaled, StepReport, TestbedReport, WritesReport,
};
pub use line::history_line;
pub use schema::schema;
pub use series::merged;
#[cfg(test)]
pub(crate) use tests::fixture;
