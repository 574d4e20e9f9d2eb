//! Numbers of JSON as decimals: compared and printed exactly, however they are written.

use std::cmp::Ordering;
use std::fmt;

/// The largest exponent, either way, that a number may be written with, and that it may have when it is written with one digit
/// before the point.
pub(super) const EXPONENT_MAX: i64 = 9_999;

/// The longest dividend or divisor, in digits, whose divisibility is worked out.
const DIGITS_MAX: usize = 10_000;

/// A number: `digits` × 10 ^ `exponent`, without zeros at either end; no digits are zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number in JSON's grammar; `None` when its exponent is beyond [`EXPONENT_MAX`] or it is no number.
    pub(super) fn read(text: &str) -> Option<Decimal> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        if exponent.abs() > EXPONENT_MAX {
            return None;
        }
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let mut digits = format!("{whole}{fraction}");
        let mut exponent = exponent - fraction.len() as i64;
        while digits.ends_with('0') {
            digits.pop();
            exponent += 1;
        }
        let digits = digits.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, exponent: 0 });
        }
        let number = Decimal { negative, digits, exponent };
        // What is read can be written with its first digit before the point, and that can be read again.
        ((number.order() - 1).abs() <= EXPONENT_MAX).then_some(number)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The place of the first digit: the number is 0.`digits` × 10 ^ `order`.
    fn order(&self) -> i64 {
        self.exponent + self.digits.len() as i64
    }

    fn magnitude(&self, other: &Decimal) -> Ordering {
        self.order().cmp(&other.order()).then_with(|| self.digits.cmp(&other.digits))
    }

    /// The number as a length or a count; one that is too large is the largest, one that is none has no value.
    pub(super) fn count(&self) -> Option<u64> {
        if self.negative || self.exponent < 0 {
            return None;
        }
        let zeros = usize::try_from(self.exponent).ok()?;
        if self.digits.len() + zeros > 19 {
            return Some(u64::MAX);
        }
        format!("0{}{}", self.digits, "0".repeat(zeros)).parse().ok()
    }

    /// Whether `self` is a whole multiple of `divisor`; `None` when the numbers are too long to tell.
    pub(super) fn is_multiple_of(&self, divisor: &Decimal) -> Option<bool> {
        if self.is_zero() {
            return Some(true);
        }
        if divisor.is_zero() {
            return Some(false);
        }
        let common = self.exponent.min(divisor.exponent);
        let dividend_zeros = usize::try_from(self.exponent - common).ok()?;
        let divisor_zeros = usize::try_from(divisor.exponent - common).ok()?;
        if self.digits.len() + dividend_zeros > DIGITS_MAX || divisor.digits.len() + divisor_zeros > 18 {
            return None;
        }
        let divisor: u128 = format!("{}{}", divisor.digits, "0".repeat(divisor_zeros)).parse().ok()?;
        let digits = self.digits.bytes().chain(std::iter::repeat_n(b'0', dividend_zeros));
        Some(digits.fold(0u128, |rest, digit| (rest * 10 + u128::from(digit - b'0')) % divisor) == 0)
    }

    /// The one way to write the number: plain near one, otherwise with an exponent.
    pub(super) fn text(&self) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        let sign = if self.negative { "-" } else { "" };
        let (digits, order) = (&self.digits, self.order());
        let length = digits.len() as i64;
        if (length..=21).contains(&order) {
            let zeros = usize::try_from(order - length).unwrap_or(0);
            return format!("{sign}{digits}{}", "0".repeat(zeros));
        }
        if order > 0 && order < length {
            let (whole, fraction) = digits.split_at(usize::try_from(order).unwrap_or(0));
            return format!("{sign}{whole}.{fraction}");
        }
        if (-5..=0).contains(&order) {
            let zeros = usize::try_from(-order).unwrap_or(0);
            return format!("{sign}0.{}{digits}", "0".repeat(zeros));
        }
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        format!("{sign}{first}{point}{rest}e{}", order - 1)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text())
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return if other.negative { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if self.negative { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        match (self.negative, other.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Decimal {
        Decimal::read(text).expect("a number")
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        for (text, expected) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("1.0", "1"),
            ("10", "10"),
            ("1e2", "100"),
            ("1E+2", "100"),
            ("0.50", "0.5"),
            ("5e-1", "0.5"),
            ("-12.340", "-12.34"),
            ("0.000001", "0.000001"),
            ("0.00000001", "1e-8"),
            ("123456789012345678901", "123456789012345678901"),
            ("1e21", "1e21"),
            ("12e30", "1.2e31"),
            ("1e20", "100000000000000000000"),
        ] {
            assert_eq!(read(text).text(), expected, "{text}");
            assert_eq!(read(expected), read(text), "{text}");
        }
    }

    #[test]
    fn numbers_are_ordered_by_what_they_are() {
        let ordered =
            ["-1e9", "-10", "-9.99", "-0.1", "0", "1e-9", "0.1", "0.11", "1", "9", "10", "99", "100", "1e9"];
        for (left, smaller) in ordered.iter().enumerate() {
            for (right, larger) in ordered.iter().enumerate() {
                assert_eq!(read(smaller).cmp(&read(larger)), left.cmp(&right), "{smaller} and {larger}");
            }
        }
    }

    #[test]
    fn multiples_are_exact() {
        for (dividend, divisor, expected) in [
            ("10", "5", Some(true)),
            ("10", "4", Some(false)),
            ("0.3", "0.1", Some(true)),
            ("0.5", "0.50", Some(true)),
            ("1e300", "7", Some(false)),
            ("0", "3", Some(true)),
            ("3", "0", Some(false)),
            ("1", "1234567890123456789012", None),
        ] {
            assert_eq!(read(dividend).is_multiple_of(&read(divisor)), expected, "{dividend} of {divisor}");
        }
    }

    #[test]
    fn counts_are_whole_and_saturate() {
        for (text, expected) in [
            ("3", Some(3)),
            ("3.0", Some(3)),
            ("3.5", None),
            ("-1", None),
            ("1e30", Some(u64::MAX)),
            ("0", Some(0)),
        ] {
            assert_eq!(read(text).count(), expected, "{text}");
        }
        assert_eq!(Decimal::read("1e99999"), None);
    }
}
