//! What is shown of a room to those who ask (§6.4): identity, features, and the form of its
//! details.

use minidom::Element;
use waxwing_xmpp::Jid;
use waxwing_xmpp::builder::With;

use super::config::{Config, Whois};
use super::{MUC, ROOM_INFO, register_form};
use crate::xep_0004_data_forms::{self, Field, FieldKind, Form, FormKind};
use crate::xep_0030_disco::{INFO, ITEMS};
use crate::{xep_0313_mam, xep_0359_stanza_ids};

/// The feature that messages are reflected with their ids (§7.4).
pub const STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// The feature that voice can be asked for (§7.13).
const VOICE: &str = super::REQUEST;

/// Features that are shown by a room's own configuration alone.
pub const DEPENDS: [&str; 3] = [register_form::NS, xep_0313_mam::NS, xep_0359_stanza_ids::NS];

/// What a room shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its configuration.
    pub config: &'a Config,
    /// How many occupants there are; `None`: not shown to who asks.
    pub occupants: Option<usize>,
    /// Its subject; `None`: not shown to who asks.
    pub subject: Option<&'a str>,
    /// The hashes of the avatar in its forms (XEP-0486 §4.3), in hexadecimal digits; none: there
    /// is no avatar.
    pub avatar_hashes: &'a [String],
    /// Whom to ask about the room.
    pub contacts: &'a [Jid],
    /// Features of what else is done in the room, whatever its configuration.
    pub features: &'a [&'a str],
}

