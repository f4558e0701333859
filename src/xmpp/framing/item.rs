//! What the scanner remembers of open elements and of attributes.

use super::scope::Identity;
use crate::stanza::Span;

/// An element whose end tag has not come.
#[derive(Clone, Copy, Default)]
pub(super) struct Open {
    pub(super) name: u32,
    pub(super) name_len: u16,
    /// Declarations in scope outside of it.
    pub(super) scope: u16,
}

impl Open {
    pub(super) fn name(self) -> Span {
        let start = self.name as usize;
        Span::new(start, start + usize::from(self.name_len))
    }
}

/// An attribute of the start tag at hand.
#[derive(Clone, Copy, Default)]
pub(super) struct Attribute {
    pub(super) name: u32,
    pub(super) name_len: u16,
    /// Without the colon; nothing if there is no prefix.
    pub(super) prefix_len: u16,
    /// Of the prefix, once that is resolved.
    pub(super) namespace: Identity,
}

impl Attribute {
    pub(super) fn name(self) -> Span {
        let start = self.name as usize;
        Span::new(start, start + usize::from(self.name_len))
    }

    pub(super) fn prefix(self) -> Span {
        let start = self.name as usize;
        Span::new(start, start + usize::from(self.prefix_len))
    }

    pub(super) fn local(self) -> Span {
        Span::new(self.prefix().end() + 1, self.name().end())
    }
}
