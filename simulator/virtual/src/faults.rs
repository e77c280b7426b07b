//! What can go wrong, as data. Each fault has a stable place, so that a case stays the same case when another fault is dropped.

use std::fmt;

use lifeboat_core::{input::Purpose, name::StepId};

/// A fault at its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planned {
    /// Of a call of a plugin.
    Call {
        /// What goes wrong.
        fault: CallFault,
        /// What the call is for.
        purpose: Purpose,
        /// Of which step.
        step: StepId,
        /// The how manieth call of that step for that purpose, counted from 1 over all lives of the engine.
        nth: u32,
    },
    /// Of a question to a person.
    Question {
        /// What goes wrong.
        fault: QuestionFault,
        /// Of which step.
        step: StepId,
        /// The how manieth asking of that step, counted from 1 over all lives of the engine.
        nth: u32,
    },
    /// Of the engine and of what surrounds it, while a decision is written.
    Append {
        /// What goes wrong.
        fault: AppendFault,
        /// The how manieth decision, counted from 1 over all lives of the engine.
        nth: u32,
    },
}

macro_rules! faults {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name on the command line and in stored cases. None is ever renamed.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|fault| fault.name() == name)
            }
        }
    };
}

faults! {
    /// What can go wrong with a call.
    CallFault {
        /// It fails and may work the next time.
        Transient = "transient",
        /// It fails, and so does every later call of the step for that purpose.
        Permanent = "permanent",
        /// The system behind a role is not the one that is meant. The host refuses, now and later.
        WrongTarget = "wrong-target",
        /// It takes longer than it may.
        Slow = "slow",
        /// It never answers; it may have taken effect.
        NeverAnswers = "never-answers",
        /// It takes effect, and its answer is lost.
        AnswerLost = "answer-lost",
        /// Its answer comes twice.
        AnswerTwice = "answer-twice",
        /// It fails for the moment; while the next attempt is in flight, an answer of this one arrives that says that all is well.
        AnswerOld = "answer-old",
        /// A plugin that is asked what became of an attempt cannot tell.
        CannotTell = "cannot-tell",
        /// The engine dies during the call, before it takes effect.
        CrashInCall = "crash-in-call",
        /// The engine dies during the call, after it took effect.
        CrashUnheard = "crash-unheard",
    }
}

faults! {
    /// What people can do wrong who are asked.
    QuestionFault {
        /// They say no, or give up.
        Refuses = "person-refuses",
        /// They do not answer within the time that there is.
        Unanswered = "person-unanswered",
        /// Nobody can be asked in this life of the engine.
        Absent = "person-absent",
        /// They answer something else than was asked, or hand in what is not enough, and then correct themselves.
        Mistakes = "person-mistakes",
        /// Who has said yes says it once more, as if they were two.
        Repeats = "person-repeats",
        /// The engine dies while the question stands.
        Crash = "crash-asked",
    }
}

faults! {
    /// What can happen to the engine while a decision is written, or right after it.
    AppendFault {
        /// The engine dies before anything of it is written.
        CrashBefore = "crash-before",
        /// The engine dies while it is written: the last record may be torn.
        CrashDuring = "crash-during",
        /// The engine dies when it is on disk, before its effects begin.
        CrashAfter = "crash-after",
        /// The disk is full.
        DiskFull = "disk-full",
        /// The store is slow: seconds or minutes go by before the decision is durable.
        AppendSlow = "append-slow",
        /// The store takes nothing of it.
        AppendRefused = "append-refused",
        /// The store takes it, and its answer is lost.
        AppendUnanswered = "append-unanswered",
        /// The engine is told to stop.
        Stop = "stop",
        /// Somebody starts a second engine on the same run.
        SecondEngine = "second-engine",
        /// The engine was cut off from the store for so long that another one owns the run by now, and goes on with it.
        SecondOwner = "second-owner",
        /// The wall clock jumps forward by hours.
        ClockForward = "clock-forward",
        /// The wall clock is set back.
        ClockBack = "clock-back",
        /// Somebody aborts the run a little later.
        Abort = "person-aborts",
        /// Somebody answers questions that nobody asked.
        Stray = "person-strays",
        /// Somebody pauses the run a little later, and somebody lets it go on after minutes or hours.
        Pauses = "operator-pauses",
        /// Somebody leaves a step out.
        Skips = "operator-skips",
        /// Somebody does the work of a step by hand.
        Resolves = "operator-resolves",
        /// Somebody wants another attempt of a step, or everything from a step on done once more.
        Retries = "operator-retries",
        /// Somebody aborts the run, and wants everything taken back.
        Undoes = "operator-undoes",
        /// Somebody answers a question at another terminal, or where no engine works on the run.
        Answers = "person-answers",
    }
}

impl CallFault {
    /// Whether it is the engine that is cut off, and nothing else goes wrong.
    pub fn ends_engine(self) -> bool {
        matches!(self, Self::CrashInCall | Self::CrashUnheard)
    }
}

impl AppendFault {
    /// Whether it is the engine that is cut off or disturbed, and nothing that the runbook has to cope with.
    pub fn is_of_the_engine(self) -> bool {
        // Whoever sets the clock forward makes every call in flight run out of time, and so does a slow store.
        !matches!(self, Self::Abort | Self::ClockForward | Self::AppendSlow) && !self.is_of_an_operator()
    }

