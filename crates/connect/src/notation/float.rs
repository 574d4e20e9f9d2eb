//! Floating-point numbers: the shortest digits that read back as the same number, at least one of them after the point.

/// Writes a number of 64 bits.
#[must_use]
pub fn double(number: f64) -> String {
    if let Some(word) = special(number) {
        return word.to_owned();
    }
    let shortest = format!("{number:e}");
    written(if shortest.contains('.') { shortest } else { format!("{number:.1e}") })
}

/// Writes a number of 32 bits.
#[must_use]
pub fn single(number: f32) -> String {
    if let Some(word) = special(f64::from(number)) {
        return word.to_owned();
    }
    let shortest = format!("{number:e}");
    written(if shortest.contains('.') { shortest } else { format!("{number:.1e}") })
}

fn special(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        return Some("NaN");
    }
    match number {
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        0.0 if number.is_sign_negative() => Some("-0.0"),
        0.0 => Some("0.0"),
        _ => None,
    }
}

/// From `d.ddde±n`: numbers from 0.001 up to ten million are written without an exponent.
fn written(scientific: String) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-3..7).contains(&exponent) {
        return format!("{mantissa}E{exponent}");
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{}", trimmed(&digits));
    }
    let whole = exponent as usize + 1;
    let padded = format!("{digits:0<whole$}");
    let (whole, fraction) = padded.split_at(whole);
    format!("{sign}{whole}.{}", trimmed(fraction))
}

/// Without zeros at the end, but never empty.
fn trimmed(fraction: &str) -> &str {
    match fraction.trim_end_matches('0') {
        "" => "0",
        trimmed => trimmed,
    }
}

#[cfg(test)]
mod tests {
    use super::{double, single};

    #[test]
    fn numbers_are_written_as_the_jvm_writes_them() {
        let cases = [
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (123_456.789, "123456.789"),
            (9_999_999.0, "9999999.0"),
            (1.0e7, "1.0E7"),
            (1.234_567_89e8, "1.23456789E8"),
            (0.001, "0.001"),
            (0.002_5, "0.0025"),
            (0.000_999, "9.99E-4"),
            (1.0e23, "1.0E23"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, text) in cases {
            assert_eq!(double(number), text);
        }
        let cases = [
            (3.4e38_f32, "3.4E38"),
            (0.1, "0.1"),
            (16_777_216.0, "1.6777216E7"),
            (f32::from_bits(1), "1.4E-45"),
            (1.0e10, "1.0E10"),
        ];
        for (number, text) in cases {
            assert_eq!(single(number), text);
        }
    }
}
