//! The proof that a machine is the one meant: a file in its work folder, compared with the binding.

use lifeboat_core::action::Effect;

use super::{denied, files, place::Place};
use crate::{call::CallContext, wit::lifeboat::machine::machine::Error};

/// The file in the folder `work`.
pub(super) const FILE: &str = ".lifeboat-identity";

/// Refuses a machine that is not the one meant, and to destroy on one that does not say.
pub(super) async fn prove(context: &CallContext, place: &Place<'_>, needed: Effect) -> Result<(), Error> {
    let (role, source) = (place.role, &context.bindings.source);
    let missing = |problem: &str| match needed {
        Effect::Destroy => Err(denied(
            "host-identity-missing",
            format!("refusing to destroy: nothing proves that `{role}` is the intended machine; {problem}"),
        )),
        _ => Ok(()),
    };
    let Some(expected) = &place.machine.identity else {
        return missing(&format!("{source} does not set its `identity`"));
    };
    if context.own.machine.has_proved(role) {
        return Ok(());
    }
    // An identity that is given must be found before anything is changed: the wrong machine is the one without the file.
    let absent = |problem: &str| match needed {
        Effect::Read => Ok(()),
        _ => Err(denied(
            "host-identity-missing",
            format!("refusing to change: nothing proves that `{role}` is the intended machine; {problem}"),
        )),
    };
    let Some(work) = place.machine.folders.get("work") else {
        return absent(&format!("{source} does not give it a folder `work`"));
    };
    let path = format!("{}/{FILE}", work.path.trim_end_matches('/'));
    match files::read_in(context, place, &path).await {
        Ok(content) if String::from_utf8_lossy(&content).trim() == expected.trim() => {
            context.own.machine.note_proved(role);
            Ok(())
        }
        Ok(_) => Err(denied(
            "host-identity-mismatch",
            format!("the file {path} of `{role}` differs from the `identity` in {source}: it is another machine"),
        )),
        Err(Error::NotFound(_)) => absent(&format!("the file {path} does not exist")),
        Err(error) => Err(error),
    }
}
