//! Messages to a room (§7.4), and which use case another message is.

use waxwing_core::clock::Timestamp;
use waxwing_xmpp::stanza::{Children, MessageType};
use waxwing_xmpp::{Element, Jid, Stanza, StanzaError};

use super::leave::Exit;
use super::limits::{requests, too_busy, too_fast};
use super::presence::is_undelivered;
use super::{Room, State};
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::effect::{Effect, Published};
use crate::xep_0421_occupant_ids as occupant_ids;

impl Room {
    /// A session, by full JID, sent a message to the room or to the room JID of a nickname: to
    /// everybody, the subject, a private message, an invitation or its refusal, a question for voice
    /// or its answer, the approval of a registration, or an error.
    ///
    /// # Errors
    /// Those of §7.4, §7.5, §7.8, §8.1, and `policy-violation` or `resource-constraint` of type wait
    /// where too much is sent. Nothing has changed then, and nothing is published.
    pub fn message(
        &mut self,
        from: &Jid,
        nick: Option<&str>,
        message: &Stanza,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let kind = message.message_type();
        if kind == MessageType::Error {
            return self.message_error(from, nick, message, now);
        }
        if let State::Destroyed(_) = self.state {
            return Err(self.gone());
        }
        self.check_open(self.members.affiliation(from.bare()))?;
        match (nick, kind) {
            // §7.5.
            (Some(_), MessageType::Groupchat) => Err(StanzaError::bad_request()),
            (Some(nick), _) => self.private(from, nick, message, now),
            (None, MessageType::Groupchat) => self.groupchat(from, message, now),
            (None, _) => self.request(from, message, now),
        }
    }

    /// §7.4.
    fn groupchat(
        &mut self,
        from: &Jid,
        message: &Stanza,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let index = self.inside(from)?;
        if is_subject(message) {
            return self.change_subject(index, from, message, now);
        }
        if self.occupants.get(index).role < Role::Participant {
            return Err(StanzaError::forbidden().with_text("You have no voice in this room"));
        }
        let published = self.publish(index, from, message)?;
        self.say(index, now)?;
        Ok(vec![Effect::Publish(published)])
    }

    /// A message of an occupant as everybody gets it.
    pub(super) fn publish(
        &self,
        index: usize,
        from: &Jid,
        message: &Stanza,
    ) -> Result<Published, StanzaError> {
        let occupant = self.occupants.get(index);
        let may_date = self.members.affiliation(from.bare()) == Affiliation::Owner;
        let mark = occupant_ids::element(&self.occupant_id(from));
        let stanza = self.reflect(message, &occupant.nick, may_date, &mark)?;
        Ok(Published {
            kept: (self.limits.keep)(&stanza),
            stanza,
            sender: from.clone(),
        })
    }

    /// The occupant that a session is.
    ///
    /// # Errors
    /// `not-acceptable` if it is not in the room (§7.4, §7.5).
    pub(super) fn inside(&self, from: &Jid) -> Result<usize, StanzaError> {
        let inside = self.occupants.of_session(from);
        inside.ok_or_else(|| StanzaError::not_acceptable().with_text("You are not in the room"))
    }

    /// Counts a message of an occupant to the room.
    pub(super) fn say(&mut self, index: usize, now: Timestamp) -> Result<(), StanzaError> {
        let rate = self.limits.messages_per_room;
        if !self.talk.has_room(rate, now) {
            // Who sends too much is told so even then.
            self.check_talk(index, now)?;
            return Err(too_busy());
        }
        self.whisper(index, now)?;
        self.talk.take(rate, now);
        Ok(())
    }

    /// Counts a message of an occupant to anybody.
    pub(super) fn whisper(&mut self, index: usize, now: Timestamp) -> Result<(), StanzaError> {
        self.check_talk(index, now)?;
        let rate = self.limits.messages_per_occupant;
        self.occupants.get_mut(index).talk.take(rate, now);
        Ok(())
    }

    /// Counts a request of an occupant to another: less than a message, since who enters may ask
    /// for the avatar of everybody.
    pub(super) fn ask(&mut self, index: usize, now: Timestamp) -> Result<(), StanzaError> {
        let rate = requests(self.limits.messages_per_occupant);
        let talk = &mut self.occupants.get_mut(index).talk;
        if !talk.has_room(rate, now) {
            return Err(too_fast());
        }
        talk.take(rate, now);
        Ok(())
    }

    fn check_talk(&self, index: usize, now: Timestamp) -> Result<(), StanzaError> {
        let rate = self.limits.messages_per_occupant;
        if self.occupants.get(index).talk.has_room(rate, now) {
            return Ok(());
        }
        Err(too_fast())
    }

    /// A message to the room that is not for everybody.
    fn request(
        &mut self,
        from: &Jid,
        message: &Stanza,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let element = message.to_element();
        let id = message.id();
        if message.children().contains(Children::MUC_USER)
            && let Some(effects) = self.invitation(from, &element, id.as_deref(), now)?
        {
            return Ok(effects);
        }
        if message.children().contains(Children::FORM)
            && let Some(effects) = self.form(from, &element, now)?
        {
            return Ok(effects);
        }
        // §15.2; a chat state alone is not worth an error.
        if message.children().contains(Children::CHAT_STATE)
            && !message.children().contains(Children::BODY)
        {
            return Ok(Vec::new());
        }
        Err(StanzaError::bad_request().with_text("Messages to a room have the type groupchat"))
    }

    /// A form about voice (§7.13, §8.6) or a registration (§9.9). `None`: it is neither.
    fn form(
        &mut self,
        from: &Jid,
        message: &Element,
        now: Timestamp,
    ) -> Result<Option<Vec<Effect>>, StanzaError> {
        match self.voice(from, message, now)? {
            None => self.approval(from, message, now),
            said => Ok(said),
        }
    }

    /// An error that came back for what the room delivered: a session that is not reached is removed
    /// (§11.1, §17.1.2); who sent a private message is told of it.
    fn message_error(
        &mut self,
        from: &Jid,
        nick: Option<&str>,
        message: &Stanza,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StanzaError> {
        let Some(index) = self.occupants.of_session(from) else {
            return Ok(Vec::new());
        };
        let mut effects = Vec::new();
        if let Some(to) = nick.and_then(|nick| self.occupants.of_nick(nick)) {
            let nick = &self.occupants.get(index).nick;
            let stanza = self.reflect(message, nick, false, "")?;
            for session in self.occupants.get(to).sessions() {
                effects.push(Effect::Send {
                    to: session.clone(),
                    stanza: stanza.clone(),
                });
            }
        }
        if is_undelivered(&message.to_element()) {
            effects.extend(self.leave(from, Exit::Fault, now));
        }
        Ok(effects)
    }
}

/// Whether a message changes the subject (§8.1): with a text, or a thread, it is one like any other.
pub fn is_subject(message: &Stanza) -> bool {
    let children = message.children();
    children.contains(Children::SUBJECT)
        && !children.intersects(Children::BODY.union(Children::THREAD))
}
