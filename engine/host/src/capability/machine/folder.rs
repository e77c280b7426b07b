//! Allowed folders: which one a path lies in, decided on the text alone. What links do to it is checked on the machine.

use std::collections::BTreeMap;

use lifeboat_core::{action::Effect, bindings::Folder};

use super::identity;

/// A path that may be used, and the folder that allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) root: String,
    pub(super) path: String,
}

/// Why a path may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("`{0}` is not an absolute path without `..`")]
    NotAbsolute(String),
    #[error("`{0}` is not below any folder of the binding")]
    Outside(String),
    #[error("`{path}` is in the folder `{folder}`, whose `access` does not allow this")]
    Access { path: String, folder: String },
    #[error("`{0}` is or contains a folder of the binding")]
    Root(String),
    #[error("`{0}` proves the identity of the machine; only its operator may write it")]
    Identity(String),
}

/// Checks a path against the folders of a binding.
pub(super) fn allowed(folders: &BTreeMap<String, Folder>, path: &str, needed: Effect) -> Result<Allowed, Refusal> {
    if !path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| part == "..") {
        return Err(Refusal::NotAbsolute(path.to_owned()));
    }
    let path = normal(path);
    let innermost = folders
        .iter()
        .map(|(name, folder)| (name, folder, normal(&folder.path)))
        .filter(|(_, _, root)| is_below(&path, root))
        .max_by_key(|(_, _, root)| root.len());
    let Some((name, folder, root)) = innermost else { return Err(Refusal::Outside(path)) };
    if folder.access < needed {
        return Err(Refusal::Access { path, folder: name.clone() });
    }
    if needed > Effect::Read && path.ends_with(&format!("/{}", identity::FILE)) {
        return Err(Refusal::Identity(path));
    }
    if needed == Effect::Destroy && folders.values().any(|folder| is_below(&normal(&folder.path), &path)) {
        return Err(Refusal::Root(path));
    }
    Ok(Allowed { root, path })
}

/// The path without empty parts and without `.`; what is in between does not change.
pub(super) fn normal(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}

/// Whether a normal path is the folder or lies in it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    let folder = normal(folder);
    path == folder || path.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_allowed_by_the_innermost_folder() {
        let folder = |path: &str, access| Folder::new(path, access);
        let folders = BTreeMap::from([
            ("work".to_owned(), folder("/srv/work/", Effect::Destroy)),
            ("archive".to_owned(), folder("/srv/work/archive", Effect::Read)),
        ]);
        let cases = [
            ("/srv/work/a", Effect::Destroy, true),
            ("/srv//work/./a", Effect::Destroy, true),
            ("/srv/work", Effect::Read, true),
            ("/srv/work", Effect::Destroy, false),
            ("/srv/work/archive/1", Effect::Read, true),
            ("/srv/work/archive/1", Effect::Mutate, false),
            ("/srv/work/archive", Effect::Destroy, false),
            ("/srv/workshop", Effect::Read, false),
            ("/srv/work/../x", Effect::Read, false),
            ("srv/work/a", Effect::Read, false),
            ("/srv/work/.lifeboat-identity", Effect::Read, true),
            ("/srv/work/.lifeboat-identity", Effect::Mutate, false),
            ("/", Effect::Read, false),
        ];
        for (path, needed, expect) in cases {
            assert_eq!(allowed(&folders, path, needed).is_ok(), expect, "{path} {needed:?}");
        }
    }
}
