//! What a stranger or a client in a hurry may use up: connections per address, failed logins per
//! address and account, stanzas and bytes per second.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use waxwing_core::network::network;

/// Addresses or accounts whose failures are remembered; beyond, all are forgotten at once.
const MAX_REMEMBERED: usize = 100_000;
/// The longest that the answer to a failed login is held back.
const MAX_BACK_OFF: Duration = Duration::from_secs(4);

/// Counts open connections by address; an IPv6 network of 64 bits is one address.
#[derive(Default)]
pub struct Connections(Mutex<HashMap<IpAddr, usize>>);

/// A place among the connections of an address; given back when dropped.
pub struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// A place for one more connection, or `None` beyond `limit`.
    pub fn admit(self: &Arc<Self>, peer: IpAddr, limit: usize) -> Option<Place> {
        let address = network(peer);
        let mut open = self.0.lock();
        let count = open.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place {
            connections: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Failed logins, by address and by account.
#[derive(Default)]
pub struct Failures {
    addresses: Mutex<HashMap<IpAddr, Failed>>,
    accounts: Mutex<HashMap<String, Failed>>,
}

#[derive(Clone, Copy)]
struct Failed {
    count: u32,
    since: Duration,
}

impl Failures {
    /// Whether an address failed `limit` times within `window` and is refused for now.
    pub fn refused(&self, peer: IpAddr, now: Duration, limit: u32, window: Duration) -> bool {
        let addresses = self.addresses.lock();
        let known = addresses.get(&network(peer));
        known.is_some_and(|failed| {
            failed.count >= limit && now.saturating_sub(failed.since) < window
        })
    }

    /// Notes a failure. Returns how long its answer is to be held back; the same for an account
    /// that exists and one that does not.
    pub fn failed(&self, peer: IpAddr, account: &str, now: Duration, window: Duration) -> Duration {
        let by_address = note(&mut self.addresses.lock(), network(peer), now, window);
        let by_account = note(&mut self.accounts.lock(), account.to_owned(), now, window);
        back_off(by_address.max(by_account))
    }

    /// Forgets the failures of an account that logged in. Its address's stay: another account's
    /// owner must not wipe out the traces of guessing.
    pub fn succeeded(&self, account: &str) {
        self.accounts.lock().remove(account);
    }
}

fn note<K: Hash + Eq>(
    known: &mut HashMap<K, Failed>,
    key: K,
    now: Duration,
    window: Duration,
) -> u32 {
    if known.len() >= MAX_REMEMBERED {
        known.retain(|_, failed| now.saturating_sub(failed.since) < window);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
    }
    let failed = known.entry(key).or_insert(Failed {
        count: 0,
        since: now,
    });
    if now.saturating_sub(failed.since) >= window {
        *failed = Failed {
            count: 0,
            since: now,
        };
    }
    failed.count += 1;
    failed.count
}

/// Nothing for a slip of the finger, then twice as long each time.
fn back_off(failures: u32) -> Duration {
    match failures {
        0..=2 => Duration::ZERO,
        more => (Duration::from_millis(50) * 2u32.pow((more - 2).min(10))).min(MAX_BACK_OFF),
    }
}

/// A bucket that refills steadily: what is taken beyond it must be waited for.
#[derive(Clone, Copy)]
pub struct Bucket {
    level: f64,
    filled: Duration,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(burst: u32, now: Duration) -> Self {
        Bucket {
            level: f64::from(burst),
            filled: now,
        }
    }

    /// Takes `amount`; returns how long to wait before going on. Rate per second.
    pub fn take(&mut self, amount: usize, rate: u32, burst: u32, now: Duration) -> Duration {
        let rate = f64::from(rate.max(1));
        let refill = now.saturating_sub(self.filled).as_secs_f64() * rate;
        self.level = (self.level + refill).min(f64::from(burst));
        self.filled = now;
        // Amounts are bytes of one read: far below the precision of f64.
        #[allow(clippy::cast_precision_loss)]
        let amount = amount as f64;
        self.level -= amount;
        if self.level >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.level / rate)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn connections_are_counted_by_network_and_given_back() {
        let connections = Arc::new(Connections::default());
        let (one, other) = (
            "2001:db8::1".parse().unwrap(),
            "2001:db8::2".parse().unwrap(),
        );
        let first = connections.admit(one, 2).unwrap();
        let _second = connections.admit(other, 2).unwrap();
        assert!(connections.admit(one, 2).is_none());
        drop(first);
        assert!(connections.admit(other, 2).is_some());
    }

    #[test]
    fn failures_slow_down_and_then_refuse_until_the_window_is_over() {
        let failures = Failures::default();
        let peer = "192.0.2.1".parse().unwrap();
        assert_eq!(
            failures.failed(peer, "a@b", SECOND, SECOND * 60),
            Duration::ZERO
        );
        assert_eq!(
            failures.failed(peer, "a@b", SECOND, SECOND * 60),
            Duration::ZERO
        );
        let third = failures.failed(peer, "a@b", SECOND, SECOND * 60);
        let fourth = failures.failed(peer, "unknown@b", SECOND, SECOND * 60);
        assert!(third > Duration::ZERO && fourth > third);
        assert!(failures.refused(peer, SECOND * 2, 4, SECOND * 60));
        assert!(!failures.refused(peer, SECOND * 62, 4, SECOND * 60));
        assert!((0..100).map(back_off).all(|wait| wait <= MAX_BACK_OFF));
    }

    #[test]
    fn a_bucket_lets_bursts_through_and_then_only_its_rate() {
        let mut bucket = Bucket::full(100, SECOND);
        assert_eq!(bucket.take(100, 10, 100, SECOND), Duration::ZERO);
        assert_eq!(bucket.take(10, 10, 100, SECOND), SECOND);
        assert_eq!(bucket.take(0, 10, 100, SECOND * 2), Duration::ZERO);
        assert_eq!(bucket.take(100, 10, 100, SECOND * 100), Duration::ZERO);
    }
}
