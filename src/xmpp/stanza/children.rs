//! Which known elements a stanza holds, as a bit set.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use crate::ns;

/// A set of known child elements (name and namespace) of a stanza.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Children(u64);

/// Declares the bits, and the table that finds them by name and namespace.
macro_rules! children {
    ($($(#[doc = $doc:literal])* $bit:literal $constant:ident = $(($name:literal, $namespace:expr)),*;)*) => {
        impl Children {
            $($(#[doc = $doc])* pub const $constant: Self = Self(1 << $bit);)*
        }

        /// Every known element, in the order of the bits.
        const TABLE: &[(&str, &str, Children)] =
            &[$($(($name, $namespace, Children::$constant),)*)*];

        /// The name of each bit.
        const NAMES: &[(Children, &str)] = &[$((Children::$constant, stringify!($constant)),)*];
    };
}

const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0";
const HINTS: &str = "urn:xmpp:hints";
const CARBONS: &str = "urn:xmpp:carbons:2";
const RECEIPTS: &str = "urn:xmpp:receipts";
const STABLE_IDS: &str = "urn:xmpp:sid:0";

children! {
    /// RFC 6121 §5.2.3.
    0 BODY = ("body", ns::CLIENT);
    /// RFC 6121 §5.2.4.
    1 SUBJECT = ("subject", ns::CLIENT);
    /// RFC 6121 §5.2.5.
    2 THREAD = ("thread", ns::CLIENT);
    /// RFC 6120 §8.3: the error of a stanza of type error.
    3 ERROR = ("error", ns::CLIENT);
    /// An encrypted payload: XEP-0384 in both namespaces, XEP-0373, XEP-0027.
    4 ENCRYPTED = ("encrypted", "eu.siacs.conversations.axolotl"), ("encrypted", "urn:xmpp:omemo:2"),
        ("openpgp", "urn:xmpp:openpgp:0"), ("x", "jabber:x:encrypted");
    /// XEP-0085: any of the five states.
    5 CHAT_STATE = ("active", CHAT_STATES), ("inactive", CHAT_STATES), ("composing", CHAT_STATES),
        ("paused", CHAT_STATES), ("gone", CHAT_STATES);
    /// XEP-0184: a receipt is wanted.
    6 RECEIPT_REQUEST = ("request", RECEIPTS);
    /// XEP-0184: a receipt.
    7 RECEIPT = ("received", RECEIPTS);
    /// XEP-0333: the message may be marked.
    8 MARKABLE = ("markable", CHAT_MARKERS);
    /// XEP-0333: a message has been displayed.
    9 DISPLAYED = ("displayed", CHAT_MARKERS);
    /// XEP-0333: a message has been received or acknowledged.
    10 MARKER = ("received", CHAT_MARKERS), ("acknowledged", CHAT_MARKERS);
    /// XEP-0334.
    11 NO_STORE = ("no-store", HINTS);
    /// XEP-0334.
    12 NO_PERMANENT_STORE = ("no-permanent-store", HINTS);
    /// XEP-0334.
    13 STORE = ("store", HINTS);
    /// XEP-0334.
    14 NO_COPY = ("no-copy", HINTS);
    /// XEP-0280: no carbon copies.
    15 PRIVATE = ("private", CARBONS);
    /// XEP-0280: a carbon copy of a message received.
    16 CARBON_RECEIVED = ("received", CARBONS);
    /// XEP-0280: a carbon copy of a message sent.
    17 CARBON_SENT = ("sent", CARBONS);
    /// XEP-0359: the identifier given by the sender.
    18 ORIGIN_ID = ("origin-id", STABLE_IDS);
    /// XEP-0359: an identifier given by an archive.
    19 STANZA_ID = ("stanza-id", STABLE_IDS);
    /// XEP-0045: what a room says of an occupant, and mediated invitations.
    20 MUC_USER = ("x", "http://jabber.org/protocol/muc#user");
    /// XEP-0045: a wish to enter a room.
    21 MUC = ("x", "http://jabber.org/protocol/muc");
    /// XEP-0249: a direct invitation.
    22 CONFERENCE = ("x", "jabber:x:conference");
    /// XEP-0203.
    23 DELAY = ("delay", "urn:xmpp:delay");
    /// XEP-0091.
    24 LEGACY_DELAY = ("x", "jabber:x:delay");
    /// XEP-0297.
    25 FORWARDED = ("forwarded", "urn:xmpp:forward:0");
    /// XEP-0308.
    26 REPLACE = ("replace", "urn:xmpp:message-correct:0");
    /// XEP-0424, in both namespaces.
    27 RETRACT = ("retract", "urn:xmpp:message-retract:1"), ("retract", "urn:xmpp:message-retract:0"),
        ("apply-to", "urn:xmpp:fasten:0");
    /// XEP-0425.
    28 MODERATED = ("moderate", "urn:xmpp:message-moderate:1"), ("moderated", "urn:xmpp:message-moderate:1");
    /// XEP-0444.
    29 REACTIONS = ("reactions", "urn:xmpp:reactions:0");
    /// XEP-0380: what the message is encrypted with.
    30 ENCRYPTION = ("encryption", "urn:xmpp:eme:0");
    /// XEP-0461.
    31 REPLY = ("reply", "urn:xmpp:reply:0");
    /// XEP-0428.
    32 FALLBACK = ("fallback", "urn:xmpp:fallback:0");
    /// XEP-0066.
    33 OUT_OF_BAND = ("x", "jabber:x:oob");
    /// XEP-0353: a call is being set up.
    34 JINGLE_MESSAGE = ("propose", "urn:xmpp:jingle-message:0"), ("retract", "urn:xmpp:jingle-message:0"),
        ("accept", "urn:xmpp:jingle-message:0"), ("proceed", "urn:xmpp:jingle-message:0"),
        ("ringing", "urn:xmpp:jingle-message:0"), ("reject", "urn:xmpp:jingle-message:0"),
        ("finish", "urn:xmpp:jingle-message:0");
    /// XEP-0004: a form.
    35 FORM = ("x", "jabber:x:data");
    /// XEP-0060: an event.
    36 PUBSUB_EVENT = ("event", "http://jabber.org/protocol/pubsub#event");
    /// XEP-0313: a result of a query.
    37 ARCHIVE_RESULT = ("result", "urn:xmpp:mam:2");
    /// XEP-0033.
    38 ADDRESSES = ("addresses", "http://jabber.org/protocol/address");
    /// XEP-0224.
    39 ATTENTION = ("attention", "urn:xmpp:attention:0");
    /// XEP-0172.
    40 NICK = ("nick", "http://jabber.org/protocol/nick");
    /// RFC 6121 §4.7.2.1.
    41 SHOW = ("show", ns::CLIENT);
    /// RFC 6121 §4.7.2.2.
    42 STATUS = ("status", ns::CLIENT);
    /// RFC 6121 §4.7.2.3.
    43 PRIORITY = ("priority", ns::CLIENT);
    /// XEP-0115.
    44 CAPS = ("c", "http://jabber.org/protocol/caps");
    /// XEP-0153.
    45 VCARD_UPDATE = ("x", "vcard-temp:x:update");
    /// XEP-0319.
    46 IDLE = ("idle", "urn:xmpp:idle:1");
    /// XEP-0012, XEP-0256.
    47 LAST_ACTIVITY = ("query", "jabber:iq:last");
    /// XEP-0421.
    48 OCCUPANT_ID = ("occupant-id", "urn:xmpp:occupant-id:0");
    /// XEP-0027: signed presence.
    49 SIGNATURE = ("x", "jabber:x:signed");
    /// XEP-0199.
    50 PING = ("ping", "urn:xmpp:ping");
    /// RFC 6121 §2.
    51 ROSTER = ("query", ns::ROSTER);
    /// XEP-0030.
    52 DISCO_INFO = ("query", "http://jabber.org/protocol/disco#info");
    /// XEP-0030.
    53 DISCO_ITEMS = ("query", "http://jabber.org/protocol/disco#items");
    /// XEP-0060.
    54 PUBSUB = ("pubsub", "http://jabber.org/protocol/pubsub"),
        ("pubsub", "http://jabber.org/protocol/pubsub#owner");
    /// XEP-0313: a query.
    55 ARCHIVE_QUERY = ("query", "urn:xmpp:mam:2");
    /// XEP-0334: what a hint was called before version 0.2.
    56 FORMER_HINT = ("no-storage", HINTS);
    /// An element that this table does not know.
    63 OTHER = ;
}

impl Children {
    /// No element.
    pub const NONE: Self = Self(0);

    /// Whether all of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in the set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing but `other` is in the set.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets as one.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The element `name` in `namespace`; [`Self::OTHER`] if the table does not know it.
    #[must_use]
    pub(crate) fn classify(name: &[u8], namespace: &[u8]) -> Self {
        let Some(bucket) = INDEX.get(name.len()) else {
            return Self::OTHER;
        };
        BY_LENGTH[usize::from(bucket.0)..usize::from(bucket.1)]
            .iter()
            .map(|&row| &TABLE[usize::from(row)])
            .find(|(n, ns, _)| n.as_bytes() == name && ns.as_bytes() == namespace)
            .map_or(Self::OTHER, |row| row.2)
    }
}

/// The longest name in the table.
const LONGEST: usize = 18;

/// The rows of [`TABLE`], sorted by the length of their name.
static BY_LENGTH: [u8; TABLE.len()] = sort_by_length().0;

/// For each length of name, its first row in [`BY_LENGTH`] and the one after its last.
static INDEX: [(u8, u8); LONGEST + 1] = sort_by_length().1;

const fn sort_by_length() -> ([u8; TABLE.len()], [(u8, u8); LONGEST + 1]) {
    let mut rows = [0; TABLE.len()];
    let mut index = [(0, 0); LONGEST + 1];
    let mut filled = 0;
    let mut length = 0;
    while length <= LONGEST {
        index[length].0 = filled as u8;
        let mut row = 0;
        while row < TABLE.len() {
            if TABLE[row].0.len() == length {
                rows[filled] = row as u8;
                filled += 1;
            }
            row += 1;
        }
        index[length].1 = filled as u8;
        length += 1;
    }
    assert!(filled == TABLE.len(), "a name is longer than LONGEST");
    (rows, index)
}

impl BitOr for Children {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Children {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().filter(|(bit, _)| self.contains(*bit));
        f.debug_set().entries(names.map(|(_, name)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found() {
        for (name, namespace, bit) in TABLE {
            let found = Children::classify(name.as_bytes(), namespace.as_bytes());
            assert_eq!(found, *bit, "{name} {namespace}");
        }
    }

    #[test]
    fn an_unknown_element_is_other() {
        for (name, namespace) in [("body", "urn:x"), ("", ""), ("a-name-of-more-than-18", "")] {
            let found = Children::classify(name.as_bytes(), namespace.as_bytes());
            assert_eq!(found, Children::OTHER);
        }
    }

    #[test]
    fn no_bit_is_given_twice() {
        let mut all = Children::NONE;
        for (bit, name) in NAMES {
            assert!(!all.intersects(*bit), "{name}");
            all |= *bit;
        }
    }
}