    /// Whether it is somebody who tells the run something. Where the run is over before the decision at which they would, they tell
    /// it then.
    pub fn is_of_an_operator(self) -> bool {
        matches!(self, Self::Pauses | Self::Skips | Self::Resolves | Self::Retries | Self::Undoes | Self::Answers)
    }
}

impl Planned {
    /// Of which step it is; `None` where it is of the engine.
    pub(super) fn step(&self) -> Option<&StepId> {
        match self {
            Self::Call { step, .. } | Self::Question { step, .. } => Some(step),
            Self::Append { .. } => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Call { fault, .. } => fault.name(),
            Self::Question { fault, .. } => fault.name(),
            Self::Append { fault, .. } => fault.name(),
        }
    }

    /// Whether a run with it must come to the same end as one without it: only the engine is disturbed, or nobody is there for
    /// a while.
    pub fn must_not_matter(&self) -> bool {
        match self {
            Self::Call { fault, .. } => fault.ends_engine() || *fault == CallFault::AnswerTwice,
            Self::Question { fault, .. } => matches!(fault, QuestionFault::Absent | QuestionFault::Crash),
            Self::Append { fault, .. } => fault.is_of_the_engine(),
        }
    }

    /// Whether it is the same however often the engine was cut off before: what is broken from the first call on.
    pub fn is_steady(&self) -> bool {
        matches!(self, Self::Call { fault: CallFault::Permanent | CallFault::WrongTarget, nth: 1, .. })
    }
}

/// The names of all faults, in the order of the documentation.
pub fn names() -> Vec<&'static str> {
    let calls = CallFault::ALL.iter().map(|fault| fault.name());
    let questions = QuestionFault::ALL.iter().map(|fault| fault.name());
    calls.chain(questions).chain(AppendFault::ALL.iter().map(|fault| fault.name())).collect()
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { fault, purpose: Purpose::Run, step, nth } => write!(f, "{}@{step}#{nth}", fault.name()),
            Self::Call { fault, purpose, step, nth } => write!(f, "{}@{}:{step}#{nth}", fault.name(), word(*purpose)),
            Self::Question { fault, step, nth } => write!(f, "{}@{step}#{nth}", fault.name()),
            Self::Append { fault, nth } => write!(f, "{}@{nth}", fault.name()),
        }
    }
}

impl std::str::FromStr for Planned {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text.split_once('@').ok_or_else(|| format!("`{text}` has no `@PLACE`"))?;
        if let Some(fault) = AppendFault::from_name(name) {
            return Ok(Self::Append { fault, nth: number(place)? });
        }
        let (step, nth) = place.rsplit_once('#').ok_or_else(|| format!("`{text}` has no `#NUMBER`"))?;
        let nth = number(nth)?;
        let id = |step: &str| StepId::parse(step).map_err(|error| error.to_string());
        if let Some(fault) = QuestionFault::from_name(name) {
            return Ok(Self::Question { fault, step: id(step)?, nth });
        }
        let fault = CallFault::from_name(name).ok_or_else(|| format!("unknown fault `{name}`"))?;
        let purposes = [Purpose::Observe, Purpose::Verify, Purpose::Undo];
        let named = purposes.into_iter().find_map(|purpose| {
            let step = step.strip_prefix(word(purpose))?.strip_prefix(':')?;
            Some((purpose, step))
        });
        let (purpose, step) = named.unwrap_or((Purpose::Run, step));
        Ok(Self::Call { fault, purpose, step: id(step)?, nth })
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|nth| *nth > 0).ok_or_else(|| format!("`{text}` is not a number of at least 1"))
}

/// The word for a purpose in the text of a fault.
pub(super) fn word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Run => "run",
        Purpose::Observe => "observe",
        Purpose::Verify => "verify",
        Purpose::Undo => "undo",
    }
}

/// Which faults are played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Vec<&'static str>);

impl Selection {
    /// All of them.
    pub fn all() -> Self {
        Self(names())
    }

    /// Those named; `crash` means every one whose name begins with `crash-`.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut chosen = Vec::new();
        for word in words {
            let family =
                |name: &str| name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            let found: Vec<_> = names().into_iter().filter(|name| family(name)).collect();
            if found.is_empty() {
                return Err(format!("unknown fault `{word}`"));
            }
            chosen.extend(found);
        }
        Ok(Self(names().into_iter().filter(|name| chosen.contains(name)).collect()))
    }

    /// Whether the fault of that name is among them.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        for text in [
            "transient@merge#1",
            "answer-lost@undo:restore#2",
            "cannot-tell@observe:merge#1",
            "person-refuses@sign_off#1",
            "crash-after@12",
            "operator-retries@30",
        ] {
            assert_eq!(text.parse::<Planned>().map(|fault| fault.to_string()), Ok(text.to_owned()));
        }
        for (text, problem) in [
            ("crash-after", "`crash-after` has no `@PLACE`"),
            ("crash-after@0", "`0` is not a number of at least 1"),
            ("transient@merge", "`transient@merge` has no `#NUMBER`"),
            ("tired@merge#1", "unknown fault `tired`"),
        ] {
            assert_eq!(text.parse::<Planned>().unwrap_err(), problem);
        }
    }

    #[test]
    fn a_family_selects_all_of_its_faults() {
        let crashes = Selection::of(["crash"]).unwrap();
        assert!(crashes.has("crash-before") && crashes.has("crash-unheard") && !crashes.has("disk-full"));
        assert_eq!(Selection::of(["crash", "tired"]).unwrap_err(), "unknown fault `tired`");
        assert_eq!(Selection::of(names()).unwrap(), Selection::all());
    }
}
