//! How large the units of a stream may be.

use super::MAX_DEPTH;

/// How large a unit may be. Beyond, the stream ends with `policy-violation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one stanza or of the stream header.
    pub max_bytes: usize,
    /// Elements of one stanza, itself among them.
    pub max_elements: u32,
    /// Elements within each other, the stanza itself among them.
    pub max_depth: u16,
    /// Attributes of one element, namespace declarations among them.
    pub max_attributes: u16,
    /// Namespace declarations in scope at one place of a stanza.
    pub max_namespaces: u16,
    /// Bytes of one qualified name or of one namespace name.
    pub max_name: u16,
}

impl Limits {
    /// For a peer that has not been authenticated.
    pub const BEFORE_LOGIN: Self = Self {
        max_bytes: 10_000,
        max_elements: 64,
        max_depth: 16,
        max_attributes: 32,
        max_namespaces: 32,
        max_name: 256,
    };

    /// For an account that is logged in.
    pub const AFTER_LOGIN: Self = Self {
        max_bytes: 262_144,
        max_elements: 16_384,
        max_depth: 64,
        max_attributes: 64,
        max_namespaces: 64,
        max_name: 1024,
    };

    /// For what the server has accepted before, and may have wrapped or written anew since.
    pub(super) const STORED: Self = Self {
        max_bytes: u32::MAX as usize,
        max_elements: u32::MAX,
        max_depth: MAX_DEPTH,
        max_attributes: 256,
        max_namespaces: 256,
        max_name: 8192,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::AFTER_LOGIN
    }
}
