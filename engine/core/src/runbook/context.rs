//! What the checks of single steps look at, and what they note.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    library::{Library, UnitIndex},
    model::{Body, Call, Runbook, Step},
    order::Order,
};
use crate::{action::Catalogue, plan::Variant, types::Type};

/// What the checks of single steps look at, and what they note.
pub(super) struct Context<'c, 'n> {
    pub(super) runbook: &'c Runbook<'n>,
    /// With all that it calls, and its own place there.
    pub(super) collection: &'c Library<'n>,
    pub(super) unit: UnitIndex,
    pub(super) catalogue: &'c Catalogue,
    pub(super) order: &'c Order,
    /// The type of `item` in the step that is looked at, where there is one.
    pub(super) item: Option<Type>,
    pub(super) items: BTreeMap<usize, Type>,
    pub(super) used_inputs: BTreeSet<String>,
    pub(super) used_targets: BTreeSet<String>,
}

/// A step by its name or path.
pub(super) struct Found<'c, 'n> {
    /// The step of this file that it is or is called by.
    pub(super) place: usize,
    /// `None` where what is called cannot be had, which is reported elsewhere.
    pub(super) step: Option<&'c Step<'n>>,
    /// In which variants only it is done: its own, and those of the calls that lead to it.
    pub(super) variants: Vec<Variant>,
}

impl<'c, 'n> Context<'c, 'n> {
    /// The runbook that is called; `None` where it cannot be had, which is reported elsewhere.
    pub(super) fn called(&self, call: &Call<'_>) -> Option<&'c Runbook<'n>> {
        Some(self.collection.called(self.unit, call)?.1)
    }

    /// The step of that name or path.
    pub(super) fn find(&self, path: &str) -> Option<Found<'c, 'n>> {
        let mut names = path.split('/');
        let place = *self.order.places.get(names.next()?)?;
        let mut step = &self.runbook.steps[place];
        let mut unit = self.unit;
        let mut variants: Vec<Variant> = step.variant.into_iter().collect();
        for name in names {
            let Body::Runbook(call) = &step.body else { return None };
            let Some((called, runbook)) = self.collection.called(unit, call) else {
                return Some(Found { place, step: None, variants });
            };
            step = runbook.steps.iter().find(|step| step.id.value == name)?;
            variants.extend(step.variant);
            unit = called;
        }
        Some(Found { place, step: Some(step), variants })
    }
}
