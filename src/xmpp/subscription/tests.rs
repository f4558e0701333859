//! The tables of RFC 6121 Appendix A once more, read from its text, and the laws that two rosters
//! obey which tell each other what the tables say.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// `action`, then for each of the nine states: state, M(UST) or N(OT), new state (`=` no change).
const OUTBOUND: &str = "
    subscribe: n M no, no M =, ni M noi, noi M =, t M =, ti M =, f M fo, fo M =, b M =
    unsubscribe: n M =, no M n, ni M =, noi M ni, t M n, ti M ni, f M =, fo M f, b M f
    subscribed: n N n+, no N no+, ni M f, noi M fo, t N t+, ti M b, f N =, fo N =, b N =
    unsubscribed: n N =, no N =, ni M n, noi M no, t N =, ti M t, f M n, fo M no, b M t
    subscribe: n+ M no+, no+ M =, t+ M =
    unsubscribe: n+ M =, no+ M n+, t+ M n+
    subscribed: n+ N =, no+ N =, t+ N =
    unsubscribed: n+ N n, no+ N no, t+ N t
";
const INBOUND: &str = "
    subscribe: n M ni, no M noi, ni N =, noi N =, t M ti, ti N =, f N =, fo N =, b N =
    unsubscribe: n N =, no N =, ni M n, noi M no, t N =, ti M t, f M n, fo M no, b M t
    subscribed: n N =, no M t, ni N =, noi M ti, t N =, ti N =, f N =, fo M b, b N =
    unsubscribed: n N =, no M n, ni N =, noi M ni, t M n, ti M ni, f N =, fo M f, b M f
    subscribe: n+ N f, no+ N fo, t+ N b
    unsubscribe: n+ N =, no+ N =, t+ N =
    subscribed: n+ N =, no+ M t+, t+ N =
    unsubscribed: n+ N =, no+ M n+, t+ M n+
";
const STATES: [&str; 12] = [
    "n", "no", "ni", "noi", "t", "ti", "f", "fo", "b", "n+", "no+", "t+",
];

/// Subscription by its first letter, then `o` and `i` for what is pending, `+` for pre-approved.
fn state(code: &str) -> State {
    let subscription = match code.as_bytes()[0] {
        b'n' => Subscription::None,
        b't' => Subscription::To,
        b'f' => Subscription::From,
        _ => Subscription::Both,
    };
    let pending_out = code[1..].contains('o');
    let pending_in = code.contains('i');
    State {
        subscription,
        pending_out,
        pending_in,
        approved: code.contains('+'),
    }
}

/// The cells of a table: existing state, action, whether the stanza goes on, new state.
fn cells(table: &str) -> Vec<(State, Action, bool, State)> {
    let mut cells = Vec::new();
    for line in table.lines().filter(|line| !line.trim().is_empty()) {
        let (action, row) = line.trim().split_once(": ").expect("an action");
        for cell in row.split(", ") {
            let parts: Vec<_> = cell.split(' ').collect();
            let next = if parts[2] == "=" { parts[0] } else { parts[2] };
            let action = action.parse().expect("an action");
            cells.push((state(parts[0]), action, parts[1] == "M", state(next)));
        }
    }
    assert_eq!(cells.len(), STATES.len() * Action::ALL.len());
    cells
}

#[test]
fn outbound_is_as_in_the_rfc() {
    for (state, action, route, next) in cells(OUTBOUND) {
        let verdict = outbound(state, action);
        assert_eq!(
            (verdict.route, verdict.next),
            (route, next),
            "{state:?} {action:?}"
        );
    }
}

#[test]
fn inbound_is_as_in_the_rfc() {
    for (state, action, deliver, next) in cells(INBOUND) {
        let verdict = inbound(state, action);
        assert_eq!(
            (verdict.deliver, verdict.next),
            (deliver, next),
            "{state:?} {action:?}"
        );
    }
}

#[test]
fn presence_follows_what_is_granted() {
    for code in STATES {
        for action in Action::ALL {
            let state = state(code);
            let sent = outbound(state, action);
            let granted = sent.next.subscription.includes_from();
            let changed = granted != state.subscription.includes_from();
            assert_eq!(
                sent.send_presence,
                changed.then_some(granted),
                "{code} {action:?}"
            );

            let arrived = inbound(state, action);
            let granted = arrived.next.subscription.includes_from();
            let changed = granted != state.subscription.includes_from();
            let expected = (changed || arrived.reply.is_some()).then_some(granted);
            assert_eq!(arrived.send_presence, expected, "{code} {action:?}");
        }
    }
}

