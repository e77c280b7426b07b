//! The runbook as the author wrote it, places kept. Never executed: `compile` makes a plan of it.

use crate::{
    diagnostic::Span,
    every::Every,
    plan::{InputDeclaration, Objectives, OnFailure, Retry, Section, TargetDeclaration, Variant},
    yaml::{Entry, Node},
};

/// Something with its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// A runbook.
#[derive(Debug)]
pub(super) struct Runbook<'n> {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) objectives: Objectives,
    pub(super) every: Option<Every>,
    pub(super) inputs: Vec<(At<&'n str>, InputDeclaration)>,
    pub(super) targets: Vec<(At<&'n str>, TargetDeclaration)>,
    /// Those of the recovery, then its handlers.
    pub(super) steps: Vec<Step<'n>>,
}

/// A step.
#[derive(Debug)]
pub(super) struct Step<'n> {
    pub(super) id: At<&'n str>,
    pub(super) section: Section,
    pub(super) variant: Option<Variant>,
    pub(super) title: Option<String>,
    pub(super) body: Body<'n>,
    /// `None`: the step before it.
    pub(super) needs: Option<Vec<At<&'n str>>>,
    pub(super) when: Option<&'n Node>,
    /// The list of whose items each is done.
    pub(super) each: Option<&'n Node>,
    pub(super) max_parallel: u32,
    /// Nothing to do is as good as done.
    pub(super) allow_empty: bool,
    /// For one attempt.
    pub(super) timeout: Option<jiff::SignedDuration>,
    /// For all attempts.
    pub(super) time_limit: Option<jiff::SignedDuration>,
    /// How long its author expects it to take.
    pub(super) estimate: Option<jiff::SignedDuration>,
    pub(super) retry: Retry,
    /// Its keys, for those that mean nothing here.
    pub(super) keys: &'n [Entry],
    pub(super) undo: Option<Use<'n>>,
    pub(super) on_failure: OnFailure,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Body<'n> {
    Uses(Use<'n>),
    Approve {
        by: Vec<String>,
        message: Option<&'n Node>,
        four_eyes: bool,
        expires: Option<jiff::SignedDuration>,
    },
    Manual {
        instruction: Option<&'n Node>,
        evidence: Vec<(&'n str, crate::types::Type)>,
        verify: Option<Use<'n>>,
    },
    Runbook(Call<'n>),
    /// What that is was reported already.
    Unclear,
}

/// Another runbook with what it is given.
#[derive(Debug)]
pub(super) struct Call<'n> {
    pub(super) file: At<&'n str>,
    pub(super) inputs: Option<&'n Node>,
    pub(super) targets: Option<&'n Node>,
}

/// An action with its parameters.
#[derive(Debug)]
pub(super) struct Use<'n> {
    pub(super) action: At<&'n str>,
    pub(super) with: Option<&'n Node>,
    /// Its parameters are keys of the language, whose grammar has reported what is wrong with them.
    pub(super) has_grammar: bool,
}

impl Runbook<'_> {
    pub(super) fn target(&self, role: &str) -> Option<&TargetDeclaration> {
        self.targets.iter().find(|(name, _)| name.value == role).map(|(_, target)| target)
    }

    pub(super) fn input(&self, name: &str) -> Option<&InputDeclaration> {
        self.inputs.iter().find(|(input, _)| input.value == name).map(|(_, input)| input)
    }
}
