//! Every code of a diagnostic: stable, never used again for something else. Each has a page in `docs/errors`.

use super::Severity;

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `LB0012`.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The title of its page.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $title:literal)*) => {
        $(pub(crate) const $name: Code = Code { id: $id, severity: Severity::$severity, title: $title };)*
        /// Every code, in order.
        pub const CODES: &[Code] = &[$($name),*];
    };
}

codes! {
    NOT_YAML "LB0001" Error "the file is not YAML"
    TOO_LARGE "LB0002" Error "the file is too large"
    NOT_UTF8 "LB0003" Error "the file is not UTF-8"
    TOO_DEEP "LB0004" Error "the file is nested too deep or expands too many aliases"
    DUPLICATE_KEY "LB0005" Error "a key appears twice"
    VERSION "LB0006" Error "unknown version of the language"
    UNKNOWN_KEY "LB0010" Error "unknown key"
    MISSING_KEY "LB0011" Error "a key is missing"
    WRONG_SHAPE "LB0012" Error "a value of the wrong shape"
    WRONG_WORD "LB0013" Error "not one of the allowed words"
    BAD_NAME "LB0014" Error "a name that cannot be used"
    BAD_DURATION "LB0015" Error "not a duration"
    BAD_TYPE "LB0016" Error "not a type"
    STEP_KIND "LB0017" Error "a step does exactly one thing"
    OUT_OF_RANGE "LB0018" Error "a number out of range"
    NO_STEPS "LB0019" Error "a runbook without steps"
    DUPLICATE_STEP "LB0020" Error "two steps with the same name"
    UNKNOWN_NEED "LB0021" Error "a step needs a step that does not exist"
    CYCLE "LB0022" Error "steps need each other in a circle"
    UNKNOWN_ACTION "LB0023" Error "unknown action"
    UNKNOWN_PARAMETER "LB0024" Error "unknown parameter"
    MISSING_PARAMETER "LB0025" Error "a parameter is missing"
    WRONG_TYPE "LB0026" Error "a value of the wrong type"
    UNKNOWN_TARGET "LB0027" Error "unknown target"
    WRONG_KIND "LB0028" Error "a target of the wrong kind"
    LITTLE_ACCESS "LB0029" Error "the target does not give enough access"
    BAD_EXPRESSION "LB0030" Error "an expression that cannot be read"
    UNKNOWN_NAME "LB0031" Error "unknown name in an expression"
    UNKNOWN_INPUT "LB0032" Error "unknown input"
    UNKNOWN_STEP "LB0033" Error "an expression refers to a step that does not exist"
    NOT_BEFORE "LB0034" Error "an expression refers to a step that may not have finished"
    UNKNOWN_OUTPUT "LB0035" Error "unknown output"
    UNKNOWN_FUNCTION "LB0036" Error "unknown function"
    BAD_DEFAULT "LB0037" Error "a default that cannot be the input's value"
    IDLE_RETRY "LB0038" Warning "a retry that has no effect"
    UNUSED_INPUT "LB0039" Warning "an input that is never used"
    UNUSED_TARGET "LB0040" Warning "a target that is never used"
    MISPLACED_KEY "LB0041" Error "a key that this kind of step cannot have"
    NO_RUNBOOK "LB0042" Error "a runbook that cannot be read"
    RUNBOOK_CIRCLE "LB0043" Error "runbooks call each other in a circle"
    RUNBOOK_TOO_LARGE "LB0044" Error "the runbooks that are called are too many or too deep"
    CALLED_HANDLERS "LB0045" Warning "the handlers of a called runbook do not run"
    OTHER_VARIANT "LB0046" Error "an expression refers to a step that does not run in this variant"
    OPERANDS "LB0047" Error "operands of incompatible types"
    OTHER_LANGUAGE "LB0048" Warning "an expression of another language is plain text here"
    PLAIN_SECRET "LB0050" Error "a secret in plain text"
    BAD_ADDRESS "LB0051" Error "not an address, a path or a URL"
    NOT_BOUND "LB0052" Error "a role without a system"
    BOUND_KIND "LB0053" Error "a role is bound to the wrong kind of system"
    BOUND_ACCESS "LB0054" Error "the binding does not give enough access"
    NO_IDENTITY "LB0055" Error "a system that may be destroyed must prove its identity"
    SPARE_ROLE "LB0056" Warning "a binding that the runbook does not use"
    NO_PEOPLE "LB0057" Warning "nobody is named for a role that must answer"
    NOBODY "LB0058" Error "nobody could answer an approval"
    MISSING_INPUT "LB0060" Error "an input is missing"
    SPARE_INPUT "LB0061" Error "an input that the runbook does not have"
    BAD_INPUT "LB0062" Error "an input of the wrong type"
    RTO_TOO_SHORT "LB0063" Warning "an RTO that the steps cannot meet"
    RPO_TOO_SHORT "LB0064" Warning "an RPO that the archive cannot meet"
    WINDOW_TOO_LONG "LB0065" Warning "a recovery window that the backups do not cover"
    CONTRADICTION "LB0070" Error "contradictory values"
    MORE "LB0071" Error "more problems than are shown"
}
