//! Decimals of any size: an integer and how many of its digits stand after the point.

use std::fmt;

use num_bigint::{BigInt, Sign};

/// The longest number that is read, in bytes.
const LENGTH_MAX: usize = 10_000;

/// A decimal number: `unscaled` × 10 ^ -`scale`. Two that differ only in scale are different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    unscaled: BigInt,
    scale: i32,
}

impl Decimal {
    /// From an integer in two's complement, its highest byte first. No bytes are none.
    #[must_use]
    pub fn of_bytes(unscaled: &[u8], scale: i32) -> Option<Self> {
        (!unscaled.is_empty()).then(|| Self { unscaled: BigInt::from_signed_bytes_be(unscaled), scale })
    }

    /// The whole number.
    #[must_use]
    pub fn of_integer(number: i64) -> Self {
        Self { unscaled: number.into(), scale: 0 }
    }

    /// Reads a number: a sign, digits with a point among them, an exponent. At most ten thousand bytes.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, integer(exponent)?),
            None => (text, 0),
        };
        let (sign, digits) = match mantissa.as_bytes().first()? {
            b'-' => (Sign::Minus, &mantissa[1..]),
            b'+' => (Sign::Plus, &mantissa[1..]),
            _ => (Sign::Plus, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let scale = i32::try_from(fraction.len() as i64 - exponent).ok()?;
        let magnitude = BigInt::parse_bytes(digits.as_bytes(), 10)?;
        Some(Self { unscaled: if sign == Sign::Minus { -magnitude } else { magnitude }, scale })
    }

    /// The same number with so many digits after the point, when that loses nothing and adds at most ten thousand.
    #[must_use]
    pub fn rescaled(&self, scale: i32) -> Option<Self> {
        let added = i64::from(scale) - i64::from(self.scale);
        if self.unscaled.sign() == Sign::NoSign {
            return Some(Self { unscaled: BigInt::ZERO, scale });
        }
        if added.unsigned_abs() > LENGTH_MAX as u64 {
            return None;
        }
        let factor = BigInt::from(10).pow(added.unsigned_abs() as u32);
        if added >= 0 {
            return Some(Self { unscaled: &self.unscaled * factor, scale });
        }
        let unscaled = &self.unscaled / &factor;
        (&unscaled * factor == self.unscaled).then_some(Self { unscaled, scale })
    }

    /// How many digits stand after the point; negative for zeros before it.
    #[must_use]
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// The integer in two's complement, its highest byte first, as short as can be.
    #[must_use]
    pub fn unscaled_bytes(&self) -> Vec<u8> {
        self.unscaled.to_signed_bytes_be()
    }

    /// The nearest floating-point number of 64 bits.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.plain_scientific().parse().unwrap_or(f64::NAN)
    }

    /// The nearest floating-point number of 32 bits.
    #[must_use]
    pub fn to_f32(&self) -> f32 {
        self.plain_scientific().parse().unwrap_or(f32::NAN)
    }

    fn plain_scientific(&self) -> String {
        format!("{}e{}", self.unscaled, -i64::from(self.scale))
    }

    /// The number without a fraction, when it has none and has 64 bits.
    #[must_use]
    pub fn to_i64_exact(&self) -> Option<i64> {
        let (digits, zeros) = self.whole()?;
        (zeros.is_empty() || digits == "0").then(|| digits.parse().ok()).flatten()
    }

    /// The number cut at the point, its lowest 64 bits, as a cast of the JVM leaves it.
    #[must_use]
    pub fn to_i64_wrapped(&self) -> i64 {
        let digits = self.unscaled.magnitude().to_string();
        let kept = digits.len() as i64 - i64::from(self.scale);
        if kept <= 0 {
            return 0;
        }
        // Ten to the 64 is divisible by two to the 64.
        if kept > digits.len() as i64 + 64 {
            return 0;
        }
        let kept = kept as usize;
        let whole =
            if kept <= digits.len() { digits[..kept].to_owned() } else { format!("{digits:0<kept$}") };
        let wrapped =
            whole.bytes().fold(0i64, |sum, digit| sum.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')));
        if self.unscaled.sign() == Sign::Minus { wrapped.wrapping_neg() } else { wrapped }
    }

    /// The digits before the point and those after it that are not zeros at the end; `None` beyond twenty digits.
    fn whole(&self) -> Option<(String, String)> {
        let digits = self.unscaled.to_string();
        let (sign, digits) = digits.strip_prefix('-').map_or(("", &digits[..]), |rest| ("-", rest));
        if digits == "0" {
            return Some(("0".to_owned(), String::new()));
        }
        let kept = digits.len() as i64 - i64::from(self.scale);
        if kept > 20 {
            return None;
        }
        if kept <= 0 {
            return Some((String::new(), "fraction".to_owned()));
        }
        let kept = kept as usize;
        let padded = format!("{digits:0<kept$}");
        let (whole, fraction) = padded.split_at(kept);
        Some((format!("{sign}{whole}"), fraction.trim_end_matches('0').to_owned()))
    }
}

