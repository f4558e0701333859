//! The extensions.
