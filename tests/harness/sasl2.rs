//! Login by SASL2, Bind 2 and tokens (XEP-0388, XEP-0386, XEP-0484).

use minidom::Element;
use sha2::{Digest, Sha256};

use super::Outcome;
use super::accounts::Account;
use super::client::Client;
use super::sasl::{self, Scram};
use super::xml::{STREAM, show};

/// The namespace of SASL2.
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// The namespace of Bind 2.
pub const BIND2: &str = "urn:xmpp:bind:0";
/// The namespace of tokens.
pub const FAST: &str = "urn:xmpp:fast:0";

/// A request to bind with the tag `Test`.
pub const BIND: &str = "<bind xmlns='urn:xmpp:bind:0'><tag>Test</tag></bind>";

/// A user agent of its own.
pub fn user_agent() -> String {
    format!(
        "<user-agent id='d4565fa7-4d72-4749-b3d3-{:012x}'><software>Test</software>\
         <device>Machine</device></user-agent>",
        super::unique()
    )
}

/// A request for a token.
pub fn request_token(mechanism: &str) -> String {
    format!("<request-token xmlns='{FAST}' mechanism='{mechanism}'/>")
}

impl Client {
    /// Sends `<authenticate/>` with an initial response, if any, and whatever else; the server's
    /// next element.
    pub fn authenticate(
        &mut self,
        mechanism: &str,
        initial: Option<&str>,
        more: &str,
    ) -> Outcome<Element> {
        self.send(&authenticate(mechanism, initial, more))?;
        self.stanza()
    }

    /// Authenticates by PLAIN; the server's `<success/>` or `<failure/>`.
    pub fn plain2(&mut self, account: &Account, more: &str) -> Outcome<Element> {
        let plain = sasl::plain("", &account.user, &account.password);
        self.authenticate("PLAIN", Some(&plain), more)
    }

    /// Authenticates by SCRAM-SHA-256; the server's `<success/>` or `<failure/>`.
    pub fn scram2(&mut self, account: &Account, more: &str) -> Outcome<Element> {
        let mut scram = Scram::new(&account.user, &account.password, "n,,", Vec::new());
        let initial = sasl::encode(scram.first());
        let first = self.authenticate("SCRAM-SHA-256", Some(&initial), more)?;
        if !first.is("challenge", SASL2) {
            return Ok(first);
        }
        let last = sasl::encode(scram.last(&sasl::decode(&first.text())?)?);
        self.send(&format!("<response xmlns='{SASL2}'>{last}</response>"))?;
        let outcome = self.stanza()?;
        if outcome.is("success", SASL2) {
            let data = outcome.get_child("additional-data", SASL2);
            let data = data.map(Element::text).unwrap_or_default();
            if !scram.verify(&sasl::decode(&data)?) {
                return Err("the server does not know the password".into());
            }
        }
        Ok(outcome)
    }

    /// Authenticates by a token; the server's `<success/>` or `<failure/>`. `fast` stands in the
    /// start tag of `<fast/>`.
    pub fn token2(
        &mut self,
        account: &Account,
        (mechanism, token): (&str, &str),
        fast: &str,
        more: &str,
    ) -> Outcome<Element> {
        let binding = match mechanism {
            "HT-SHA-256-EXPR" => self.transport()?.exporter()?,
            "HT-SHA-256-ENDP" => {
                let certificate = self.target().certificate.as_ref();
                Sha256::digest(certificate.ok_or("no certificate")?).to_vec()
            }
            _ => Vec::new(),
        };
        let (initial, expected) = sasl::hashed_token(&account.user, token, &binding);
        let more = format!("<fast xmlns='{FAST}' {fast}/>{more}");
        let outcome = self.authenticate(mechanism, Some(&initial), &more)?;
        if outcome.is("success", SASL2) {
            let data = outcome.get_child("additional-data", SASL2);
            if data.map(Element::text) != Some(expected) {
                return Err("the server does not know the token".into());
            }
        }
        Ok(outcome)
    }

    /// Takes a `<success/>` with a resource bound, and the features that follow it; the full JID.
    pub fn bound2(&mut self, success: &Element) -> Outcome<String> {
        let jid = identity(success)?;
        if !success.has_child("bound", BIND2) {
            return Err(format!("nothing is bound: {}", show(success)).into());
        }
        self.jid = Some(jid.clone());
        self.expect("features", STREAM)?;
        Ok(jid)
    }
}

/// The text of `<authenticate/>`.
pub fn authenticate(mechanism: &str, initial: Option<&str>, more: &str) -> String {
    let initial = initial
        .map(|text| format!("<initial-response>{text}</initial-response>"))
        .unwrap_or_default();
    format!("<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>{initial}{more}</authenticate>")
}

/// Who the server says that the client is.
pub fn identity(success: &Element) -> Outcome<String> {
    if !success.is("success", SASL2) {
        return Err(format!("success was expected, not {}", show(success)).into());
    }
    let identity = success.get_child("authorization-identifier", SASL2);
    Ok(identity.ok_or("a success without an identity")?.text())
}

/// The token in a `<success/>`, and that it has an expiry.
pub fn token(success: &Element) -> Option<String> {
    let token = success.get_child("token", FAST)?;
    token.attr("expiry")?;
    token.attr("token").map(str::to_owned)
}
