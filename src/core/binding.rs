//! What a client asks for when it binds, and what it says of itself.

use waxwing_xmpp::password::ScramHash;
use waxwing_xmpp::{Element, Jid, StanzaError, ns};

use crate::clock::Ids;

/// Bytes of the name of a software or a device; what is longer is cut.
const MAX_NAME: usize = 128;
/// Bytes of a tag; a longer one is left out of the resource.
const MAX_TAG: usize = 128;

/// A request to bind a resource: RFC 6120 §7 or XEP-0386.
#[derive(Clone, Debug, Default)]
pub struct Binding<'a> {
    /// The resource that the client chose.
    pub resource: Option<&'a str>,
    /// What the resource is to begin with that the server makes (XEP-0386 §3.2.1).
    pub tag: Option<&'a str>,
    /// What the client said of itself.
    pub user_agent: Option<UserAgent>,
    /// The stream's default language.
    pub lang: Option<&'a str>,
}

/// An installation of a client (XEP-0388 §2.3), for its owner and the server alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent {
    /// A UUID in lower case: the same at every login.
    pub id: Option<String>,
    /// The name of the program.
    pub software: Option<String>,
    /// The name of the machine.
    pub device: Option<String>,
}

/// The id of a user agent is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a user agent has to be a UUID")]
pub struct NotAUuid;

impl UserAgent {
    /// Reads a `<user-agent/>`. Its id has to be a UUID as XEP-0388's schema says, of any version.
    pub fn read(element: &Element) -> Result<UserAgent, NotAUuid> {
        let name = |child: &str| {
            let text = element.get_child(child, ns::SASL2)?.text();
            let text = clip(text.trim());
            (!text.is_empty()).then(|| text.to_owned())
        };
        Ok(UserAgent {
            id: element.attr("id").map(uuid).transpose()?,
            software: name("software"),
            device: name("device"),
        })
    }

    /// What its owner is shown: the program and the machine, as far as they are known.
    #[must_use]
    pub fn name(&self) -> String {
        let names = [self.software.as_deref(), self.device.as_deref()];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        names.join(", ")
    }
}

impl Binding<'_> {
    /// Whether nobody can know the resource who was not told of this session: it is made of chance
    /// alone, not of what is the same at every login.
    pub(crate) fn is_secret(&self) -> bool {
        self.resource.is_none() && self.agent_id().is_none()
    }

    fn agent_id(&self) -> Option<&String> {
        self.user_agent.as_ref()?.id.as_ref()
    }

    /// The full JID that the session is to have.
    ///
    /// A resource that the server makes is the same for an installation of a client at every
    /// login, so that who wrote to it before the connection broke still reaches it. It shows
    /// nothing of the id (XEP-0386 §3.2.1). Between the tag and the rest stands a full stop, as in
    /// the examples there: programs are known that split an address at its last slash.
    pub(crate) fn address(&self, bare: &Jid, ids: &dyn Ids) -> Result<Jid, StanzaError> {
        if let Some(resource) = self.resource {
            let chosen = bare.with_resource_tolerant(resource);
            return chosen.map_err(|_| StanzaError::bad_request());
        }
        let own = match self.agent_id() {
            Some(id) => short_hash(&format!("{bare}\0{id}")),
            None => ids.token(),
        };
        let tag = self.tag.filter(|tag| tag.len() <= MAX_TAG);
        let tagged = tag.and_then(|tag| bare.with_resource(&format!("{tag}.{own}")).ok());
        match tagged {
            Some(tagged) => Ok(tagged),
            // Without a tag, or with one that no address can hold.
            None => bare
                .with_resource(&own)
                .map_err(|_| StanzaError::internal_server_error()),
        }
    }
}

