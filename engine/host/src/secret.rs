//! Secrets: resolved at the moment of use, and scrubbed from every text that leaves the host.

use std::{fs, sync::Mutex};

use lifeboat_core::{bindings::SecretRef, failure::Reason};
use secrecy::{ExposeSecret, SecretString};

/// A shorter secret would blank out ordinary words; it protects nothing either.
const SCRUBBED_LENGTH_MIN: usize = 4;

/// Resolves references and remembers what they held, to take it out of messages.
#[derive(Default)]
pub(crate) struct Secrets {
    seen: Mutex<Vec<SecretString>>,
}

impl Secrets {
    /// The secret behind a reference. The error names the reference, never content.
    pub(crate) fn resolve(&self, reference: &SecretRef) -> Result<SecretString, Reason> {
        let text = match reference {
            SecretRef::Env(name) => std::env::var(name).map_err(|_| unresolved(reference, "the variable is not set")),
            SecretRef::File(path) => {
                fs::read_to_string(path).map_err(|error| unresolved(reference, &error.kind().to_string()))
            }
        }?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let secret = SecretString::from(text.strip_suffix('\r').unwrap_or(text));
        self.remember(&secret);
        Ok(secret)
    }

    fn remember(&self, secret: &SecretString) {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = seen.iter().any(|other| other.expose_secret() == secret.expose_secret());
        if !known && secret.expose_secret().len() >= SCRUBBED_LENGTH_MIN {
            seen.push(secret.clone());
        }
    }

    /// The text with every secret that was resolved so far taken out.
    pub(crate) fn scrub(&self, text: impl Into<String>) -> String {
        let mut text = text.into();
        for secret in self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), "[secret]");
            }
        }
        text
    }

    /// A reason without secrets.
    pub(crate) fn scrub_reason(&self, reason: Reason) -> Reason {
        Reason { code: self.scrub(reason.code), message: self.scrub(reason.message) }
    }
}

fn unresolved(reference: &SecretRef, problem: &str) -> Reason {
    let reference = String::from(reference.clone());
    Reason::new("host-secret", format!("cannot read the secret `{reference}` of the bindings: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolved_secret_is_scrubbed_and_its_newline_is_no_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "hunter2-planted\n").unwrap();
        let secrets = Secrets::default();
        let secret = secrets.resolve(&SecretRef::File(path.display().to_string())).unwrap();
        assert_eq!(secret.expose_secret(), "hunter2-planted");
        assert_eq!(secrets.scrub("login hunter2-planted@db failed"), "login [secret]@db failed");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_reference() {
        let missing = SecretRef::File("/nonexistent/lifeboat/password".to_owned());
        let reason = Secrets::default().resolve(&missing).unwrap_err();
        assert_eq!(reason.code, "host-secret");
        assert!(reason.message.contains("file:/nonexistent/lifeboat/password"), "{}", reason.message);
    }
}
