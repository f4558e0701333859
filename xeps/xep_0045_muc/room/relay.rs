//! IQs between occupants by room JIDs (§15.4), and the ping to oneself (XEP-0410).

use std::hash::{DefaultHasher, Hash, Hasher};

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::stanza::{IqType, Kind};
use waxwing_xmpp::{Jid, Stanza, StanzaError};

use super::Room;
use super::reflect::{compose, content, stanza};
use super::told::push_attribute;
use crate::xep_0030_disco::{INFO, ITEMS};

const PING: (&str, &str) = ("urn:xmpp:ping", "ping");
const VCARD: &str = "vcard-temp";

impl Room {
    /// An IQ that a session, or the server in the name of its user, sent to the room JID of a
    /// nickname: whom it is for, and the stanza without `to`. A request is given an id by which its
    /// answer finds the session that asked. A ping to one's own nickname is answered.
    ///
    /// # Errors
    /// `not-acceptable`, or `bad-request` for service discovery, if the sender is not in the room;
    /// `item-not-found` if nobody has that nickname, or nobody asked for that answer;
    /// `policy-violation` of type wait if it asks too much.
    pub fn relay_iq(
        &mut self,
        from: &Jid,
        nick: &str,
        iq: &Stanza,
        now: Timestamp,
    ) -> Result<(Jid, Stanza), StanzaError> {
        let is_answer = matches!(iq.iq_type(), IqType::Result | IqType::Error);
        let sender = match self.occupants.of_session(from) {
            None if is_answer && from.is_bare() => self.occupants.of_user(from.bare()).next(),
            inside => inside,
        };
        let payload = iq.payload();
        let is_of = |namespace| payload.as_ref().is_some_and(|(ns, _)| &**ns == namespace);
        let refused = || {
            // §6.6 for discovery, XEP-0410 §3.3 for the rest.
            let error = match is_of(INFO) || is_of(ITEMS) {
                true => StanzaError::bad_request(),
                false => StanzaError::not_acceptable(),
            };
            error.with_text("You are not in the room")
        };
        let sender = sender.ok_or_else(refused)?;
        let id = iq.id().ok_or_else(StanzaError::bad_request)?;
        if iq.kind() != Kind::Iq || iq.iq_type() == IqType::Unknown {
            return Err(StanzaError::bad_request());
        }
        let asks_for = |namespace, name| {
            payload
                .as_ref()
                .is_some_and(|(ns, n)| (&**ns, *n) == (namespace, name))
        };
        if !is_answer && *self.occupants.get(sender).nick == *nick && asks_for(PING.0, PING.1) {
            let own = self.occupant_jid(nick);
            return Ok((from.clone(), pong(&own, &id)?));
        }
        let recipient = self.occupants.of_nick(nick);
        let recipient = recipient.ok_or_else(StanzaError::item_not_found)?;
        if !is_answer {
            self.ask(sender, now)?;
        }
        let recipient = self.occupants.get(recipient);
        let from_jid = self.occupant_jid(&self.occupants.get(sender).nick);
        let inner = content(iq);
        if is_answer {
            let (mark, id) = id.split_once(' ').ok_or_else(StanzaError::item_not_found)?;
            let asked = recipient.sessions().find(|s| self.mark(s) == mark);
            let asked = asked.ok_or_else(StanzaError::item_not_found)?;
            let stanza = compose("iq", iq, &from_jid, Some(id), &inner)?;
            return Ok((asked.clone(), stanza));
        }
        let id = format!("{} {id}", self.mark(from));
        let stanza = compose("iq", iq, &from_jid, Some(&id), &inner)?;
        let to = &recipient.main.jid;
        // What is the account's is asked of the account.
        let to = if asks_for(VCARD, "vCard") {
            to.to_bare()
        } else {
            to.clone()
        };
        Ok((to, stanza))
    }

    /// What tells the sessions of an occupant apart, and nobody else anything.
    fn mark(&self, session: &Jid) -> String {
        let mut hasher = DefaultHasher::new();
        self.key
            .id(self.jid.as_str(), session.as_str())
            .hash(&mut hasher);
        format!("{:08x}", hasher.finish() as u32)
    }
}

/// XEP-0410 §3.3: yes, you are in.
fn pong(from: &str, id: &str) -> Result<Stanza, StanzaError> {
    let mut out = String::from("<iq");
    push_attribute(&mut out, "from", from);
    push_attribute(&mut out, "id", id);
    out.push_str(" type='result'/>");
    stanza(out)
}