/// 64 bits in hexadecimal: enough to tell the devices of one account apart, and too few to tell
/// anything of what was hashed.
fn short_hash(text: &str) -> String {
    let hash = ScramHash::Sha256.digest(text.as_bytes());
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid(text: &str) -> Result<String, NotAUuid> {
    let mut groups = text.split('-');
    let mut group = |length| {
        groups.next().is_some_and(|group: &str| {
            group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let is_uuid = [8, 4, 4, 4, 12].into_iter().all(&mut group) && groups.next().is_none();
    is_uuid.then(|| text.to_ascii_lowercase()).ok_or(NotAUuid)
}

/// The beginning of a text that has room.
fn clip(text: &str) -> &str {
    text[..text.floor_char_boundary(MAX_NAME.min(text.len()))].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemIds;

    const ID: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";

    fn read(xml: &str) -> Result<UserAgent, NotAUuid> {
        UserAgent::read(&waxwing_xmpp::dom::parse(xml.as_bytes()).unwrap())
    }

    fn agent(id: &str) -> UserAgent {
        UserAgent {
            id: Some(id.to_owned()),
            ..UserAgent::default()
        }
    }

    fn resource(binding: &Binding<'_>, bare: &str) -> String {
        let bare = Jid::parse(bare).unwrap();
        let address = binding.address(&bare, &SystemIds::default()).unwrap();
        address.resource().unwrap().to_owned()
    }

    #[test]
    fn a_user_agent_is_read() {
        let ns = ns::SASL2;
        let agent = read(&format!(
            "<user-agent xmlns='{ns}' id='{}'><software>AwesomeXMPP</software>\
             <device> Kiva's Phone\n</device><more/></user-agent>",
            ID.to_uppercase()
        ))
        .unwrap();
        assert_eq!(agent.id.as_deref(), Some(ID));
        assert_eq!(agent.name(), "AwesomeXMPP, Kiva's Phone");
        let nothing = read(&format!(
            "<user-agent xmlns='{ns}'><software/></user-agent>"
        ));
        assert_eq!(nothing, Ok(UserAgent::default()));
        let long = "\u{E9}".repeat(MAX_NAME);
        let agent = read(&format!(
            "<user-agent xmlns='{ns}'><device>{long}</device></user-agent>"
        ));
        assert_eq!(agent.unwrap().name(), "\u{E9}".repeat(MAX_NAME / 2));
    }

    #[test]
    fn an_id_is_a_uuid() {
        for id in [
            "",
            "phone",
            "d4565fa7-4d72-4749-b3d3-740edbf8777",
            "d4565fa7-4d72-4749-b3d3-740edbf87770-",
            "d4565fa7-4d72-4749-b3d3740edbf87770",
            "g4565fa7-4d72-4749-b3d3-740edbf87770",
            "{d4565fa7-4d72-4749-b3d3-740edbf87770}",
            "d4565fa7-4d72-4749-b3d3-740edbf8777\u{E9}",
        ] {
            let ns = ns::SASL2;
            let xml = format!("<user-agent xmlns='{ns}' id='{id}'/>");
            assert_eq!(read(&xml), Err(NotAUuid), "{id}");
        }
    }

    #[test]
    fn a_resource_is_stable_for_client_and_account() {
        let binding = |tag, id| Binding {
            tag,
            user_agent: Some(agent(id)),
            ..Binding::default()
        };
        let tagged = resource(&binding(Some("Awesome"), ID), "juliet@example.org");
        assert_eq!(
            tagged,
            resource(&binding(Some("Awesome"), ID), "juliet@example.org")
        );
        let own = tagged.strip_prefix("Awesome.").unwrap();
        assert_eq!(own.len(), 16);
        assert!(!ID.replace('-', "").contains(own));
        assert_eq!(resource(&binding(None, ID), "juliet@example.org"), own);
        assert_ne!(resource(&binding(None, ID), "romeo@example.org"), own);
        let other = ID.replace('d', "e");
        assert_ne!(resource(&binding(None, &other), "juliet@example.org"), own);
    }

    #[test]
    fn other_resources() {
        let wish = Binding {
            resource: Some("balcony"),
            tag: Some("Awesome"),
            user_agent: Some(agent(ID)),
            lang: None,
        };
        assert_eq!(resource(&wish, "juliet@example.org"), "balcony");
        let anew = |tag| {
            let binding = Binding {
                tag,
                ..Binding::default()
            };
            resource(&binding, "juliet@example.org")
        };
        assert_ne!(anew(None), anew(None));
        assert!(anew(Some("Awesome")).starts_with("Awesome."));
        // A tag that cannot stand in an address is left out.
        let long = "x".repeat(MAX_TAG + 1);
        for tag in ["\u{7}", &long] {
            assert_eq!(anew(Some(tag)).len(), anew(None).len(), "{tag}");
        }
    }
}
