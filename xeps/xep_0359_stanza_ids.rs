//! XEP-0359: Unique and Stable Stanza IDs (version 0.7.0)
//!
//! Supported: messages that an account archives reach its clients with the id that they have in its
//! archive. What a sender claims to be such an id of the recipient or of itself is removed.
//! Origin ids pass through. The ids hold the time of acceptance, against the recommendation of §3:
//! it is in every archived message too.

use waxwing_core::Exchange;
use waxwing_core::powers::{Extension, Place, Specification, Stamp};
use waxwing_xmpp::dom::escape_attr;
use waxwing_xmpp::stanza::{Children, Strip};
use waxwing_xmpp::{Jid, Stanza};

/// The namespace of the ids.
pub const NS: &str = "urn:xmpp:sid:0";

/// See the [module](self).
pub struct StanzaIds;

impl Extension for StanzaIds {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0359",
            title: "Unique and Stable Stanza IDs",
            version: "0.7.0",
            features: &[(Place::Server, NS), (Place::Account, NS)],
        }
    }
}

impl Stamp for StanzaIds {
    /// §3, rule 2, for both archives that will show the message.
    fn accepted(&self, message: &Stanza, to: &Jid) -> Option<Stanza> {
        if !message.children().intersects(Children::STANZA_ID) {
            return None;
        }
        let from = message
            .from()
            .and_then(|from| Jid::parse_tolerant(&from).ok());
        let strip = |by| Strip {
            namespace: NS,
            name: "stanza-id",
            by: Some(("by", by)),
        };
        let of_recipient = strip(to.bare());
        let of_sender = from
            .as_ref()
            .map_or(of_recipient, |from| strip(from.bare()));
        message.without(&[of_recipient, of_sender])
    }

    fn stored(&self, _: &Exchange, stanza: Stanza, account: &Jid, id: i64) -> Stanza {
        with_id(&stanza, account, id)
    }
}

/// A message with the id of its row in the archive of `by`.
#[must_use]
pub fn with_id(message: &Stanza, by: &Jid, row: i64) -> Stanza {
    let by = escape_attr(by.as_str());
    let xml = format!("<stanza-id xmlns='{NS}' by='{by}' id='{row:016x}'/>");
    message.with_known_child(&xml, Children::STANZA_ID)
}

/// The id of a row of the mailbox as clients know it.
#[must_use]
pub fn archive_id(row: i64) -> String {
    format!("{row:016x}")
}

/// The row of such an id; `None`: no row has that id.
#[must_use]
pub fn parse_archive_id(id: &str) -> Option<i64> {
    let is_one = id.len() == 16
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_one {
        i64::from_str_radix(id, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        for row in [1, 1 << 62, i64::MAX] {
            assert_eq!(parse_archive_id(&archive_id(row)), Some(row));
        }
        for wrong in [
            "",
            "1",
            "000000000000000A",
            "+00000000000000a",
            "00000000000000001",
            "ffffffffffffffff",
        ] {
            assert_eq!(parse_archive_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn forged_ids_of_both_sides_are_removed() {
        let to = Jid::parse("juliet@x/balcony").expect("an address");
        let id = |by: &str| format!("<stanza-id xmlns='{NS}' by='{by}' id='1'/>");
        let message = |ids: &str| {
            let xml =
                format!("<message from='romeo@x/a' to='juliet@x'>{ids}<body>b</body></message>");
            Stanza::parse(xml.into()).expect("a stanza")
        };
        let all = id("Juliet@x") + &id("romeo@x") + &id("room@y") + &id("juliet@x/balcony");
        let left = StanzaIds.accepted(&message(&all), &to);
        let others = id("room@y") + &id("juliet@x/balcony");
        assert_eq!(left, Some(message(&others)));
        assert_eq!(StanzaIds.accepted(&message(&others), &to), None);
        assert_eq!(StanzaIds.accepted(&message(""), &to), None);
    }
}
