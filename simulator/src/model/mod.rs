//! The model application, a shop: customers, their orders, the items of these. The content of its records, and how many are loaded;
//! every store can hold them.

mod collection;
mod content;
mod sample;
mod size;

pub use collection::Collection;
pub use content::{Origin, content, fields};
pub use sample::sample;
pub use size::{Size, baseline};
pub(crate) use size::{parent_of_item, parent_of_order, referrer};
