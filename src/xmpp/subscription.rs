//! The subscription table (RFC 6121 Appendix A): what a user's server does with a subscription
//! stanza that the user sends, and with one that arrives from the contact.
//!
//! [`outbound`] and [`inbound`] are functions of values: they say what becomes of the roster item
//! and what is to be sent, and nothing is done here. The tables themselves are in `table`, laid out
//! as in the RFC; this file adds pre-approval (§3.4) and the side effects that §3 describes.

use std::str::FromStr;

mod table;
#[cfg(test)]
mod tests;

use table::Defined;

/// The `subscription` of a roster item (RFC 6121 §2.1.2.5), seen from the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subscription {
    /// Neither sees the other's presence.
    #[default]
    None,
    /// The user sees the contact's presence.
    To,
    /// The contact sees the user's presence.
    From,
    /// Both see each other's presence.
    Both,
}

impl Subscription {
    /// The value of the `subscription` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
        }
    }

    /// Whether the user sees the contact's presence.
    pub fn includes_to(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// Whether the contact sees the user's presence.
    pub fn includes_from(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }
}

impl FromStr for Subscription {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        [Self::None, Self::To, Self::From, Self::Both]
            .into_iter()
            .find(|subscription| subscription.as_str() == name)
            .ok_or(UnknownName)
    }
}

/// A presence stanza that manages subscriptions (RFC 6121 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Asks to see the receiver's presence.
    Subscribe,
    /// Lets the receiver see the sender's presence.
    Subscribed,
    /// Ends seeing the receiver's presence, or withdraws the request to.
    Unsubscribe,
    /// Denies the receiver to see the sender's presence, or no longer lets it.
    Unsubscribed,
}

impl Action {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::Subscribe,
        Self::Subscribed,
        Self::Unsubscribe,
        Self::Unsubscribed,
    ];

    /// The value of the stanza's `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

impl FromStr for Action {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == name)
            .ok_or(UnknownName)
    }
}

/// A name that RFC 6121 does not define for the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name that RFC 6121 defines")]
pub struct UnknownName;

/// The state of one user's subscriptions with one contact (RFC 6121 §A.1). The default is that of
/// a contact nobody knows.
///
/// Twelve of the values have a meaning: the nine states of the RFC, and a pre-approval in those
/// three in which there is still something to approve. [`State::settled`] maps the others to these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct State {
    /// What is granted.
    pub subscription: Subscription,
    /// The user has asked and waits for an answer: `ask='subscribe'` in the roster item.
    pub pending_out: bool,
    /// The contact has asked and waits for an answer. Roster items do not show it.
    pub pending_in: bool,
    /// The user has approved a request that is still to come (§3.4): `approved='true'`. The request
    /// uses it up.
    pub approved: bool,
}

impl State {
    /// The same without what contradicts it: a request for what is granted already, and an approval
    /// beside a grant or a request. It only ever takes away, so the user is asked rather than not.
    #[must_use]
    pub fn settled(self) -> Self {
        let pending_in = self.pending_in && !self.subscription.includes_from();
        Self {
            subscription: self.subscription,
            pending_out: self.pending_out && !self.subscription.includes_to(),
            pending_in,
            approved: self.approved && !pending_in && !self.subscription.includes_from(),
        }
    }

    /// Whether clients see a difference between the roster items.
    fn looks_unlike(self, other: Self) -> bool {
        Self {
            pending_in: false,
            ..self
        } != Self {
            pending_in: false,
            ..other
        }
    }
}

/// What a user's server does with a subscription stanza from its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbound {
    /// The state afterwards.
    pub next: State,
    /// Whether the stanza goes to the contact.
    pub route: bool,
    /// Whether the roster item changed, so that it is put into the roster if it was not there, and
    /// pushed to interested resources.
    pub push: bool,
    /// `Some(true)`: send the contact the current presence of every available resource, after the
    /// stanza (§3.1.5). `Some(false)`: send it `unavailable` from them, before the stanza, while
    /// the contact is still subscribed (§3.2.2).
    pub send_presence: Option<bool>,
}

/// What a user's server does with a subscription stanza from a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inbound {
    /// The state afterwards.
    pub next: State,
    /// Whether the stanza goes to the user's resources: a `subscribe` to the available ones (now
    /// or when there is one, §3.1.3), any other to the interested ones, before the push.
    pub deliver: bool,
    /// As for [`Outbound::push`].
    pub push: bool,
    /// What to answer on the user's behalf. An answer is never answered.
    pub reply: Option<Action>,
    /// As for [`Outbound::send_presence`], where the current presence follows the reply.
    pub send_presence: Option<bool>,
}

/// Processes a subscription stanza that the user sends (RFC 6121 §A.2).
pub fn outbound(state: State, action: Action) -> Outbound {
    let state = state.settled();
    let before = Defined::of(state);
    let (route, after) = table::outbound(before, action);
    let next = State {
        approved: match action {
            // §3.4.2: what is granted, or what a request waits for, needs no approval in advance.
            Action::Subscribed => !after.grants(),
            Action::Unsubscribed => false,
            Action::Subscribe | Action::Unsubscribe => state.approved,
        },
        ..after.state()
    };
    Outbound {
        next,
        route,
        push: next.looks_unlike(state),
        send_presence: granted(before, after),
    }
}

/// Processes a subscription stanza that arrives from the contact (RFC 6121 §A.3).
///
/// An `unsubscribe` has no automatic answer, although §A.3.2 says that it should: the sender's
/// server has done all of it when it sent the stanza, and where the sender has changed its mind
/// since, the answer would deny the new request without anybody having refused it.
pub fn inbound(state: State, action: Action) -> Inbound {
    let state = state.settled();
    if action == Action::Subscribe && state.approved {
        return pre_approved(state);
    }
    let before = Defined::of(state);
    let (deliver, after) = table::inbound(before, action);
    let next = State {
        approved: state.approved && !after.waits(),
        ..after.state()
    };
    let repeated = action == Action::Subscribe && before.grants();
    Inbound {
        next,
        deliver,
        push: next.looks_unlike(state),
        reply: repeated.then_some(Action::Subscribed),
        // A contact whose server has forgotten the subscription also lacks the presence.
        send_presence: if repeated {
            Some(true)
        } else {
            granted(before, after)
        },
    }
}

/// Grants a request that the user has approved in advance (§3.4.2): as if it had arrived, and the
/// user had then answered.
fn pre_approved(state: State) -> Inbound {
    let (_, asked) = table::inbound(Defined::of(state), Action::Subscribe);
    let (_, after) = table::outbound(asked, Action::Subscribed);
    Inbound {
        next: after.state(),
        deliver: false,
        push: true,
        reply: Some(Action::Subscribed),
        send_presence: Some(true),
    }
}

/// Whether the contact has begun or ceased to see the user's presence.
fn granted(before: Defined, after: Defined) -> Option<bool> {
    (before.grants() != after.grants()).then_some(after.grants())
}

/// What must be sent to the contact when the user removes the roster item (RFC 6121 §2.5.2), in
/// this order. It also withdraws the user's request and denies the contact's, which would otherwise
/// wait for an answer from nobody.
pub fn remove(state: State) -> Vec<Action> {
    let state = state.settled();
    let mut actions = Vec::new();
    if state.subscription.includes_to() || state.pending_out {
        actions.push(Action::Unsubscribe);
    }
    if state.subscription.includes_from() || state.pending_in {
        actions.push(Action::Unsubscribed);
    }
    actions
}
