//! XEP-0160: Best Practices for Handling Offline Messages (version 1.0.1)
//!
//! Supported: which messages wait for their recipient. Flexible retrieval (XEP-0013) is not
//! offered: a client that purges by it would lose messages.

use waxwing_core::outbox::is_only_chat_state;
use waxwing_core::powers::{Extension, Keep, Kept, Place, Specification};
use waxwing_xmpp::Stanza;
use waxwing_xmpp::stanza::MessageType;

/// See the [module](self).
pub struct Offline;

impl Extension for Offline {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0160",
            title: "Best Practices for Handling Offline Messages",
            version: "1.0.1",
            features: &[(Place::Server, "msgoffline")],
        }
    }
}

impl Keep for Offline {
    /// §3: chat and normal messages wait, but for those that hold nothing but a chat state. What
    /// does not wait is no part of a conversation, and is not archived either (XEP-0313 §6.1.1).
    fn keep(&self, message: &Stanza) -> Option<Kept> {
        let is_passing = match message.message_type() {
            MessageType::Groupchat | MessageType::Headline | MessageType::Error => true,
            MessageType::Chat | MessageType::Normal => is_only_chat_state(message),
        };
        is_passing.then_some(Kept::NEITHER)
    }
}
