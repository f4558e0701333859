//! Creating and configuring a room (§10.1, §10.2), and the request to destroy it (§10.9).

use std::collections::BTreeMap;

use minidom::Element;
use waxwing_core::clock::Timestamp;
use waxwing_core::powers::Verb;
use waxwing_xmpp::{Jid, StanzaError};

use super::affiliation::Wish;
use super::{Answer, Room, State};
use crate::xep_0004_data_forms::{Field, FieldKind, Form, FormKind, NS as DATA};
use crate::xep_0045_muc::affiliation::Affiliation;
use crate::xep_0045_muc::config::Whois;
use crate::xep_0045_muc::effect::{Change, Effect};
use crate::xep_0045_muc::{OWNER, config_form};

/// A list of users in the form, which is complete (§10.5, §10.8).
struct List {
    var: &'static str,
    label: &'static str,
    affiliation: Affiliation,
}

/// The owners come first: who is on both lists is an owner.
const LISTS: [List; 2] = [
    List {
        var: "muc#roomconfig_roomowners",
        label: "Owners",
        affiliation: Affiliation::Owner,
    },
    List {
        var: "muc#roomconfig_roomadmins",
        label: "Admins",
        affiliation: Affiliation::Admin,
    },
];

impl Room {
    /// A request with a `<query/>` of muc#owner, from a full JID in the room or not. `newest` is the
    /// newest row of the log.
    ///
    /// # Errors
    /// `forbidden` but for owners, `not-acceptable` for what the room cannot be; nothing has changed
    /// then.
    pub fn owner(
        &mut self,
        from: &Jid,
        verb: Verb,
        query: &Element,
        now: Timestamp,
        newest: i64,
    ) -> Answer {
        let affiliation = self.members.affiliation(from.bare());
        self.check_open(affiliation)?;
        if affiliation != Affiliation::Owner {
            return Err(StanzaError::forbidden().with_text("Only owners may do that"));
        }
        if verb == Verb::Get {
            let form = self.configuration().to_element();
            let query = Element::builder("query", OWNER).append(form).build();
            return Ok((Some(query), Vec::new()));
        }
        if let Some(wish) = query.get_child("destroy", OWNER) {
            return Ok((None, self.destroy(wish)?));
        }
        let form = query.get_child("x", DATA);
        let form = Form::parse(form.ok_or_else(StanzaError::bad_request)?)?;
        let effects = match form.kind {
            // §10.1.3: nothing comes of a room that its creator does not want.
            FormKind::Cancel if self.is_locked() => self.destroyed(None, ""),
            FormKind::Cancel => Vec::new(),
            FormKind::Submit => self.configure(from, &form, now, newest)?,
            FormKind::Form | FormKind::Result => return Err(StanzaError::bad_request()),
        };
        Ok((None, effects))
    }

    /// The configuration as it is, with the lists.
    fn configuration(&self) -> Form {
        let form = config_form::form(&self.config, self.limits.max_members);
        LISTS.iter().fold(form, |form, list| {
            let named = self.members.with(|a| a == list.affiliation);
            let field = Field::new(list.var, FieldKind::JidMulti).label(list.label);
            form.field(field.values(named.map(|(jid, _)| jid.as_str())))
        })
    }

    fn configure(
        &mut self,
        from: &Jid,
        form: &Form,
        now: Timestamp,
        newest: i64,
    ) -> Result<Vec<Effect>, StanzaError> {
        let mut config = config_form::apply(&self.config, form, self.limits.max_members)?;
        if config.whois == Whois::Anyone && self.config.whois == Whois::Moderators {
            // Before a room is configured its creator is alone.
            config.anonymous_until = if self.is_locked() { 0 } else { newest };
        }
        let wishes = self.wishes_of_form(form, config.is_members_only)?;
        self.check_wishes(from, &wishes)?;
        if config.max_members < self.config.max_members
            && self.count_with(&self.after(&wishes)).all > usize::from(config.max_members)
        {
            let text = "The room has more members than that";
            return Err(StanzaError::not_acceptable().with_text(text));
        }
        let mut effects = Vec::new();
        if self.is_locked() {
            // §10.1.2: from now on others may enter.
            self.state = State::Open;
        }
        // Who becomes an admin by the form is not removed as somebody that is no member.
        effects.extend(self.change_affiliations(from, &wishes, now));
        if config != self.config {
            effects.push(Effect::Save(Change::Configured(Box::new(config.clone()))));
            effects.extend(self.reconfigure(config));
        }
        self.close_if_empty(&mut effects);
        Ok(effects)
    }

    /// What the lists of owners and admins in the form mean for those on them, and for those that
    /// are not any more.
    fn wishes_of_form(&self, form: &Form, members_only: bool) -> Result<Vec<Wish>, StanzaError> {
        let below = if members_only {
            Affiliation::Member
        } else {
            Affiliation::None
        };
        let mut wanted: BTreeMap<Jid, Affiliation> = BTreeMap::new();
        for list in &LISTS {
            for user in list.named(form)? {
                wanted.entry(user).or_insert(list.affiliation);
            }
        }
        for list in LISTS.iter().filter(|list| form.get(list.var).is_some()) {
            for (struck, _) in self.members.with(|a| a == list.affiliation) {
                wanted.entry(struck.clone()).or_insert(below);
            }
        }
        let wish = |(user, to)| Wish::new(user, to);
        Ok(wanted.into_iter().map(wish).collect())
    }
}

impl List {
    /// The users on it, by bare JID. Some clients send all lines of a list as one value.
    fn named(&self, form: &Form) -> Result<Vec<Jid>, StanzaError> {
        let lines = form.values(self.var).iter().flat_map(|value| value.lines());
        let named = lines.map(str::trim).filter(|line| !line.is_empty());
        let user = |text: &str| {
            let jid = Jid::parse_tolerant(text).ok();
            let user = jid.filter(|jid| jid.local().is_some());
            let shown: String = text.chars().take(100).collect();
            let text = format!("{}: {shown} is no address of a user", self.var);
            user.map(|jid| jid.to_bare())
                .ok_or_else(|| StanzaError::jid_malformed().with_text(text))
        };
        named.map(user).collect()
    }
}
