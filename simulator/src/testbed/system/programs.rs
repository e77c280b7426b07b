//! What a place is for the engine where it runs programs: the binding, and how the engine knows it again.

use lifeboat_core::types::TargetKind;
use serde_json::{Map, Value, json};

use crate::testbed::{
    error::TestbedError,
    place::{Call, Place},
    secrets::token,
};

/// The file by which the engine identifies the machine.
pub(super) const IDENTITY: &str = ".lifeboat-identity";

/// Writes that file into the folder for the engine's work; its content.
pub(super) async fn identify(place: &Place, work: &str, name: &str) -> Result<String, TestbedError> {
    let identity = format!("{name}-{}", &token()?[..12]);
    place.write(&format!("{work}/{IDENTITY}"), &identity).await?;
    Ok(identity)
}

/// The binding of a machine that has these folders and PostgreSQL's programs in `bin`.
pub(super) fn binding_of(place: &Place, bin: &str, folders: Map<String, Value>, identity: &str) -> Value {
    let mut binding = json!({
        "kind": TargetKind::Machine.as_str(),
        "access": "destroy",
        "via": place.binding(),
        "postgres_bin": bin,
        "folders": folders,
        "identity": identity,
    });
    if let Some(user) = &place.user {
        binding["user"] = json!(user);
    }
    binding
}

/// `Debian GNU/Linux 12 (bookworm)`.
pub(super) async fn version(place: &Place) -> Result<String, TestbedError> {
    let text = place.run("cat", Call::new(&["/etc/os-release"])).await?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Ok(name.map_or_else(|| "unknown system".to_owned(), |name| name.trim_matches('"').to_owned()))
}
