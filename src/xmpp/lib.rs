//! The language: bytes in, values out.
//!
//! This crate knows no time, no task, no database and no socket. It holds what can be said about
//! XMPP as plain values: addresses ([`jid`]), where a stanza ends and whether it is well-formed
//! ([`framing`]), the stanza with its envelope ([`stanza`]), the error tables of the RFCs
//! ([`error`]), SASL exchanges ([`sasl`]), the counts of stream
//! management ([`sm`]) and the subscription table ([`subscription`]).

pub mod builder;
pub mod dom;
pub mod error;
pub mod framing;
pub mod jid;
pub mod ns;
pub mod password;
pub mod sasl;
pub mod sm;
pub mod stanza;
pub mod subscription;

pub use error::{StanzaError, StreamError};
pub use jid::Jid;
pub use minidom::Element;
pub use stanza::Stanza;
