//! SASL (RFC 6120 §6): what a stream offers, and one authentication as a state machine.
//!
//! [`start`] takes the client's choice and answers with a [`Step`]: what is to be sent, asked of
//! the account store, or concluded. A state is named after what it waits for and is consumed by
//! its answer. Nothing here reads a socket, a clock, a database or a source of randomness.
//!
//! An account that does not exist goes through the same computation as a wrong password, and ends
//! with the same failure.
//!
//! A login by token ([`TokenProof`]) has one message and no steps. How messages are written on the
//! stream is a [`Profile`].

use std::fmt;

use crate::jid::Jid;
use crate::password::{Password, ScramHash};

pub use failure::Failure;
pub use mechanism::{ChannelBinding, Mechanism, UnknownMechanism};
pub use offer::Offer;
pub use payload::{MAX_PAYLOAD_BYTES, decode_payload, encode_payload};
pub use profile::Profile;
pub use scram::AwaitKeys;
pub use token::{TokenMechanism, TokenProof};

mod failure;
mod mechanism;
mod message;
mod offer;
mod payload;
mod plain;
mod profile;
mod scram;
#[cfg(test)]
mod tests;
mod token;

/// What is to happen next in an exchange.
#[derive(Debug)]
pub enum Step {
    /// Send this challenge and give the client's response to the exchange.
    Challenge(Vec<u8>, Exchange),
    /// Look up the account's keys of this family and give them to `next`, `None` if there are
    /// none.
    NeedScramKeys {
        /// The bare JID that wants to be authenticated.
        account: Jid,
        /// The family whose keys are needed.
        hash: ScramHash,
        /// Waits for the keys.
        next: AwaitKeys,
    },
    /// Check the password of the account and tell `next`. An account that does not exist must
    /// take as long (see [`crate::password::argon2id_verify`]).
    NeedPasswordCheck {
        /// The bare JID that wants to be authenticated.
        account: Jid,
        /// The password that was sent, prepared.
        password: Password,
        /// Waits for the verdict.
        next: AwaitVerdict,
    },
    /// The client has proved to be this account.
    Success {
        /// The bare JID, which is the authorization identity as well.
        account: Jid,
        /// What goes into `<success/>`, if anything.
        additional_data: Option<Vec<u8>>,
    },
    /// The client wants to be nobody in particular (RFC 4505, XEP-0175).
    Anonymous,
    /// The attempt is over.
    Failure(Failure),
}

/// An exchange that waits for the client's next response.
pub struct Exchange(State);

enum State {
    /// The client chose the mechanism without an initial response.
    AwaitInitial(Box<Settings>),
    /// The server-first-message has been sent.
    AwaitClientFinal(Box<scram::AwaitClientFinal>),
}

/// A PLAIN exchange that waits to hear whether the password is right.
pub struct AwaitVerdict {
    account: Jid,
}

/// What stays the same through one exchange.
struct Settings {
    mechanism: Mechanism,
    domain: String,
    server_nonce: String,
    /// The channel bindings of this stream with their data.
    bindings: Vec<(ChannelBinding, Vec<u8>)>,
    /// Whether the stream offered any mechanism with channel binding.
    offered_plus: bool,
    /// XEP-0474's attribute, for a SCRAM mechanism.
    downgrade_hash: String,
}

/// Begins an exchange with the mechanism and initial response that [`Profile::initial`] has read.
///
/// `domain` is the host of the account; `server_nonce` is fresh and random, of printable ASCII
/// characters except the comma (anything else is a temporary failure). A mechanism that `offer`
/// does not have is refused.
#[must_use]
pub fn start(
    mechanism: Mechanism,
    initial: Option<&[u8]>,
    offer: &Offer,
    domain: &str,
    server_nonce: &str,
) -> Step {
    if !offer.has(mechanism) {
        return Step::Failure(Failure::InvalidMechanism);
    }
    let is_nonce = !server_nonce.is_empty()
        && server_nonce
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',');
    if !is_nonce {
        return Step::Failure(Failure::TemporaryAuthFailure);
    }
    let settings = Settings {
        mechanism,
        domain: domain.to_owned(),
        server_nonce: server_nonce.to_owned(),
        bindings: offer.bindings.clone(),
        offered_plus: offer.has_plus(),
        downgrade_hash: mechanism
            .hash()
            .map_or_else(String::new, |hash| offer.downgrade_hash(hash)),
    };
    match initial {
        Some(initial) => first_message(settings, initial),
        // The trace of ANONYMOUS is optional, and clients leave it away (XEP-0175 §2).
        None if mechanism == Mechanism::Anonymous => Step::Anonymous,
        // RFC 6120 §6.4.2: an empty challenge asks for what the client should have begun with.
        None => Step::Challenge(
            Vec::new(),
            Exchange(State::AwaitInitial(Box::new(settings))),
        ),
    }
}

impl Exchange {
    /// Takes the client's response to the last challenge.
    #[must_use]
    pub fn response(self, response: &[u8]) -> Step {
        match self.0 {
            State::AwaitInitial(settings) => first_message(*settings, response),
            State::AwaitClientFinal(state) => state.client_final(response).into(),
        }
    }
}

impl AwaitVerdict {
    /// Takes the result of the check.
    #[must_use]
    pub fn verdict(self, is_right: bool) -> Step {
        if is_right {
            Step::Success {
                account: self.account,
                additional_data: None,
            }
        } else {
            Step::Failure(Failure::NotAuthorized)
        }
    }
}

fn first_message(settings: Settings, message: &[u8]) -> Step {
    if message.len() > MAX_PAYLOAD_BYTES {
        return Step::Failure(Failure::MalformedRequest);
    }
    match settings.mechanism.hash() {
        Some(hash) => scram::client_first(settings, hash, message).into(),
        None if settings.mechanism == Mechanism::Plain => {
            plain::message(&settings.domain, message).into()
        }
        None => match std::str::from_utf8(message) {
            // RFC 4505 §2: the trace has at most 255 characters. It says who somebody is who
            // wants to be nobody, so it is not kept.
            Ok(trace) if trace.chars().count() <= 255 => Step::Anonymous,
            _ => Step::Failure(Failure::MalformedRequest),
        },
    }
}

/// The account that a username names, if the authorization identity allows it: absent, or the
/// account's own bare JID (RFC 6120 §6.3.8).
fn account(username: &str, authzid: Option<&str>, domain: &str) -> Result<Jid, Failure> {
    // A name that cannot be a localpart is nobody's.
    let account =
        Jid::from_parts(Some(username), domain, None).map_err(|_| Failure::NotAuthorized)?;
    let is_own = |authzid| Jid::parse(authzid).is_ok_and(|authzid| authzid == account);
    if !authzid.is_none_or(is_own) {
        return Err(Failure::InvalidAuthzid);
    }
    Ok(account)
}

impl From<Result<Step, Failure>> for Step {
    fn from(result: Result<Step, Failure>) -> Step {
        result.unwrap_or_else(Step::Failure)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            State::AwaitInitial(_) => "AwaitInitial(..)",
            State::AwaitClientFinal(_) => "AwaitClientFinal(..)",
        })
    }
}

impl fmt::Debug for AwaitVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwaitVerdict(..)")
    }
}
