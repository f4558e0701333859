//! What a client that enters is told of affiliations (XEP-0463).

use waxwing_xmpp::{Element, Jid, StanzaError};

use super::Room;
use super::reflect::own_message;
use super::told::push_attribute;
use crate::xep_0045_muc::USER;
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::effect::Effect;
use crate::xep_0463_affiliation_versions as versions;

/// Items of one message at most; a longer answer is more messages.
const ITEMS: usize = 64;

impl Room {
    /// What comes before any presence if the wish to enter asks for it (XEP-0463 §5.2.1): the whole
    /// list, or what changed since the version that the client has.
    pub(super) fn affiliations_for(
        &self,
        from: &Jid,
        wish: &Element,
    ) -> Result<Vec<Effect>, StanzaError> {
        let Some(asked) = wish.get_child("mav", versions::NS) else {
            return Ok(Vec::new());
        };
        let send = |stanza| Effect::Send {
            to: from.clone(),
            stanza,
        };
        if !self.may_list(from.bare(), Affiliation::Member) {
            let mut error = String::new();
            StanzaError::forbidden().write_xml(&mut error);
            return Ok(vec![send(own_message(&self.jid, " type='error'", &error)?)]);
        }
        let since = asked
            .attr("since")
            .and_then(|since| versions::parse(self.id, since))
            .filter(|since| self.members.remembers(*since));
        if since == Some(self.members.version()) {
            return Ok(Vec::new());
        }
        let items = self.changes_for(from, since);
        // A list of nobody is an answer, too. Each part goes on where the one before ended.
        let parts = items.len().div_ceil(ITEMS).max(1);
        let mut since = since;
        let mut effects = Vec::new();
        for part in 0..parts {
            let items = &items[part * ITEMS..items.len().min((part + 1) * ITEMS)];
            let until = match items.last() {
                Some((_, version)) if part + 1 < parts => *version,
                _ => self.members.version(),
            };
            let mav = versions::element(self.id, since, until);
            let items: String = items.iter().map(|(item, _)| item.as_str()).collect();
            let x = format!("<x xmlns='{USER}'>{mav}{items}</x>");
            effects.push(send(own_message(&self.jid, "", &x)?));
            since = Some(until);
        }
        Ok(effects)
    }

    /// Items for those users whose affiliation the recipient may know, with the versions of their
    /// changes; of the others it is told, after a version that it has, that they have none that it
    /// may know.
    fn changes_for(&self, from: &Jid, since: Option<i64>) -> Vec<(String, i64)> {
        let mut items = Vec::new();
        for (jid, affiliation, version) in self.members.since(since) {
            let may_know =
                affiliation == Affiliation::None || self.may_list(from.bare(), affiliation);
            let affiliation = match (may_know, since) {
                (true, _) => affiliation,
                (false, Some(_)) => Affiliation::None,
                (false, None) => continue,
            };
            let mut item = String::from("<item");
            push_attribute(&mut item, "affiliation", affiliation.as_str());
            push_attribute(&mut item, "jid", jid.as_str());
            item.push_str("/>");
            items.push((item, version));
        }
        items
    }
}
