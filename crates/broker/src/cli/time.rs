//! Points in time on the command line: milliseconds, ISO-8601, or how long ago.

use std::time::{SystemTime, UNIX_EPOCH};

use vltava_core::config::duration::parse_iso;
use vltava_core::id::Timestamp;

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// A point in time: milliseconds since 1970, `2024-05-01T12:00:00Z` (fractions and offsets allowed, the time may be left
/// out), or how long ago as `10m`, `2h`, `3d`, `PT1H`.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let point = text.parse().ok().map(Timestamp).or_else(|| date_time(text)).or_else(|| ago(text, now));
    point.ok_or_else(|| {
        format!("{text:?} is no time; write milliseconds since 1970, 2024-05-01T12:00:00Z, or how long ago such as 10m, 2h or 3d")
    })
}

/// A length of time in milliseconds: `10s`, `5m`, `2h`, `3d`, or ISO-8601.
pub fn parse_length(text: &str) -> Option<i64> {
    if let Some(milliseconds) = parse_iso(text) {
        return Some(milliseconds);
    }
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let scale = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(scale)
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    parse_length(text).filter(|length| *length >= 0).map(|length| now.plus(-length))
}

fn date_time(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00Z"),
    };
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let days = days_from_civil(parts.next()??, parts.next()??, parts.next()??)?;
    let (clock, offset) = offset(time)?;
    let milliseconds = clock_time(clock)?;
    Some(Timestamp(days.checked_mul(86_400_000)?.checked_add(milliseconds)?.checked_sub(offset)?))
}

/// Splits `12:00:00+02:00` into the time and its offset from UTC in milliseconds. Without one it is UTC.
fn offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (clock, zone) = time.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let minutes = match digits.len() {
        2 => digits.parse::<i64>().ok()? * 60,
        4 => digits.parse::<i64>().ok().map(|hhmm| hhmm / 100 * 60 + hhmm % 100)?,
        _ => return None,
    };
    Some((clock, sign * minutes * 60_000))
}

fn clock_time(clock: &str) -> Option<i64> {
    let mut parts = clock.splitn(3, ':');
    let hours: i64 = parts.next()?.parse().ok().filter(|hours| (0..24).contains(hours))?;
    let minutes: i64 = parts.next()?.parse().ok().filter(|minutes| (0..60).contains(minutes))?;
    let seconds: f64 =
        parts.next().unwrap_or("0").parse().ok().filter(|seconds| (0.0..61.0).contains(seconds))?;
    Some((hours * 60 + minutes) * 60_000 + (seconds * 1000.0).round() as i64)
}

/// Days since 1970-01-01 of a date in the Gregorian calendar (Howard Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// A point in time as ISO-8601 in UTC with milliseconds; `-` for none.
pub fn show(timestamp: Timestamp) -> String {
    if timestamp.0 < 0 {
        return "-".to_owned();
    }
    let (days, rest) = (timestamp.0.div_euclid(86_400_000), timestamp.0.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", rest % 1000)
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}
