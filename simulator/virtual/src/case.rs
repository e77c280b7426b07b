//! A case: a seed and the faults that are planned in it. Everything that happens follows from these two and the plan.

use std::fmt;

use lifeboat_core::{input::Purpose, name::StepId};

use super::faults::{AppendFault, CallFault, Planned, QuestionFault};

/// One run of the virtual world, as it can be written down and played again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    /// What all chance follows from: times, outputs, what an attempt that was cut off still did.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Vec<Planned>,
}

impl Case {
    /// A case in which nothing goes wrong.
    pub fn calm(seed: u64) -> Self {
        Self { seed, faults: Vec::new() }
    }

    /// The faults of a call. One that is broken stays broken.
    pub(super) fn of_call(&self, purpose: Purpose, step: &StepId, nth: u32) -> impl Iterator<Item = CallFault> {
        self.faults.iter().filter_map(move |planned| match planned {
            Planned::Call { fault, purpose: of, step: at, nth: number } if *of == purpose && at == step => {
                let lasts = matches!(fault, CallFault::Permanent | CallFault::WrongTarget);
                (*number == nth || (lasts && *number <= nth)).then_some(*fault)
            }
            _ => None,
        })
    }

    /// The fault of a question.
    pub(super) fn of_question(&self, step: &StepId, nth: u32) -> Option<QuestionFault> {
        self.faults.iter().find_map(|planned| match planned {
            Planned::Question { fault, step: at, nth: number } if at == step && *number == nth => Some(*fault),
            _ => None,
        })
    }

    /// What happens while a decision is written.
    pub(super) fn of_append(&self, nth: u32) -> impl Iterator<Item = AppendFault> {
        self.faults.iter().filter_map(move |planned| match planned {
            Planned::Append { fault, nth: number } if *number == nth => Some(*fault),
            _ => None,
        })
    }

    /// The same case without what must not matter; `None` where the two cannot be compared, because a fault that is left would
    /// come at another place.
    pub(super) fn without_what_must_not_matter(&self) -> Option<Self> {
        let (disturbing, rest): (Vec<_>, Vec<_>) = self.faults.iter().cloned().partition(Planned::must_not_matter);
        let comparable = !disturbing.is_empty() && rest.iter().all(Planned::is_steady);
        comparable.then_some(Self { seed: self.seed, faults: rest })
    }
}

/// `17 answer-lost@merge#1 crash-after@12`.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        self.faults.iter().try_for_each(|fault| write!(f, " {fault}"))
    }
}

impl std::str::FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let seed = words.next().and_then(|word| word.parse().ok());
        let seed = seed.ok_or_else(|| format!("a case must begin with its seed, a whole number, not with `{text}`"))?;
        Ok(Self { seed, faults: words.map(str::parse).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_is_written() {
        let text = "17 answer-lost@merge#1 crash-after@12";
        let case: Case = text.parse().unwrap();
        assert_eq!((case.seed, case.faults.len(), case.to_string().as_str()), (17, 2, text));
        assert_eq!(
            "merge".parse::<Case>().unwrap_err(),
            "a case must begin with its seed, a whole number, not with `merge`"
        );
    }

    #[test]
    fn what_is_broken_stays_broken() {
        let case: Case = "1 permanent@merge#2 transient@find#1".parse().unwrap();
        let faults = |step: &str, nth| case.of_call(Purpose::Run, &StepId::new(step).unwrap(), nth).count();
        assert_eq!([faults("merge", 1), faults("merge", 2), faults("merge", 3)], [0, 1, 1]);
        assert_eq!([faults("find", 1), faults("find", 2)], [1, 0]);
    }

    #[test]
    fn only_what_is_the_same_without_the_crash_is_compared() {
        let without =
            |text: &str| text.parse::<Case>().unwrap().without_what_must_not_matter().map(|case| case.to_string());
        assert_eq!(without("1 crash-after@3 permanent@merge#1"), Some("1 permanent@merge#1".to_owned()));
        assert_eq!(without("1 crash-after@3 transient@merge#2"), None);
        assert_eq!(without("1 permanent@merge#1"), None);
    }
}
