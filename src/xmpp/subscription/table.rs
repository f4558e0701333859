//! The tables of RFC 6121 Appendix A, row by row.

use super::{Action, State, Subscription};
use Defined::{Both, From, FromOut, None, NoneIn, NoneOut, NoneOutIn, To, ToIn};

/// The nine states of RFC 6121 §A.1, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defined {
    None,
    NoneOut,
    NoneIn,
    NoneOutIn,
    To,
    ToIn,
    From,
    FromOut,
    Both,
}

impl Defined {
    /// The defined state of a settled one.
    pub(super) fn of(state: State) -> Self {
        match (state.subscription, state.pending_out, state.pending_in) {
            (Subscription::None, false, false) => None,
            (Subscription::None, true, false) => NoneOut,
            (Subscription::None, false, true) => NoneIn,
            (Subscription::None, true, true) => NoneOutIn,
            (Subscription::To, _, false) => To,
            (Subscription::To, _, true) => ToIn,
            (Subscription::From, false, _) => From,
            (Subscription::From, true, _) => FromOut,
            (Subscription::Both, _, _) => Both,
        }
    }

    /// The state, without a pre-approval.
    pub(super) fn state(self) -> State {
        let subscription = match self {
            None | NoneOut | NoneIn | NoneOutIn => Subscription::None,
            To | ToIn => Subscription::To,
            From | FromOut => Subscription::From,
            Both => Subscription::Both,
        };
        State {
            subscription,
            pending_out: matches!(self, NoneOut | NoneOutIn | FromOut),
            pending_in: self.waits(),
            approved: false,
        }
    }

    /// Whether the contact sees the user's presence.
    pub(super) fn grants(self) -> bool {
        matches!(self, From | FromOut | Both)
    }

    /// Whether the contact waits for an answer.
    pub(super) fn waits(self) -> bool {
        matches!(self, NoneIn | NoneOutIn | ToIn)
    }
}

/// Whether an outbound stanza is routed to the contact, and the state afterwards.
pub(super) fn outbound(state: Defined, action: Action) -> (bool, Defined) {
    let table = match action {
        Action::Subscribe => &OUTBOUND_SUBSCRIBE,
        Action::Unsubscribe => &OUTBOUND_UNSUBSCRIBE,
        Action::Subscribed => &OUTBOUND_SUBSCRIBED,
        Action::Unsubscribed => &OUTBOUND_UNSUBSCRIBED,
    };
    look_up(table, state)
}

/// Whether an inbound stanza is delivered to the user, and the state afterwards.
pub(super) fn inbound(state: Defined, action: Action) -> (bool, Defined) {
    let table = match action {
        Action::Subscribe => &INBOUND_SUBSCRIBE,
        Action::Unsubscribe => &INBOUND_UNSUBSCRIBE,
        Action::Subscribed => &INBOUND_SUBSCRIBED,
        Action::Unsubscribed => &INBOUND_UNSUBSCRIBED,
    };
    look_up(table, state)
}

/// The existing state, whether the stanza goes on, and the new state.
type Table = [(Defined, bool, Defined); 9];

fn look_up(table: &Table, state: Defined) -> (bool, Defined) {
    let (_, goes_on, next) = table[state as usize];
    (goes_on, next)
}

/// "MUST" in the RFC.
const YES: bool = true;
/// "MUST NOT" or "SHOULD NOT" in the RFC.
const NO: bool = false;

/// Table 2.
const OUTBOUND_SUBSCRIBE: Table = [
    (None, YES, NoneOut),
    (NoneOut, YES, NoneOut),
    (NoneIn, YES, NoneOutIn),
    (NoneOutIn, YES, NoneOutIn),
    (To, YES, To),
    (ToIn, YES, ToIn),
    (From, YES, FromOut),
    (FromOut, YES, FromOut),
    (Both, YES, Both),
];

/// Table 3.
const OUTBOUND_UNSUBSCRIBE: Table = [
    (None, YES, None),
    (NoneOut, YES, None),
    (NoneIn, YES, NoneIn),
    (NoneOutIn, YES, NoneIn),
    (To, YES, None),
    (ToIn, YES, NoneIn),
    (From, YES, From),
    (FromOut, YES, From),
    (Both, YES, From),
];

/// Table 4. `None`, `NoneOut` and `To` become pre-approved.
const OUTBOUND_SUBSCRIBED: Table = [
    (None, NO, None),
    (NoneOut, NO, NoneOut),
    (NoneIn, YES, From),
    (NoneOutIn, YES, FromOut),
    (To, NO, To),
    (ToIn, YES, Both),
    (From, NO, From),
    (FromOut, NO, FromOut),
    (Both, NO, Both),
];

/// Table 5. `None`, `NoneOut` and `To` lose their pre-approval.
const OUTBOUND_UNSUBSCRIBED: Table = [
    (None, NO, None),
    (NoneOut, NO, NoneOut),
    (NoneIn, YES, None),
    (NoneOutIn, YES, NoneOut),
    (To, NO, To),
    (ToIn, YES, To),
    (From, YES, None),
    (FromOut, YES, NoneOut),
    (Both, YES, To),
];

/// Table 6. `From`, `FromOut` and `Both` are answered with `subscribed`.
const INBOUND_SUBSCRIBE: Table = [
    (None, YES, NoneIn),
    (NoneOut, YES, NoneOutIn),
    (NoneIn, NO, NoneIn),
    (NoneOutIn, NO, NoneOutIn),
    (To, YES, ToIn),
    (ToIn, NO, ToIn),
    (From, NO, From),
    (FromOut, NO, FromOut),
    (Both, NO, Both),
];

/// Table 7.
const INBOUND_UNSUBSCRIBE: Table = [
    (None, NO, None),
    (NoneOut, NO, NoneOut),
    (NoneIn, YES, None),
    (NoneOutIn, YES, NoneOut),
    (To, NO, To),
    (ToIn, YES, To),
    (From, YES, None),
    (FromOut, YES, NoneOut),
    (Both, YES, To),
];

/// Table 8.
const INBOUND_SUBSCRIBED: Table = [
    (None, NO, None),
    (NoneOut, YES, To),
    (NoneIn, NO, NoneIn),
    (NoneOutIn, YES, ToIn),
    (To, NO, To),
    (ToIn, NO, ToIn),
    (From, NO, From),
    (FromOut, YES, Both),
    (Both, NO, Both),
];

/// Table 9.
const INBOUND_UNSUBSCRIBED: Table = [
    (None, NO, None),
    (NoneOut, YES, None),
    (NoneIn, NO, NoneIn),
    (NoneOutIn, YES, NoneIn),
    (To, YES, None),
    (ToIn, YES, NoneIn),
    (From, NO, From),
    (FromOut, YES, From),
    (Both, YES, From),
];
