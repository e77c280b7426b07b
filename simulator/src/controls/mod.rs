//! Known breakages. A drill that stays green with one of them proves nothing.

mod saboteur;

pub use saboteur::{Facts, Saboteur};

/// A breakage that a drill can be held with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// None: the drill itself.
    #[default]
    None,
    /// The copy is restored to a moment after the damage.
    WrongTargetTime,
    /// The step that puts the rows back does nothing and says that it did.
    NoOpRestore,
    /// The step that puts the rows back skips every thousandth of them.
    SkippedRows,
    /// The step that settles conflicts overwrites the rows that the application has made again, whatever was decided.
    OverwrittenKeys,
    /// The ledger loses one acknowledgement.
    LostAcknowledgement,
}

impl Sabotage {
    /// The controls that `--controls` holds.
    pub const CONTROLS: [Self; 3] = [Self::WrongTargetTime, Self::NoOpRestore, Self::OverwrittenKeys];

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::WrongTargetTime => "wrong-target-time",
            Self::NoOpRestore => "no-op-restore",
            Self::SkippedRows => "skipped-rows",
            Self::OverwrittenKeys => "overwritten-keys",
            Self::LostAcknowledgement => "lost-acknowledgement",
        }
    }

    /// The step of DR-003 that it breaks and that must say, wrongly, that it succeeded; `None` where it breaks no step.
    pub fn breaks(self) -> Option<&'static str> {
        match self {
            Self::WrongTargetTime => Some("restore"),
            Self::NoOpRestore | Self::SkippedRows => Some("merge"),
            Self::OverwrittenKeys => Some("settle"),
            Self::None | Self::LostAcknowledgement => None,
        }
    }
}
