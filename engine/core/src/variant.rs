//! The plan of one variant, made of a plan that holds both.

use crate::plan::{Plan, Step, StepIndex, Variant};

impl Plan {
    /// Whether some steps are done in one variant only, so that a run must say which it is.
    pub fn has_variants(&self) -> bool {
        self.steps.iter().any(|step| step.variant.is_some())
    }

    /// The plan without the steps of other variants. What needed one of them needs what that one needed.
    pub fn of_variant(self, variant: Variant) -> Self {
        let mut steps: Vec<Step> = Vec::with_capacity(self.steps.len());
        let mut ends: Vec<Vec<StepIndex>> = Vec::with_capacity(self.steps.len());
        for step in self.steps {
            let mut needs: Vec<StepIndex> = step.needs.iter().flat_map(|need| ends[*need].iter().copied()).collect();
            needs.sort_unstable();
            needs.dedup();
            if step.variant.is_some_and(|other| other != variant) {
                ends.push(needs);
            } else {
                ends.push(vec![steps.len()]);
                steps.push(Step { needs, variant: None, ..step });
            }
        }
        Self { steps, variant: Some(variant), ..self }
    }
}
