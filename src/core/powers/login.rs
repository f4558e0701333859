//! The powers that act while a client logs in by SASL2 (XEP-0388).

use std::sync::Arc;

use minidom::Element;
use waxwing_xmpp::sasl::{Failure, Offer, TokenMechanism, TokenProof};

use super::{Boxed, Extension};
use crate::accounts::Credential;
use crate::db::DbError;
use crate::exchange::Exchange;
use crate::session::Session;

/// May act within SASL2 and Bind 2 (XEP-0388, XEP-0386).
pub trait Inline: Extension {
    /// The feature's `var` in the `<inline/>` of Bind 2, e.g. `urn:xmpp:carbons:2`.
    fn bind_feature(&self) -> &'static str;

    /// Its element in the `<inline/>` of SASL2 itself, as XML.
    fn sasl2_feature(&self) -> Option<&'static str> {
        None
    }

    /// Takes its element out of a `<bind/>` request once the session is bound. The XML returned
    /// goes into `<bound/>`.
    fn bound(
        &self,
        exchange: &Exchange,
        session: &Arc<Session>,
        request: &Element,
    ) -> Option<String> {
        let _ = (exchange, session, request);
        None
    }

    /// What is added to every `<bound/>`, asked for or not, as XML.
    fn always<'a>(
        &'a self,
        exchange: &'a Exchange,
        session: &'a Session,
    ) -> Option<Boxed<'a, Option<String>>> {
        let _ = (exchange, session);
        None
    }
}

/// A login by token.
pub struct TokenLogin<'a> {
    /// What the client showed.
    pub proof: &'a TokenProof,
    /// The id of its user agent.
    pub client: &'a str,
    /// Its `<authenticate/>`.
    pub request: &'a Element,
}

/// A client that was let in by a token.
pub struct Readmitted {
    /// The key of the account that the token is of.
    pub account: i64,
    /// The mechanism's answer to the client.
    pub additional_data: Vec<u8>,
    /// The token's mechanism.
    pub mechanism: TokenMechanism,
    /// The token, unless it was given up with this login.
    pub token: Option<String>,
    /// What is stored of the account's password, where the token was given up for another.
    pub credential: Option<Credential>,
    /// Whether the token is so old that the client is to get another.
    pub is_due: bool,
}

/// A client that is let in, and may want a token for next time.
pub struct TokenRequest<'a> {
    /// The key of its account.
    pub account: i64,
    /// The id of its user agent.
    pub client: &'a str,
    /// Its `<authenticate/>`.
    pub request: &'a Element,
    /// What its stream can use.
    pub offer: &'a Offer,
    /// If a token let it in.
    pub readmitted: Option<&'a Readmitted>,
    /// If a password let it in: what that was checked with.
    pub credential: Option<&'a Credential>,
}

/// May let a client in by a token that it was given at an earlier login (XEP-0484).
pub trait Readmit: Extension {
    /// Its element in the `<inline/>` of SASL2, as XML.
    fn feature(&self, offer: &Offer) -> String;

    /// Checks what a client showed.
    fn check<'a>(
        &'a self,
        exchange: &'a Exchange,
        login: TokenLogin<'a>,
    ) -> Boxed<'a, Result<Result<Readmitted, Failure>, DbError>>;

    /// Gives a token for next time to a client that asked for one or whose own is due. The XML
    /// returned goes into `<success/>`.
    fn issue<'a>(
        &'a self,
        exchange: &'a Exchange,
        request: TokenRequest<'a>,
    ) -> Boxed<'a, Result<Option<String>, DbError>>;
}
