//! ISO-8601 durations, as `by_duration:` and the command line take them.

/// The milliseconds of a duration of days, hours, minutes and seconds such as `P1DT2H3M4.5S`; `None` when it is not one.
/// Months and years are refused, for their length is not fixed.
#[must_use]
pub fn parse_iso(text: &str) -> Option<i64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = rest.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let total = sum(days, &[('D', 86_400_000)])?
        .checked_add(sum(time, &[('H', 3_600_000), ('M', 60_000), ('S', 1_000)])?)?;
    Some(if negative { -total } else { total })
}

/// Adds up numbers followed by units, which must stand in the given order.
fn sum(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0i64;
    for (unit, milliseconds) in units {
        let Some(end) = text.find([*unit, unit.to_ascii_lowercase()]) else { continue };
        let (number, rest) = text.split_at(end);
        total = total.checked_add(scaled(number, *milliseconds, *unit == 'S')?)?;
        text = rest.get(1..)?;
    }
    text.is_empty().then_some(total)
}

fn scaled(number: &str, milliseconds: i64, fraction_allowed: bool) -> Option<i64> {
    match number.split_once('.') {
        None => number.parse::<i64>().ok()?.checked_mul(milliseconds),
        Some((whole, fraction)) if fraction_allowed && !fraction.is_empty() && fraction.len() <= 9 => {
            let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
            let thousandths =
                fraction.chars().all(|c| c.is_ascii_digit()).then(|| digits.parse::<i64>().ok())??;
            let whole = whole.parse::<i64>().ok()?;
            whole.checked_mul(milliseconds)?.checked_add(if whole < 0 { -thousandths } else { thousandths })
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_iso;

    #[test]
    fn durations_are_read_as_iso_8601_writes_them() {
        for (text, milliseconds) in [
            ("PT1H", Some(3_600_000)),
            ("P1DT2H3M4.5S", Some(93_784_500)),
            ("P2D", Some(172_800_000)),
            ("-PT1S", Some(-1_000)),
            ("PT0.001S", Some(1)),
            ("pt1m", Some(60_000)),
            ("P", None),
            ("PT", None),
            ("P1M", None),
            ("PT1H1H", None),
            ("1h", None),
            ("PT1.5H", None),
            ("PT9223372036854775807H", None),
        ] {
            assert_eq!(parse_iso(text), milliseconds, "{text}");
        }
    }
}