#[test]
fn pushed_when_the_item_looks_different() {
    let look = |state: State| (state.subscription, state.pending_out, state.approved);
    for code in STATES {
        for action in Action::ALL {
            let state = state(code);
            let sent = outbound(state, action);
            assert_eq!(
                sent.push,
                look(sent.next) != look(state),
                "{code} {action:?}"
            );
            let arrived = inbound(state, action);
            assert_eq!(
                arrived.push,
                look(arrived.next) != look(state),
                "{code} {action:?}"
            );
        }
    }
}

#[test]
fn only_a_subscribe_is_answered_and_only_where_it_is_granted() {
    for code in STATES {
        for action in Action::ALL {
            let verdict = inbound(state(code), action);
            let granted = action == Action::Subscribe
                && matches!(code, "f" | "fo" | "b" | "n+" | "no+" | "t+");
            assert_eq!(
                verdict.reply,
                granted.then_some(Action::Subscribed),
                "{code} {action:?}"
            );
            assert!(!granted || verdict.next.subscription.includes_from());
        }
    }
}

#[test]
fn saying_it_twice_changes_nothing() {
    for code in STATES {
        for action in Action::ALL {
            let once = outbound(state(code), action).next;
            let twice = outbound(once, action);
            assert_eq!(
                (twice.next, twice.push, twice.send_presence),
                (once, false, None)
            );

            let once = inbound(state(code), action).next;
            let twice = inbound(once, action);
            assert_eq!(
                (twice.next, twice.push, twice.deliver),
                (once, false, false)
            );
        }
    }
}

#[test]
fn removal_says_what_ends_everything() {
    for (code, said) in [
        ("n", ""),
        ("no", "unsubscribe"),
        ("ni", "unsubscribed"),
        ("noi", "unsubscribe unsubscribed"),
        ("t", "unsubscribe"),
        ("ti", "unsubscribe unsubscribed"),
        ("f", "unsubscribed"),
        ("fo", "unsubscribe unsubscribed"),
        ("b", "unsubscribe unsubscribed"),
        ("n+", ""),
        ("no+", "unsubscribe"),
        ("t+", "unsubscribe"),
    ] {
        let actions = remove(state(code));
        let names: Vec<_> = actions.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.join(" "), said, "{code}");
        let mut left = state(code);
        for action in actions {
            let verdict = outbound(left, action);
            assert!(verdict.route, "{code} {action:?}");
            left = verdict.next;
        }
        assert_eq!(
            State {
                approved: false,
                ..left
            },
            State::default(),
            "{code}"
        );
    }
}

#[test]
fn names_are_those_of_the_attributes() {
    for name in ["none", "to", "from", "both"] {
        assert_eq!(
            name.parse::<Subscription>().map(Subscription::as_str),
            Ok(name)
        );
    }
    for name in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
        assert_eq!(name.parse::<Action>().map(Action::as_str), Ok(name));
    }
    assert_eq!("remove".parse::<Subscription>(), Err(UnknownName));
    assert_eq!("probe".parse::<Action>(), Err(UnknownName));
}

/// Two users with each other in their rosters, and what is on its way to each.
#[derive(Debug, Default)]
struct World {
    states: [State; 2],
    on_the_way_to: [VecDeque<Action>; 2],
    sent: usize,
    arrived: usize,
}

impl World {
    fn send(&mut self, who: usize, action: Action) {
        let verdict = outbound(self.states[who], action);
        self.states[who] = verdict.next;
        if verdict.route {
            self.sent += 1;
            self.on_the_way_to[1 - who].push_back(action);
        }
    }

    /// Removes the item and with it all that the server knows of the contact.
    fn remove(&mut self, who: usize) {
        let actions = remove(self.states[who]);
        self.sent += actions.len();
        self.on_the_way_to[1 - who].extend(actions);
        self.states[who] = State::default();
    }