/// An integer with an optional sign.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    text.parse::<i32>().ok().map(i64::from)
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.magnitude().to_string();
        let sign = if self.unscaled.sign() == Sign::Minus { "-" } else { "" };
        if self.scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let adjusted = digits.len() as i64 - 1 - i64::from(self.scale);
        if self.scale > 0 && adjusted >= -6 {
            let after = self.scale as usize;
            let least = after + 1;
            let padded = format!("{digits:0>least$}");
            let (whole, fraction) = padded.split_at(padded.len() - after);
            return write!(f, "{sign}{whole}.{fraction}");
        }
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        write!(f, "{sign}{first}{point}{rest}E{adjusted:+}")
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn decimals_are_read_and_written() {
        let cases = [
            ("0", "0", 0),
            ("123", "123", 0),
            ("-12.50", "-12.50", 2),
            ("+0.000001", "0.000001", 6),
            ("0.0000001", "1E-7", 7),
            ("12e3", "1.2E+4", -3),
            ("1E+3", "1E+3", -3),
            ("-1.5e-9", "-1.5E-9", 10),
            (".5", "0.5", 1),
            ("5.", "5", 0),
            ("0E-10", "0E-10", 10),
            ("100e-2", "1.00", 2),
        ];
        for (text, written, scale) in cases {
            let decimal = Decimal::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((decimal.to_string().as_str(), decimal.scale()), (written, scale), "{text}");
            let again = Decimal::of_bytes(&decimal.unscaled_bytes(), scale);
            assert_eq!(again, Some(decimal), "{text}");
        }
        for text in
            ["", "+", ".", "e5", "1e", "1e99999999999", "0x1", " 1", "1 ", "1_0", "--1", "+-1", "1e+-2"]
        {
            assert_eq!(Decimal::read(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_recognised_without_writing_out_their_zeros() {
        let cases = [
            ("12.00", Some(12)),
            ("12.01", None),
            ("-3e2", Some(-300)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("1e2000000000", None),
            ("1e-2000000000", None),
            ("0e2000000000", Some(0)),
            ("0.00", Some(0)),
        ];
        for (text, whole) in cases {
            let decimal = Decimal::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(decimal.to_i64_exact(), whole, "{text}");
        }
    }

    #[test]
    fn casts_wrap() {
        let cases = [
            ("12.9", 12),
            ("-12.9", -12),
            ("9223372036854775808", i64::MIN),
            ("18446744073709551617", 1),
            ("-18446744073709551617", -1),
            ("1e100", 0),
            ("1e19", -8_446_744_073_709_551_616),
            ("0.5", 0),
        ];
        for (text, wrapped) in cases {
            let decimal = Decimal::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(decimal.to_i64_wrapped(), wrapped, "{text}");
        }
    }
}
