//! The mailbox against real files.
