//! A tree of files with a size limit.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use super::{Entry, EntryKind, Error};
use crate::Reason;

/// Files and folders by absolute path. Programs of the fake machine get it to work on.
#[derive(Debug)]
pub struct Files {
    nodes: RefCell<BTreeMap<String, Node>>,
    capacity: Cell<u64>,
    clock_ms: Cell<u64>,
}

#[derive(Debug, Clone)]
enum Node {
    File { content: Vec<u8>, modified_ms: u64 },
    Link { target: String },
    Folder,
}

impl Default for Files {
    fn default() -> Self {
        Self { nodes: RefCell::default(), capacity: Cell::new(u64::MAX / 2), clock_ms: Cell::new(1_795_230_000_000) }
    }
}

impl Files {
    /// How many bytes all files may have together.
    pub fn set_capacity(&self, bytes: u64) {
        self.capacity.set(bytes);
    }

    /// The time of modification that files get from now on.
    pub fn set_clock_ms(&self, ms: u64) {
        self.clock_ms.set(ms);
    }

    /// Whether something lies there.
    pub fn exists(&self, path: &str) -> bool {
        self.nodes.borrow().contains_key(path)
    }

    /// The paths of all files, sorted.
    pub fn paths(&self) -> Vec<String> {
        let nodes = self.nodes.borrow();
        nodes.iter().filter(|(_, node)| matches!(node, Node::File { .. })).map(|(path, _)| path.clone()).collect()
    }

    /// A file's content.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        match self.nodes.borrow().get(path) {
            Some(Node::File { content, .. }) => Ok(content.clone()),
            Some(Node::Folder) => Err(failed(format!("{path} is a folder"))),
            Some(Node::Link { .. }) => Err(failed(format!("{path} is a link"))),
            None => Err(Error::NotFound(path.to_owned())),
        }
    }

    /// Writes a file into a folder that is there.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        let parent = parent(path);
        match self.nodes.borrow().get(parent) {
            Some(Node::Folder) => {}
            Some(_) => return Err(failed(format!("{parent} is no folder"))),
            None => return Err(Error::NotFound(parent.to_owned())),
        }
        let before = match self.nodes.borrow().get(path) {
            Some(Node::Folder) => return Err(failed(format!("{path} is a folder"))),
            Some(Node::File { content, .. }) => content.len() as u64,
            Some(Node::Link { .. }) | None => 0,
        };
        if content.len() as u64 > self.free() + before {
            return Err(Error::NoSpace(path.to_owned()));
        }
        let node = Node::File { content: content.to_vec(), modified_ms: self.clock_ms.get() };
        self.nodes.borrow_mut().insert(path.to_owned(), node);
        Ok(())
    }

    /// Writes a file where nothing is yet.
    pub fn create(&self, path: &str, content: &[u8]) -> Result<(), Error> {
        if self.exists(path) {
            return Err(Error::Denied(Reason::new("machine-exists", format!("{path} is there already"))));
        }
        self.write(path, content)
    }

    /// Makes a folder and its parents.
    pub fn create_folder(&self, path: &str) -> Result<(), Error> {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        for ancestor in ends.map(|end| &path[..end]) {
            let mut nodes = self.nodes.borrow_mut();
            if !matches!(nodes.entry(ancestor.to_owned()).or_insert(Node::Folder), Node::Folder) {
                return Err(failed(format!("{ancestor} is no folder")));
            }
        }
        Ok(())
    }

    /// What lies directly in a folder, by name.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        match self.nodes.borrow().get(path) {
            Some(Node::Folder) => {}
            Some(_) => return Err(failed(format!("{path} is no folder"))),
            None => return Err(Error::NotFound(path.to_owned())),
        }
        let prefix = format!("{path}/");
        let nodes = self.nodes.borrow();
        let below = nodes.iter().filter_map(|(path, node)| Some((path.strip_prefix(&prefix)?, node)));
        Ok(below.filter(|(name, _)| !name.contains('/')).map(|(name, node)| entry(name, node)).collect())
    }

    /// Makes a symbolic link in a folder that is there. Nothing follows it.
    pub fn link(&self, path: &str, target: &str) -> Result<(), Error> {
        if !self.exists(parent(path)) {
            return Err(Error::NotFound(parent(path).to_owned()));
        }
        self.nodes.borrow_mut().insert(path.to_owned(), Node::Link { target: target.to_owned() });
        Ok(())
    }

    /// The links below a folder with what they say.
    pub fn links(&self, path: &str) -> Result<Vec<(String, String)>, Error> {
        if !self.exists(path) {
            return Err(Error::NotFound(path.to_owned()));
        }
        let nodes = self.nodes.borrow();
        let below = nodes.iter().filter_map(|(node, what)| Some((node.strip_prefix(path)?.strip_prefix('/')?, what)));
        let link = |(path, node): (&str, &Node)| match node {
            Node::Link { target } => Some((path.to_owned(), target.clone())),
            Node::File { .. } | Node::Folder => None,
        };
        Ok(below.filter_map(link).collect())
    }

    /// The sizes of all files below a folder.
    pub fn size_of(&self, path: &str) -> u64 {
        let prefix = format!("{path}/");
        self.nodes.borrow().iter().filter(|(node, _)| node.starts_with(&prefix)).map(|(_, node)| size(node)).sum()
    }

    /// Removes a file, or a folder with all that is in it.
    pub fn remove(&self, path: &str) {
        let prefix = format!("{path}/");
        self.nodes.borrow_mut().retain(|candidate, _| candidate != path && !candidate.starts_with(&prefix));
    }

    /// Bytes that can still be written.
    pub fn free(&self) -> u64 {
        let used: u64 = self.nodes.borrow().values().map(size).sum();
        self.capacity.get().saturating_sub(used)
    }
}

fn entry(name: &str, node: &Node) -> Entry {
    let (kind, modified_ms) = match node {
        Node::File { modified_ms, .. } => (EntryKind::File, *modified_ms),
        Node::Folder => (EntryKind::Folder, 0),
        Node::Link { .. } => (EntryKind::Other, 0),
    };
    Entry { name: name.to_owned(), kind, size: size(node), modified_ms }
}

fn size(node: &Node) -> u64 {
    match node {
        Node::File { content, .. } => content.len() as u64,
        Node::Folder | Node::Link { .. } => 0,
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn failed(message: String) -> Error {
    Error::Failed(Reason::new("machine-file", message))
}
