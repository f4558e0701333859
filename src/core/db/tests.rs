//! The database against real files.
