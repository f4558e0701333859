//! Rooms for fixed circles of people, as Conversations makes private groups.

use super::dice::Dice;
use super::fleet::user;
use crate::ensure;
use crate::harness::Outcome;
use crate::harness::accounts::{Account, registration};
use crate::harness::client::Client;
use crate::harness::server::Target;
use crate::harness::xml::show;

const OWNER: &str = "http://jabber.org/protocol/muc#owner";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// What Conversations sets for a private group.
const CONFIG: [(&str, &str); 8] = [
    ("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig"),
    ("muc#roomconfig_persistentroom", "1"),
    ("muc#roomconfig_membersonly", "1"),
    ("muc#roomconfig_publicroom", "0"),
    ("muc#roomconfig_whois", "anyone"),
    ("muc#roomconfig_changesubject", "0"),
    ("muc#roomconfig_allowinvites", "1"),
    ("muc#roomconfig_enablearchiving", "1"),
];

/// A room and its members.
#[derive(Clone, Debug)]
pub struct Circle {
    /// The local part of the room.
    pub room: String,
    /// Accounts; the first is its owner.
    pub members: Vec<String>,
}

/// The domain of the rooms.
pub fn service(domain: &str) -> String {
    format!("groups.{domain}")
}

/// So many circles of 4 to 12, of that many people.
pub fn of_people(rooms: usize, people: usize, dice: &mut Dice) -> Vec<Circle> {
    let circle = |number| {
        let mut all: Vec<usize> = (0..people).collect();
        let size = dice.between(4, 12).min(people);
        for at in 0..size {
            all.swap(at, dice.between(at, people - 1));
        }
        Circle {
            room: format!("room{number}"),
            members: all[..size].iter().map(|number| user(*number)).collect(),
        }
    };
    (0..rooms).map(circle).collect()
}

/// The rooms that an account is a member of.
pub fn rooms_of(circles: &[Circle], account: &str) -> Vec<String> {
    let own = circles
        .iter()
        .filter(|circle| circle.members.iter().any(|member| member == account));
    own.map(|circle| circle.room.clone()).collect()
}

impl Circle {
    /// Makes the room.
    pub fn create(&self, target: &Target) -> Outcome {
        let owner = &self.members[0];
        let mut client = log_in(target, owner, "founder")?;
        let room = format!("{}@{}", self.room, service(&target.domain));
        client.send(&format!(
            "<presence to='{room}/{owner}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))?;
        let field = |(var, value)| format!("<field var='{var}'><value>{value}</value></field>");
        let fields: String = CONFIG.into_iter().map(field).collect();
        set(
            &mut client,
            &room,
            &format!(
                "<query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></query>"
            ),
        )?;
        let domain = &target.domain;
        let member = |name| format!("<item affiliation='member' jid='{name}@{domain}'/>");
        let members: String = self.members[1..].iter().map(member).collect();
        let query = format!("<query xmlns='{ADMIN}'>{members}</query>");
        set(&mut client, &room, &query)?;
        client.disconnect()
    }
}

/// A session of an account, which is made if it is not there.
pub fn log_in(target: &Target, user: &str, resource: &str) -> Outcome<Client> {
    let account = Account {
        user: user.to_owned(),
        domain: target.domain.clone(),
        password: format!("secret of {user}"),
    };
    let mut client = Client::tcp(target)?;
    client.open()?;
    client.send(&registration(&account))?;
    // An error: it is there.
    client.stanza()?;
    client.log_in(&account)?;
    client.bind(Some(resource))?;
    Ok(client)
}

fn set(client: &mut Client, room: &str, query: &str) -> Outcome {
    client.send(&format!("<iq type='set' id='set' to='{room}'>{query}</iq>"))?;
    loop {
        let answer = client.stanza()?;
        if answer.attr("id") == Some("set") {
            let is_done = answer.attr("type") == Some("result");
            ensure!(is_done, "{room}: {}", show(&answer));
            return Ok(());
        }
    }
}
