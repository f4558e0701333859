//! XEP-0334: Message Processing Hints (version 1.0.0)
//!
//! Supported: no-store, no-permanent-store, store, no-copy. A headline is not stored, whatever it
//! asks for. A message that is not to be stored, and holds a text that nobody is there to read, is
//! answered with an error.

use waxwing_core::outbox::is_only_chat_state;
use waxwing_core::powers::{Extension, Keep, Kept, Specification};
use waxwing_xmpp::Stanza;
use waxwing_xmpp::stanza::{Children, MessageType};

/// See the [module](self).
pub struct Hints;

impl Extension for Hints {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0334",
            title: "Message Processing Hints",
            version: "1.0.0",
            features: &[],
        }
    }
}

impl Keep for Hints {
    /// §4. Where hints contradict each other, the one that keeps less counts.
    fn keep(&self, message: &Stanza) -> Option<Kept> {
        let (kind, children) = (message.message_type(), message.children());
        let waits = match kind {
            // §5: the hints of an error are those of the message that it answers. And a room keeps
            // what is said in it; here it would be torn out of its conversation.
            MessageType::Error | MessageType::Groupchat => return None,
            // RFC 6121 §8.5.2.2.1: never for somebody who is not there.
            MessageType::Headline => false,
            MessageType::Chat | MessageType::Normal => true,
        };
        if children.intersects(Children::NO_STORE) {
            return Some(Kept::NEITHER);
        }
        let off_the_record = children.intersects(Children::NO_PERMANENT_STORE);
        if children.intersects(Children::STORE) {
            return Some(Kept {
                queue: waits,
                archive: waits && !off_the_record,
            });
        }
        off_the_record.then(|| Kept {
            queue: waits && !is_only_chat_state(message),
            archive: false,
        })
    }
}
