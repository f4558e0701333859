//! The bridge to the DOM, for what the server itself is asked, and the escaping of XML text.
//!
//! Only bytes that the scanner has approved are made into a DOM: the events it is built from come
//! from a parser that checks little. What is written here is always well-formed, whatever is in
//! the elements.

mod escape;
mod read;
mod write;

pub use escape::{escape_attr, escape_text};
pub(crate) use read::parse_with;
pub use read::{DomError, parse};
pub use write::serialize;
