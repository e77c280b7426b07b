//! The sizes of a drill, its faults and the habits of its application must fit each other.

use lifeboat_core::document::Document;

use super::entries::{Named, TimelineEntry, may_hold_other_faults};
use crate::{model::Size, workload::shop::Habits};

const SIZES: [&str; 2] = ["size", "control_size"];

/// Checks how much is loaded, deleted, and made again.
pub(super) fn fits(document: &mut Document<'_>) {
    sizes_fit(document);
    let entries = TimelineEntry::all(document);
    let deleting = entries.as_deref().and_then(deleting_fault);
    if let Some(kind) = deleting {
        customers_are_set_aside(document, kind);
    }
    let is_sure = entries.is_some_and(|entries| !may_hold_other_faults(&entries));
    habits_fit(document, deleting.is_some() || !is_sure);
}

/// The first fault that deletes customers.
fn deleting_fault(entries: &[TimelineEntry]) -> Option<&'static str> {
    entries.iter().find_map(|entry| match entry.fault()? {
        Named::Known(kind) => {
            let fault = (kind.make)(entry.under("fault")?).ok()?;
            fault.deletes_customers().then_some(kind.name)
        }
        Named::Unknown => None,
    })
}

/// Each row needs its parent, and the fault can delete only rows that exist.
fn sizes_fit(document: &mut Document<'_>) {
    for key in SIZES {
        let Some(size) = document.get::<Size>(&[key]) else { continue };
        for (name, rows, of, least) in [
            ("orders", size.orders, "customers", size.customers),
            ("order_items", size.order_items, "orders", size.orders),
        ] {
            if rows < least {
                let message = format!("`{name}` is {rows}, fewer than the {least} {of}");
                let help = format!("at least as many as `{of}`: {least}");
                document.contradiction_with_help(&[key, name], message, "too few", help);
            }
        }
        if size.damaged_customers > size.customers {
            let message = format!("the fault cannot delete {} of {} customers", size.damaged_customers, size.customers);
            let help = format!("at most {}", size.customers);
            document.contradiction_with_help(&[key, "damaged_customers"], message, "more than there are", help);
        }
    }
}

/// A fault that deletes customers deletes those that each size sets aside for it.
fn customers_are_set_aside(document: &mut Document<'_>, kind: &str) {
    for key in SIZES {
        let is_missing = document.get::<Size>(&[key]).is_some_and(|size| size.damaged_customers == 0);
        if is_missing {
            let message = format!("`{kind}` deletes customers, and `{key}` does not say how many");
            let help = "add `damaged_customers`, the number of customers that the fault deletes";
            document.contradiction_with_help(&[key], message, "the fault would delete nothing", help);
        }
    }
}

/// Only a deleted customer can be made again, and only a customer who was not deleted closes an account.
fn habits_fit(document: &mut Document<'_>, customers_are_deleted: bool) {
    let Some(habits) = document.get::<Habits>(&["workload", "habits"]) else { return };
    if habits.made_again > 0 && !customers_are_deleted {
        let message = "no fault of this drill deletes customers who could be made again";
        let path = ["workload", "habits", "made_again"];
        document.contradiction_with_help(&path, message, "nobody to make again", "set `made_again: 0`");
    }
    for key in SIZES {
        let Some(size) = document.get::<Size>(&[key]) else { continue };
        if size.damaged_customers > size.customers || size.orders < size.customers {
            continue;
        }
        let closable = i64::try_from(habits.accounts_closed(&size).len()).unwrap_or(i64::MAX);
        let told = [
            // Without such customers something else is wrong, and has been reported.
            ("made_again", habits.made_again, size.damaged_customers, size.damaged_customers > 0),
            ("accounts_closed", habits.accounts_closed, closable, true),
            // Others must be left that are written.
            ("archived", habits.archived, size.customers / 2, true),
        ];
        for (name, wanted, possible, is_limit) in told {
            if wanted > possible && is_limit {
                let message = format!("{wanted} of `{name}` are too many for `{key}`");
                let help = format!("at most {possible}");
                document.contradiction_with_help(&["workload", "habits", name], message, "too many", help);
            }
        }
    }
}
