//! One timer for all sessions: a wheel of seconds. A session that wants to be woken puts itself
//! into a slot; no session has a timer of its own.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use waxwing_core::Session;
use waxwing_core::clock::Clock;

/// Seconds that can be waited at most; longer waits wake early and are renewed.
const SLOTS: usize = 128;

/// See the [module](self).
pub struct Wheel {
    slots: Vec<Mutex<Vec<Weak<Session>>>>,
    clock: Arc<dyn Clock>,
}

impl Wheel {
    /// An empty wheel.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Wheel {
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
            clock,
        }
    }

    /// Wakes the session's owner after `wait`, at most a second late. Returns when, in seconds of
    /// the monotonic clock.
    pub fn wake_after(&self, session: &Arc<Session>, wait: Duration) -> u64 {
        let now = self.clock.elapsed().as_secs();
        let at = now + wait.as_secs().clamp(1, SLOTS as u64 - 2) + 1;
        self.slot(at).lock().push(Arc::downgrade(session));
        at
    }

    fn slot(&self, second: u64) -> &Mutex<Vec<Weak<Session>>> {
        &self.slots[usize::try_from(second).unwrap_or(0) % SLOTS]
    }

    /// Turns the wheel for ever.
    pub async fn turn(&self) {
        let mut done = self.clock.elapsed().as_secs();
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            let now = self.clock.elapsed().as_secs();
            // After a pause of the machine every slot is looked at once.
            let from = (done + 1).max(now.saturating_sub(SLOTS as u64 - 1));
            for second in from..=now {
                let due = std::mem::take(&mut *self.slot(second).lock());
                for session in due.iter().filter_map(Weak::upgrade) {
                    session.outbox.tick();
                }
            }
            done = now;
        }
    }
}
