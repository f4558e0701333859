//! Login by SASL2, Bind 2 and tokens (XEP-0388, XEP-0386, XEP-0484).

use std::time::{SystemTime, UNIX_EPOCH};

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
/// A day in seconds.
const DAY: u64 = 86_400;

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
        let scram = Scram::new(&account.user, &account.password, "n,,", Vec::new());
        self.scram2_by("SCRAM-SHA-256", scram, more)
    }

    /// The same by this mechanism of the family and this exchange.
    pub fn scram2_by(&mut self, mechanism: &str, mut scram: Scram, more: &str) -> Outcome<Element> {
        let initial = sasl::encode(scram.first());
        let first = self.authenticate(mechanism, Some(&initial), more)?;
        let outcome = self.scram_last(SASL2, &first, &mut scram)?;
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
            "HT-SHA-256-ENDP" => self.end_point()?,
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

    /// The channel binding to the server's certificate, RFC 5929 §4.
    pub fn end_point(&self) -> Outcome<Vec<u8>> {
        let certificate = self.target().certificate.as_ref();
        Ok(Sha256::digest(certificate.ok_or("no certificate")?).to_vec())
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

/// The token in a `<success/>`. It expires in 30 days.
pub fn token(success: &Element) -> Outcome<String> {
    let token = success.get_child("token", FAST);
    let token = token.ok_or_else(|| format!("no token in {}", show(success)))?;
    let expiry = token.attr("expiry").and_then(seconds);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let ahead = expiry.and_then(|expiry| expiry.checked_sub(now));
    if ahead.is_none_or(|ahead| ahead.abs_diff(30 * DAY) >= 600) {
        return Err(format!("not good for 30 days: {}", show(token)).into());
    }
    Ok(token
        .attr("token")
        .ok_or("a token without text")?
        .to_owned())
}

/// There is no token in a `<success/>`.
pub fn no_token(success: &Element) -> Outcome {
    identity(success)?;
    if success.has_child("token", FAST) {
        return Err(format!("a token that nobody asked for: {}", show(success)).into());
    }
    Ok(())
}

/// Seconds since 1970 of a moment in UTC as XEP-0082 writes it.
fn seconds(moment: &str) -> Option<u64> {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let (time, fraction) = moment.strip_suffix('Z')?.split_at_checked(FORM.len())?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_right = time.bytes().zip(FORM).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == *form,
    });
    let has_fraction = |rest: &str| rest.strip_prefix('.').is_some_and(digits);
    if !is_right || !(fraction.is_empty() || has_fraction(fraction)) {
        return None;
    }
    let number = |at: usize, length| time[at..at + length].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    // Years begin in March here, so that the leap day is the last.
    let (year, month) = match month {
        3..=12 => (year, month - 3),
        1..=2 => (year - 1, month + 9),
        _ => return None,
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    Some(days * DAY + number(11, 2)? * 3600 + number(14, 2)? * 60 + number(17, 2)?)
}
