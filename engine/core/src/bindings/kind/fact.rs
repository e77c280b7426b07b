//! What expressions may know of the real systems: `targets.<role>.<fact>`.

use std::iter;

use serde_json::Value;

use crate::types::Type;

/// Something that expressions may know of a kind of system.
pub(super) struct Fact<K> {
    pub(super) name: &'static str,
    pub(super) ty: fn() -> Type,
    /// Null where the binding does not give it.
    pub(super) value: fn(&K) -> Value,
}

/// A fact that is a text.
pub(super) const fn text<K>(name: &'static str, value: fn(&K) -> Value) -> Fact<K> {
    Fact { name, ty: || Type::String, value }
}

/// The facts of a kind with their types.
pub(super) fn types<K>(facts: &[Fact<K>]) -> Vec<(&'static str, Type)> {
    iter::once(("kind", Type::String)).chain(facts.iter().map(|fact| (fact.name, (fact.ty)()))).collect()
}

/// The facts of a system. One that its binding does not give is not there.
pub(super) fn values<K>(kind: &str, facts: &[Fact<K>], system: &K) -> Value {
    let own = facts.iter().map(|fact| (fact.name.to_owned(), (fact.value)(system)));
    let given = own.filter(|(_, value)| !value.is_null());
    Value::Object(iter::once(("kind".to_owned(), Value::from(kind))).chain(given).collect())
}
