//! Reading the write-ahead log in an archive.

pub mod archive;
pub mod archive_format;
pub mod cluster;
pub mod commits;
pub mod crossing;
pub mod dump;
pub mod end;
pub mod fetching;
pub mod full_read;
pub mod header;
pub mod mark;
pub mod segment;
pub mod span;
pub mod timeline;
pub mod unreadable;
pub mod waldump;
