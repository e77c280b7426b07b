//! Rows that were removed: which they are, what keeps them from going back, and putting them back.

pub mod catalog;
pub mod cleared;
pub mod comparison;
pub mod content;
pub mod exact_set;
pub mod key_texts;
pub mod large_objects;
pub mod left;
pub mod mending;
pub mod merge;
pub mod obstacle;
pub mod parents;
pub mod pieces;
pub mod preparation;
pub mod putting_back;
pub mod relation;
pub mod set_file;
pub mod source;
pub mod stages;
pub mod successors;
pub mod surroundings;
pub mod transaction;
pub mod value_comparison;
pub mod value_merge;
pub mod value_statements;
pub mod whole_tables;
