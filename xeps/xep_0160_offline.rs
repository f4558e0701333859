//! XEP-0160: Best Practices for Handling Offline Messages (version 1.0.1)
//!
//! Supported: which messages wait for their recipient. Flexible retrieval (XEP-0013) is not
//! offered: a client that purges by it would lose messages.

use waxwing_core::outbox::is_only_chat_state;
use waxwing_core::powers::{Extension, Keep, Place, Specification};
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
    /// §3: chat and normal messages wait, but for those that hold nothing but a chat state.
    fn worth_keeping(&self, message: &Stanza) -> Option<bool> {
        match message.message_type() {
            MessageType::Groupchat | MessageType::Headline | MessageType::Error => Some(false),
            MessageType::Chat | MessageType::Normal => is_only_chat_state(message).then_some(false),
        }
    }
}
