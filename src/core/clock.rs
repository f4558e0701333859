//! The ports for time, identifiers and randomness: tests set them, everything else asks them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment `days` before this one.
    #[must_use]
    pub fn days_before(self, days: u32) -> Timestamp {
        Timestamp(self.0 - i64::from(days) * 86_400_000)
    }

    /// The moment `days` after this one.
    #[must_use]
    pub fn days_after(self, days: u32) -> Timestamp {
        Timestamp(self.0 + i64::from(days) * 86_400_000)
    }

    /// XEP-0082 form with milliseconds: `2002-09-10T23:08:25.000Z`.
    #[must_use]
    pub fn to_xep_0082(self) -> String {
        let (days, in_day) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let (seconds, millis) = (in_day / 1000, in_day % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// Gregorian date of a day number counted from 1970-01-01, by eras of 400 years from 0000-03-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since the clock was made; never goes back.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock, as of its last tick: some milliseconds late, and several times cheaper to
/// read than the exact one. It is read for every stanza, and nothing here is timed more closely.
pub struct SystemClock(Duration);

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock(read(ClockId::MonotonicCoarse))
    }
}

fn read(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    // Neither clock is negative, before or after 1970.
    let seconds = u64::try_from(tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(tv_nsec).unwrap_or_default())
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = read(ClockId::RealtimeCoarse);
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        read(ClockId::MonotonicCoarse).saturating_sub(self.0)
    }
}

/// Where identifiers and random bytes come from.
pub trait Ids: Send + Sync {
    /// Fills `out` with bytes nobody can guess.
    fn random(&self, out: &mut [u8]);

    /// A number that no other call in this process returns.
    fn serial(&self) -> u64;

    /// 128 random bits as lower-case hexadecimal: stream ids, resources, nonces.
    fn token(&self) -> String {
        let mut bytes = [0; 16];
        self.random(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The operating system's generator.
#[derive(Default)]
pub struct SystemIds(AtomicU64);

impl Ids for SystemIds {
    fn random(&self, out: &mut [u8]) {
        // Without randomness no nonce, token or salt is safe: going on would be worse.
        getrandom::fill(out).expect("the operating system gives random bytes");
    }

    fn serial(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_written_as_xep_0082_says() {
        assert_eq!(Timestamp(0).to_xep_0082(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp(1_031_699_305_000).to_xep_0082(),
            "2002-09-10T23:08:25.000Z"
        );
        assert_eq!(
            Timestamp(951_782_400_123).to_xep_0082(),
            "2000-02-29T00:00:00.123Z"
        );
        assert_eq!(Timestamp(-1).to_xep_0082(), "1969-12-31T23:59:59.999Z");
    }
}