    fn arrive(&mut self, who: usize) {
        let Some(action) = self.on_the_way_to[who].pop_front() else {
            return;
        };
        self.arrived += 1;
        let verdict = inbound(self.states[who], action);
        self.states[who] = verdict.next;
        self.on_the_way_to[1 - who].extend(verdict.reply);
    }

    /// Lets everything arrive. A stanza may be answered, an answer may not.
    fn settle(&mut self) {
        while self.on_the_way_to.iter().any(|queue| !queue.is_empty()) {
            assert!(self.arrived <= 2 * self.sent, "answers are answered");
            self.arrive(0);
            self.arrive(1);
        }
    }

    /// Whether both sides say the same about what `who` sees of the other.
    fn agrees(&self, who: usize) -> bool {
        let (mine, other) = (self.states[who], self.states[1 - who]);
        mine.subscription.includes_to() == other.subscription.includes_from()
            && mine.pending_out == other.pending_in
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send(usize, Action),
    Remove(usize),
    Arrive(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize, 0..4_usize).prop_map(|(who, action)| Step::Send(who, Action::ALL[action])),
        1 => (0..2_usize).prop_map(Step::Remove),
        4 => (0..2_usize).prop_map(Step::Arrive),
    ]
}

fn walk(steps: &[Step]) -> World {
    let mut world = World::default();
    for &step in steps {
        match step {
            Step::Send(who, action) => world.send(who, action),
            Step::Remove(who) => world.remove(who),
            Step::Arrive(who) => world.arrive(who),
        }
    }
    world
}

proptest! {
    #[test]
    fn two_rosters_agree_when_nothing_crosses(steps in proptest::collection::vec(step(), 0..60)) {
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Send(who, action) => world.send(who, action),
                Step::Remove(who) => world.remove(who),
                Step::Arrive(_) => {}
            }
            world.settle();
            prop_assert!(world.agrees(0) && world.agrees(1), "{world:?}");
        }
    }

    /// Where stanzas cross, the RFC lets rosters disagree; an `unsubscribe` always mends it.
    #[test]
    fn starting_over_mends_what_crossed(steps in proptest::collection::vec(step(), 0..60)) {
        let mut world = walk(&steps);
        world.settle();
        for who in 0..2 {
            world.send(who, Action::Unsubscribe);
            world.settle();
            prop_assert!(world.agrees(who), "{world:?}");
            world.send(who, Action::Subscribe);
            world.settle();
            prop_assert!(world.agrees(who), "{world:?}");
        }
        prop_assert!(world.agrees(0) && world.agrees(1), "{world:?}");
    }

    /// One who asks and withdraws faster than the other side hears of it loses nothing. An automatic
    /// `unsubscribed` in answer to `unsubscribe` would break this law.
    #[test]
    fn changing_ones_mind_is_safe(
        subscribed in any::<bool>(),
        steps in proptest::collection::vec(any::<Option<bool>>(), 0..40),
    ) {
        let mut world = World::default();
        if subscribed {
            world.send(0, Action::Subscribe);
            world.settle();
            world.send(1, Action::Subscribed);
            world.settle();
        }
        for step in steps {
            match step {
                None => world.arrive(1),
                Some(true) if !world.states[0].subscription.includes_to() => {
                    world.send(0, Action::Subscribe);
                }
                Some(_) => world.send(0, Action::Unsubscribe),
            }
        }
        world.settle();
        prop_assert!(world.agrees(0), "{world:?}");
    }

    #[test]
    fn any_value_is_settled_without_granting_more(
        which in 0..4_usize,
        (pending_out, pending_in, approved) in any::<(bool, bool, bool)>(),
        action in 0..4_usize,
    ) {
        let subscription = [Subscription::None, Subscription::To, Subscription::From, Subscription::Both][which];
        let state = State { subscription, pending_out, pending_in, approved };
        let settled = state.settled();
        prop_assert!(STATES.iter().any(|code| self::state(code) == settled));
        prop_assert_eq!(settled.subscription, subscription);
        prop_assert!(settled.approved <= approved && settled.pending_out <= pending_out);
        prop_assert_eq!(settled.settled(), settled);
        let action = Action::ALL[action];
        prop_assert_eq!(outbound(state, action), outbound(settled, action));
        prop_assert_eq!(inbound(state, action), inbound(settled, action));
        prop_assert_eq!(remove(state), remove(settled));
    }
}
