//! The keys of a bindings file. Those of a target are its kind's.

use super::kind::SYSTEMS;
use crate::grammar::{Object, Shape, optional, required};

/// The whole file.
pub(crate) static BINDINGS: Object = Object {
    what: "a bindings file",
    one_of: &[],
    fields: &[
        required("lifeboat", "Version of the language: 1.", Shape::Version),
        required("targets", "The real system that plays each role.", Shape::Names(&Shape::ByKind(SYSTEMS))),
        optional(
            "people",
            "Who may answer for each role: login names, and `group:NAME` for groups of the operating system.",
            Shape::Names(&Shape::List(&Shape::Text)),
        ),
    ],
};
