//! Makes a case small that shows something: faults that do not matter are dropped, and those that stay are made simpler.

use super::{
    case::Case,
    faults::{AppendFault, Planned},
};

/// Cases that are played for it at most.
const TRIES_MAX: u32 = 400;

/// The smallest case found that still shows what the case shows.
pub(super) fn shrink(case: &Case, shows: impl Fn(&Case) -> bool) -> Case {
    let mut shrinking = Shrinking { shows, best: case.clone(), tries: 0 };
    shrinking.drop_faults();
    shrinking.simplify();
    shrinking.drop_faults();
    shrinking.best
}

struct Shrinking<F> {
    shows: F,
    best: Case,
    tries: u32,
}

impl<F: Fn(&Case) -> bool> Shrinking<F> {
    /// Takes the case where it shows the same.
    fn attempt(&mut self, case: Case) -> bool {
        self.tries += 1;
        let better = self.tries <= TRIES_MAX && (self.shows)(&case);
        if better {
            self.best = case;
        }
        better
    }

    fn drop_faults(&mut self) {
        let mut place = 0;
        while place < self.best.faults.len() {
            let mut fewer = self.best.clone();
            fewer.faults.remove(place);
            if !self.attempt(fewer) {
                place += 1;
            }
        }
    }

    /// Earlier, and a plain crash instead of a torn record.
    fn simplify(&mut self) {
        for place in 0..self.best.faults.len() {
            for simpler in simpler(&self.best.faults[place].clone()) {
                let mut case = self.best.clone();
                case.faults[place] = simpler;
                if self.attempt(case) {
                    break;
                }
            }
        }
    }
}

/// Faults that are told more easily, the simplest first.
fn simpler(fault: &Planned) -> Vec<Planned> {
    match fault {
        Planned::Call { fault, purpose, step, nth } => {
            (1..*nth).map(|nth| Planned::Call { fault: *fault, purpose: *purpose, step: step.clone(), nth }).collect()
        }
        Planned::Question { fault, step, nth } => {
            (1..*nth).map(|nth| Planned::Question { fault: *fault, step: step.clone(), nth }).collect()
        }
        Planned::Append { fault, nth } => {
            let kinds = match fault {
                AppendFault::CrashDuring
                | AppendFault::DiskFull
                | AppendFault::AppendRefused
                | AppendFault::AppendUnanswered
                | AppendFault::SecondOwner
                | AppendFault::Stop => {
                    vec![AppendFault::CrashAfter, *fault]
                }
                _ => vec![*fault],
            };
            let places = kinds.into_iter().flat_map(|kind| (1..=*nth).map(move |nth| (kind, nth)));
            places.filter(|place| *place != (*fault, *nth)).map(|(fault, nth)| Planned::Append { fault, nth }).collect()
        }
    }
}
