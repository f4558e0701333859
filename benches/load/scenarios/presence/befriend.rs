//! Makes contacts (RFC 6121 §3): every account asks for the presence of each of its contacts, one
//! after the other, and grants what it is asked for, until both sides of all have subscribed.

use crate::element::Element;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::handler::{Handler, Outcome};
use crate::lines::Lines;
use crate::scenarios::presence::people::People;

/// How an account stands with a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscription {
    /// The account does not get the contact's presence.
    Without,
    /// It does, but not the other way round.
    To,
    /// Both have subscribed.
    Both,
}

/// Makes all contacts of accounts that are online under their own numbers.
pub(crate) fn befriend(people: &People, fleet: &mut Fleet) -> Result<(), Failure> {
    let mut befriend = Befriend::new(people);
    for who in 0..people.ring.accounts() {
        fleet.lines.stanza(who, ROSTER);
    }
    if fleet.run(&mut befriend, None)? == Outcome::Stalled {
        let (made, wanted) = (befriend.made, befriend.wanted());
        return Err(Failure::SubscriptionsStalled(made, wanted));
    }
    Ok(())
}

/// Asks for the roster, and so for being told of its changes.
const ROSTER: &[u8] = b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>";

/// Accounts that make contacts.
struct Befriend<'a> {
    people: &'a People,
    /// By account, then place of the contact.
    subscriptions: Vec<Subscription>,
    /// The place of the contact that each account has come to.
    asking: Vec<usize>,
    /// How many of the subscriptions are mutual.
    made: usize,
    /// Grows with every change.
    changes: u64,
}

impl<'a> Befriend<'a> {
    fn new(people: &'a People) -> Befriend<'a> {
        let accounts = people.ring.accounts();
        Befriend {
            people,
            subscriptions: vec![Subscription::Without; accounts * people.ring.contacts()],
            asking: vec![0; accounts],
            made: 0,
            changes: 0,
        }
    }

    fn wanted(&self) -> usize {
        self.subscriptions.len()
    }

    /// A roster, or a change of it.
    fn roster(&mut self, who: usize, roster: Element<'_>) {
        for item in roster.tags("item") {
            let Some(place) = item.attr("jid").and_then(|jid| self.people.place(who, jid)) else {
                continue;
            };
            let now = match item.attr("subscription") {
                Some(b"both") => Subscription::Both,
                Some(b"to") => Subscription::To,
                _ => Subscription::Without,
            };
            let entry = &mut self.subscriptions[who * self.people.ring.contacts() + place];
            if *entry != now {
                self.made += usize::from(now == Subscription::Both);
                self.made -= usize::from(*entry == Subscription::Both);
                *entry = now;
                self.changes += 1;
            }
        }
    }

    /// Asks the next contact, if the last has granted what it was asked for. `anew`: not asked yet.
    fn ask(&mut self, who: usize, anew: bool, lines: &mut Lines) {
        let contacts = self.people.ring.contacts();
        let standing = &self.subscriptions[who * contacts..(who + 1) * contacts];
        let open = |place: &usize| standing[*place] == Subscription::Without;
        let Some(place) = (self.asking[who]..contacts).find(open) else {
            self.asking[who] = contacts;
            return;
        };
        if anew || place != self.asking[who] {
            self.asking[who] = place;
            let to = self.people.ring.contact(who, place);
            let subscribe = self.people.subscription("subscribe", to);
            lines.stanza(who, subscribe.as_bytes());
        }
    }
}

impl Handler for Befriend<'_> {
    fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        lines: &mut Lines,
    ) -> Result<(), Failure> {
        if element.attr_is("type", "error") {
            return Err(Failure::Unexpected(who, element.excerpt()));
        }
        match element.name() {
            b"presence" if element.attr_is("type", "subscribe") => {
                let from = element.attr("from").unwrap_or_default();
                let Some(number) = self.people.number(from) else {
                    return Err(Failure::Unexpected(who, element.excerpt()));
                };
                let subscribed = self.people.subscription("subscribed", number);
                lines.stanza(who, subscribed.as_bytes());
                self.changes += 1;
            }
            b"iq" if element.attr_is("id", "roster") && element.attr_is("type", "result") => {
                self.roster(who, element);
                self.ask(who, true, lines);
            }
            b"iq" if element.attr_is("type", "set") => {
                self.roster(who, element);
                self.ask(who, false, lines);
            }
            _ => (),
        }
        Ok(())
    }

    fn finished(&self) -> bool {
        self.made == self.wanted()
    }

    fn count(&self) -> u64 {
        self.changes
    }
}
