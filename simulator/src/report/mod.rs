//! What a drill leaves behind: `report.json`, `report.html` and a line of the history.

mod html;
mod line;
mod page;
mod schema;
mod series;
#[cfg(test)]
mod tests;
mod time_line;

pub use html::render;
pub use lifeboat_present::drill::{
    BiteReport, Check, CheckKind, ControlReport, ControlRun, DrawnProbe, DrillReport, Environment, EpisodeReport,
    FORMAT, FaultReport, HostReport, Instants, LagReport, LostWrite, PluginReport, ProbeSummary, RpoReport, RtoReport,
    RunbookReport, Sample, Scaled, StepReport, TestbedReport, WritesReport,
};
pub use line::history_line;
pub use page::escape;
pub use schema::schema;
pub use series::merged;
#[cfg(test)]
pub(crate) use tests::fixture;
