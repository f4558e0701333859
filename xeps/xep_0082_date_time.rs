//! XEP-0082: XMPP Date and Time Profiles (version 1.1.1)
//!
//! Supported: the profile for a moment, read in any time zone and written in UTC.

/// Milliseconds since 1970 of a moment as §3.2 writes it; what is finer is cut off. `None`: it is
/// no such text.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let (whole, fraction) = split(text)?;
    Some(whole + fraction.map_or(Some(0), millis)?)
}

/// The same rounded up: the first whole millisecond that is not before the moment.
#[must_use]
pub fn parse_up(text: &str) -> Option<i64> {
    let (_, fraction) = split(text)?;
    let finer = fraction.and_then(|fraction| fraction.as_bytes().get(3..));
    let is_between = finer.is_some_and(|finer| finer.iter().any(|digit| *digit != b'0'));
    Some(parse(text)? + i64::from(is_between))
}

/// Milliseconds up to the last whole second, and the digits after it.
fn split(text: &str) -> Option<(i64, Option<&str>)> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, zone) = time.split_at(time.find(['Z', '+', '-'])?);
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, Some(fraction)),
        None => (time, None),
    };
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    // A leap second counts as the one before it.
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second.min(59) - offset(zone)?;
    Some((seconds * 1000, fraction))
}

/// Numbers of exactly so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (found, digits) in found.iter_mut().zip(digits) {
        *found = number(parts.next()?, digits)?;
    }
    parts.next().is_none().then_some(found)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' => return (zone.len() == 1).then_some(0),
        b'+' => 1,
        _ => -1,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn millis(fraction: &str) -> Option<i64> {
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && !fraction.is_empty();
    let first = fraction.bytes().chain(*b"00").take(3);
    digits.then(|| first.fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

/// The day number, counted from 1970-01-01, of a Gregorian date; `None`: there is no such day.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // By years that begin in March, so that the leap day is their last.
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use waxwing_core::clock::Timestamp;

    use super::*;

    #[test]
    fn moments_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            // §4, the examples.
            ("1969-07-21T02:56:15Z", Some(-14_159_025_000)),
            ("1969-07-20T21:56:15-05:00", Some(-14_159_025_000)),
            ("2000-02-29T23:59:59.9Z", Some(951_868_799_900)),
            ("2000-03-01T00:00:00.1239+00:30", Some(951_867_000_123)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799_000)),
            ("1900-02-29T00:00:00Z", None),
            ("2001-02-29T00:00:00Z", None),
            ("2001-00-01T00:00:00Z", None),
            ("2001-13-01T00:00:00Z", None),
            ("2001-01-01T24:00:00Z", None),
            ("2001-01-01T00:60:00Z", None),
            ("2001-01-01T00:00:00", None),
            ("2001-01-01T00:00:00.Z", None),
            ("2001-01-01T00:00:00Zx", None),
            ("2001-01-01T00:00:00+1:00", None),
            ("2001-01-01T00:00:00+24:00", None),
            ("2001-01-01", None),
            ("+200-01-01T00:00:00Z", None),
            ("", None),
            ("TZ", None),
            ("ÄTÄZ", None),
            ("2001-01-01T00:00:00+é:00", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_finer_than_a_millisecond_is_rounded() {
        for (fraction, down, up) in [
            ("", 0, 0),
            (".1", 100, 100),
            (".123", 123, 123),
            (".123000", 123, 123),
            (".1230001", 123, 124),
            (".9999", 999, 1000),
        ] {
            let text = format!("1970-01-01T00:00:00{fraction}Z");
            assert_eq!((parse(&text), parse_up(&text)), (Some(down), Some(up)));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in 0_i64..253_402_300_800_000) {
            prop_assert_eq!(parse(&Timestamp(millis).to_xep_0082()), Some(millis));
        }

        #[test]
        fn any_text_is_borne(text in "\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}
