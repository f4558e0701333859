//! Checks that messages arrive, once, and in the order in which they were sent.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use serde::Serialize;

/// Missing numbers that one flow remembers. Beyond, a late arrival counts as double; by then the
/// run has failed anyway.
const MAX_GAPS: usize = 100_000;

/// One sender's numbered messages (0, 1, 2, …) as one recipient sees them.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// The number after the highest that arrived.
    next: u64,
    /// Numbers below `next` that have not arrived.
    gaps: BTreeSet<u64>,
    verdict: Verdict,
}

/// What happened to the messages of one flow, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// How many arrived, doubles not counted.
    pub(crate) arrived: u64,
    /// Sent, but did not arrive.
    pub(crate) missing: u64,
    /// Arrived more than once.
    pub(crate) doubled: u64,
    /// Arrived after a later one.
    pub(crate) reordered: u64,
    /// Arrived, but were never sent.
    pub(crate) unknown: u64,
}

impl Flow {
    /// The message with this number arrived. False: not for the first time.
    pub(crate) fn arrived(&mut self, number: u64) -> bool {
        if number >= self.next {
            let room = MAX_GAPS.saturating_sub(self.gaps.len());
            self.gaps.extend((self.next..number).take(room));
            self.next = number + 1;
            self.verdict.arrived += 1;
        } else if self.gaps.remove(&number) {
            self.verdict.arrived += 1;
            self.verdict.reordered += 1;
        } else {
            self.verdict.doubled += 1;
            return false;
        }
        true
    }

    /// How many different messages arrived so far.
    pub(crate) fn count(&self) -> u64 {
        self.verdict.arrived
    }

    /// The verdict, given how many were sent.
    pub(crate) fn finish(&self, sent: u64) -> Verdict {
        let gaps = |numbers| self.gaps.range(numbers).count() as u64;
        let after = sent.max(self.next);
        let unknown = self.next.saturating_sub(sent) - gaps(sent..after);
        // Gaps that were not remembered count as if they had arrived.
        let unknown = unknown.min(self.verdict.arrived);
        Verdict {
            missing: sent.saturating_sub(self.verdict.arrived - unknown),
            unknown,
            ..self.verdict
        }
    }
}

impl Verdict {
    /// Whether everything arrived, once, in order.
    pub(crate) fn is_correct(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.reordered == 0 && self.unknown == 0
    }
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Verdict) {
        self.arrived += other.arrived;
        self.missing += other.missing;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
        self.unknown += other.unknown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(arrivals: &[u64], sent: u64) -> Verdict {
        let mut flow = Flow::default();
        for number in arrivals {
            flow.arrived(*number);
        }
        flow.finish(sent)
    }

    #[test]
    fn a_correct_flow_is_correct() {
        assert!(verdict(&[0, 1, 2, 3], 4).is_correct());
        assert!(verdict(&[], 0).is_correct());
    }

    #[test]
    fn a_missing_message_is_found() {
        let middle = verdict(&[0, 2, 3], 4);
        assert_eq!((middle.missing, middle.arrived), (1, 3));
        assert_eq!(verdict(&[0, 1], 4).missing, 2);
        assert_eq!(verdict(&[], 3).missing, 3);
    }

    #[test]
    fn a_double_is_found() {
        let double = verdict(&[0, 1, 1, 2], 3);
        assert_eq!((double.doubled, double.missing, double.arrived), (1, 0, 3));
        assert_eq!(verdict(&[0, 1, 2, 0], 3).doubled, 1);
        // A double does not make up for a missing one.
        let both = verdict(&[0, 0], 2);
        assert_eq!((both.doubled, both.missing), (1, 1));
    }

    #[test]
    fn a_reordered_message_is_found() {
        let swapped = verdict(&[0, 2, 1, 3], 4);
        let expected = Verdict {
            arrived: 4,
            reordered: 1,
            ..Verdict::default()
        };
        assert_eq!(swapped, expected);
        assert_eq!(verdict(&[0, 2, 1, 1], 3).doubled, 1);
    }

    #[test]
    fn a_message_that_was_never_sent_is_found() {
        let unknown = verdict(&[0, 1, 7], 2);
        assert_eq!((unknown.unknown, unknown.missing), (1, 0));
        assert!(!unknown.is_correct());
        // One that was never sent does not make up for a missing one.
        let both = verdict(&[0, 7], 2);
        assert_eq!((both.unknown, both.missing), (1, 1));
    }
}
