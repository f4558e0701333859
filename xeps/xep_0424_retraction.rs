//! XEP-0424: Message Retraction (version 0.4.2)
//!
//! Supported: a retraction is kept and archived, whatever hints it carries. The retracted message
//! stays in the archive of an account; in that of a room a tombstone takes its place.

use waxwing_core::powers::{Extension, Keep, Kept, Place, Specification};
use waxwing_xmpp::Stanza;
use waxwing_xmpp::stanza::{Children, MessageType};

const NS: &str = "urn:xmpp:message-retract:1";

/// See the [module](self).
pub struct Retraction;

impl Extension for Retraction {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0424",
            title: "Message Retraction",
            version: "0.4.2",
            features: &[
                (Place::Server, NS),
                (Place::Account, NS),
                (Place::Room, NS),
                (Place::Room, "urn:xmpp:message-retract:1#tombstone"),
            ],
        }
    }
}

impl Keep for Retraction {
    /// §5: the archive must hold it, since a client may have been away.
    fn keep(&self, message: &Stanza) -> Option<Kept> {
        let is_one_to_one = matches!(
            message.message_type(),
            MessageType::Chat | MessageType::Normal
        );
        (is_one_to_one && message.children().intersects(Children::RETRACT)).then_some(Kept::BOTH)
    }
}