impl Shown<'_> {
    /// The answer to a request for information about the room, without a node.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut identity = Element::builder("identity", INFO)
            .with("category", "conference")
            .with("type", "text");
        if !self.config.name.is_empty() {
            identity = identity.with("name", &self.config.name);
        }
        let features = self.features();
        let features = features.iter().map(|feature| {
            Element::builder("feature", INFO)
                .with("var", feature)
                .build()
        });
        Element::builder("query", INFO)
            .append(identity.build())
            .append_all(features)
            .append(self.form().to_element())
            .build()
    }

    /// The features, sorted, each once.
    fn features(&self) -> Vec<&str> {
        let config = self.config;
        let either = |is, yes, no| if is { yes } else { no };
        let is_anonymous = config.whois == Whois::Moderators;
        let mut features = vec![
            INFO,
            ITEMS,
            MUC,
            STABLE_ID,
            xep_0004_data_forms::NS,
            either(config.is_persistent, "muc_persistent", "muc_temporary"),
            either(config.is_public, "muc_public", "muc_hidden"),
            either(config.is_members_only, "muc_membersonly", "muc_open"),
            either(config.is_moderated, "muc_moderated", "muc_unmoderated"),
            either(is_anonymous, "muc_semianonymous", "muc_nonanonymous"),
            either(
                config.password.is_empty(),
                "muc_unsecured",
                "muc_passwordprotected",
            ),
        ];
        if config.may_request_voice {
            features.push(VOICE);
        }
        if config.may_register {
            features.push(register_form::NS);
        }
        if config.is_archived {
            features.extend([xep_0313_mam::NS, xep_0359_stanza_ids::NS]);
        }
        features.extend(self.features);
        features.sort_unstable();
        features.dedup();
        features
    }

    fn form(&self) -> Form {
        let config = self.config;
        let occupants = self.occupants.map(|count| count.to_string());
        let (most, history) = (config.max_members.to_string(), config.history.to_string());
        let mut form = Form::new(FormKind::Result, ROOM_INFO);
        for (var, label, text) in [
            ("muc#roomconfig_roomname", "Name", &*config.name),
            (
                "muc#roominfo_description",
                "What it is about",
                &config.description,
            ),
            ("muc#roominfo_lang", "Language spoken in it", &config.lang),
            (
                "muc#roominfo_subject",
                "Subject",
                self.subject.unwrap_or_default(),
            ),
            (
                "muc#roominfo_occupants",
                "Occupants now",
                occupants.as_deref().unwrap_or_default(),
            ),
            (
                "muc#roomconfig_maxusers",
                "Occupants and members at most",
                &most,
            ),
            (
                "muc#maxhistoryfetch",
                "Messages that are shown to those who enter, at most",
                &history,
            ),
            (
                "muc#roomconfig_allowpm",
                "Who may send private messages",
                config.private_messages.as_str(),
            ),
        ] {
            if !text.is_empty() {
                let field = Field::new(var, FieldKind::TextSingle);
                form = form.field(field.label(label).value(text));
            }
        }
        form.fields.extend(self.switches());
        form.fields.extend(self.lists());
        form
    }

    /// Clients look under three names for whether the subject may be changed.
    fn switches(&self) -> impl Iterator<Item = Field> {
        let subject = "Occupants may change the subject";
        let may_change = self.config.may_change_subject;
        let switches = [
            ("muc#roominfo_subjectmod", subject, may_change),
            ("muc#roominfo_changesubject", subject, may_change),
            ("muc#roomconfig_changesubject", subject, may_change),
            (
                "muc#roomconfig_allowinvites",
                "Occupants may invite others",
                self.config.may_invite,
            ),
        ];
        switches.into_iter().map(|(var, label, is_set)| {
            let field = Field::new(var, FieldKind::Boolean).label(label);
            field.value(if is_set { "1" } else { "0" })
        })
    }

    /// What there may be more than one of.
    fn lists(&self) -> impl Iterator<Item = Field> {
        let contacts = Field::new("muc#roominfo_contactjid", FieldKind::JidMulti)
            .label("Whom to ask about the room")
            .values(self.contacts.iter().map(Jid::as_str));
        let avatar = Field::new("muc#roominfo_avatarhash", FieldKind::TextMulti)
            .label("Hashes of the avatar")
            .values(self.avatar_hashes.iter().cloned());
        let lists = [contacts, avatar].into_iter();
        lists.filter(|field| !field.values.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(config: &Config) -> Vec<String> {
        let shown = Shown {
            config,
            occupants: None,
            subject: None,
            avatar_hashes: &[],
            contacts: &[],
            features: &["vcard-temp", MUC],
        };
        let info = shown.to_element();
        let features = info.children().filter(|child| child.is("feature", INFO));
        let features = features.filter_map(|feature| feature.attr("var"));
        features.map(str::to_owned).collect()
    }

    #[test]
    fn features_are_the_configuration() {
        let open = Config::instant(10);
        let closed = Config {
            is_persistent: false,
            is_public: true,
            is_members_only: true,
            is_moderated: true,
            whois: Whois::Anyone,
            password: "cauldronburn".into(),
            may_request_voice: false,
            may_register: false,
            is_archived: false,
            ..open.clone()
        };
        let (open, closed) = (features(&open), features(&closed));
        for (one, other) in [
            ("muc_persistent", "muc_temporary"),
            ("muc_hidden", "muc_public"),
            ("muc_open", "muc_membersonly"),
            ("muc_unmoderated", "muc_moderated"),
            ("muc_semianonymous", "muc_nonanonymous"),
            ("muc_unsecured", "muc_passwordprotected"),
        ] {
            let has = |features: &[String], name| features.iter().any(|feature| feature == name);
            assert!(has(&open, one) && !has(&open, other), "{one} {open:?}");
            assert!(
                has(&closed, other) && !has(&closed, one),
                "{other} {closed:?}"
            );
        }
        let more: Vec<_> = open.iter().filter(|name| !closed.contains(name)).collect();
        for name in ["urn:xmpp:mam:2", "urn:xmpp:sid:0", "jabber:iq:register"] {
            assert!(more.iter().any(|more| *more == name), "{name}");
        }
        for features in [open, closed] {
            assert!(features.is_sorted());
            assert_eq!(features.iter().filter(|name| *name == MUC).count(), 1);
            assert!(features.iter().any(|name| name == "vcard-temp"));
        }
    }

    #[test]
    fn details_are_in_the_form() {
        let config = Config {
            name: "A Dark Cave".into(),
            may_change_subject: true,
            ..Config::instant(10)
        };
        let shown = Shown {
            config: &config,
            occupants: Some(3),
            subject: Some("Spells"),
            avatar_hashes: &["a31c".into(), "b9b2".into()],
            contacts: &["crone1@shakespeare.lit".parse().expect("an address")],
            features: &[],
        };
        let info = shown.to_element();
        let identity = info.get_child("identity", INFO).expect("an identity");
        assert_eq!(identity.attr("name"), Some("A Dark Cave"));
        let form = Form::find(&info, ROOM_INFO).expect("a form").expect("it");
        for (var, expected) in [
            ("muc#roominfo_occupants", &["3"][..]),
            ("muc#roominfo_subject", &["Spells"]),
            ("muc#roomconfig_changesubject", &["1"]),
            ("muc#roomconfig_allowinvites", &["1"]),
            ("muc#roomconfig_allowpm", &["anyone"]),
            ("muc#roominfo_contactjid", &["crone1@shakespeare.lit"]),
            ("muc#roominfo_avatarhash", &["a31c", "b9b2"]),
            ("muc#roominfo_description", &[]),
        ] {
            assert_eq!(form.values(var), expected, "{var}");
        }
    }

    #[test]
    fn what_is_not_to_be_shown_is_not_there() {
        let config = Config::instant(10);
        let shown = Shown {
            config: &config,
            occupants: None,
            subject: None,
            avatar_hashes: &[],
            contacts: &[],
            features: &[],
        };
        let info = shown.to_element();
        let identity = info.get_child("identity", INFO).expect("an identity");
        assert_eq!(identity.attr("name"), None);
        let form = Form::find(&info, ROOM_INFO);
        let form = form.expect("a form").expect("it");
        for var in [
            "muc#roominfo_occupants",
            "muc#roominfo_subject",
            "muc#roominfo_contactjid",
            "muc#roominfo_avatarhash",
        ] {
            assert_eq!(form.get(var), None);
        }
    }
}
