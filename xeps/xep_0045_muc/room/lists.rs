//! Lists of users by affiliation and of occupants by role (§8.5, §9.2, §9.5, §9.8, §10.5, §10.8).

use minidom::Element;
use waxwing_xmpp::builder::With;
use waxwing_xmpp::{Jid, StanzaError};

use super::Room;
use crate::xep_0045_muc::ADMIN;
use crate::xep_0045_muc::affiliation::{Affiliation, Role};
use crate::xep_0045_muc::config::Whois;

impl Room {
    /// The highest role of a user in the room.
    pub(super) fn role_of_user(&self, bare: &str) -> Role {
        let own = self.occupants.of_user(bare);
        own.map(|index| self.occupants.get(index).role)
            .max()
            .unwrap_or_default()
    }

    /// Whether a user may have the list of all with an affiliation.
    pub(super) fn may_list(&self, bare: &str, wanted: Affiliation) -> bool {
        let own = self.members.affiliation(bare);
        let is_open_about_jids = self.config.whois == Whois::Anyone;
        match wanted {
            Affiliation::None => false,
            Affiliation::Outcast => own >= Affiliation::Admin,
            // §5.2.1: who may not see real JIDs may not see them in a list.
            Affiliation::Member => {
                let role = self.role_of_user(bare);
                let by_role = role != Role::None && role >= self.config.member_list_from;
                own >= Affiliation::Admin
                    || (is_open_about_jids && (own.is_member() || by_role))
                    || (by_role && role == Role::Moderator)
            }
            // §10.5, §10.8.
            Affiliation::Admin | Affiliation::Owner => {
                own == Affiliation::Owner || (is_open_about_jids && own.is_member())
            }
        }
    }

    /// Everybody with an affiliation, as items.
    pub(super) fn list_by_affiliation(
        &self,
        from: &Jid,
        wanted: Affiliation,
    ) -> Result<Element, StanzaError> {
        if wanted == Affiliation::None {
            return Err(StanzaError::bad_request());
        }
        if !self.may_list(from.bare(), wanted) {
            return Err(StanzaError::forbidden());
        }
        let mut query = Element::bare("query", ADMIN);
        for (jid, affiliation) in self.members.with(|a| a == wanted) {
            let mut item = Element::builder("item", ADMIN)
                .with("affiliation", affiliation.as_str())
                .with("jid", jid.as_str());
            if let Some(nick) = self.members.reserved_nick(jid.as_str()) {
                item = item.with("nick", nick);
            }
            let reason = self.members.member(jid.as_str()).reason;
            if !reason.is_empty() {
                item = item.append(Element::builder("reason", ADMIN).append(reason));
            }
            query.append_child(item.build());
        }
        Ok(query)
    }

    /// Every occupant with a role, as items.
    pub(super) fn list_by_role(&self, from: &Jid, wanted: Role) -> Result<Element, StanzaError> {
        let affiliation = self.members.affiliation(from.bare());
        let is_admin = affiliation >= Affiliation::Admin;
        let is_moderator = self.role_of_user(from.bare()) == Role::Moderator;
        let may = match wanted {
            Role::None => return Err(StanzaError::bad_request()),
            Role::Moderator => is_admin,
            Role::Visitor | Role::Participant => is_admin || is_moderator,
        };
        if !may {
            return Err(StanzaError::forbidden());
        }
        let mut query = Element::bare("query", ADMIN);
        for occupant in self.occupants.iter().filter(|o| o.role == wanted) {
            let affiliation = self.members.affiliation(occupant.bare());
            let item = Element::builder("item", ADMIN)
                .with("affiliation", affiliation.as_str())
                .with("jid", occupant.main.jid.as_str())
                .with("nick", &*occupant.nick)
                .with("role", occupant.role.as_str());
            query.append_child(item.build());
        }
        Ok(query)
    }
}
