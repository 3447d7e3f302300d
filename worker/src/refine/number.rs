//! Checks of numbers as text, so that no digit is lost. Pure.

/// Longer texts are no amounts: Postgres itself stops at about 16,000 digits after the point.
const LONGEST: usize = 4_000;
/// Larger exponents are out of reach for every column type.
const LARGEST_EXPONENT: i64 = 2_000;

/// The parts of a decimal number.
struct Decimal<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// Reads `-12.50e3`; at least one digit, no spaces, no separators.
fn decimal(text: &str) -> Option<Decimal<'_>> {
    let bytes = text.as_bytes();
    let unsigned = bytes.strip_prefix(b"-").or_else(|| bytes.strip_prefix(b"+")).unwrap_or(bytes);
    let (mantissa, exponent) = match unsigned.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&b| b == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &mantissa[..0]),
    };
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let any = !whole.is_empty() || !fraction.is_empty();
    (text.len() <= LONGEST && any && digits(whole) && digits(fraction)).then_some(Decimal {
        whole,
        fraction,
        exponent,
    })
}

fn exponent(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse::<i64>().ok().filter(|e| e.abs() <= LARGEST_EXPONENT)
}

/// The value of an integer that fits 64 bits.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Whether a decimal fits `numeric(precision, scale)` without losing a digit that is not zero.
pub(super) fn fits_numeric(text: &str, precision: u16, scale: u16) -> bool {
    let Some(number) = decimal(text) else { return false };
    let all = || number.whole.iter().chain(number.fraction);
    let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let Some(first) = all().position(|&digit| digit != b'0') else { return true };
    let last_zeros = all().rev().take_while(|&&digit| digit == b'0').count();
    // how far the first digit stands before the point, and the last one behind it
    let before = length(number.whole.len()) - length(first) + number.exponent;
    let behind = length(number.fraction.len()) - length(last_zeros) - number.exponent;
    before <= i64::from(precision) - i64::from(scale) && behind <= i64::from(scale)
}

/// Whether Postgres reads it as a float: it refuses what is too large, and what is too small but not zero.
pub(super) fn fits_double(text: &str) -> bool {
    let Some(number) = decimal(text) else { return false };
    let zero = number.whole.iter().chain(number.fraction).all(|&digit| digit == b'0');
    text.parse::<f64>().is_ok_and(|value| value.is_finite() && (zero || value != 0.0))
}

/// Whether a JSON number fits the numeric that jsonb keeps it as.
pub(super) fn fits_jsonb(text: &str) -> bool {
    decimal(text).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers() {
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        for bad in ["9223372036854775808", "1.0", "1e3", "12,5", "", " 1", "1 ", "0x1", "-"] {
            assert_eq!(integer(bad), None, "{bad}");
        }
    }

    #[test]
    fn decimals() {
        for good in
            ["0", "-0.00", "999.99", "-999.99", "1.500", "0e5", "1e2", "12300e-2", "00012.5", ".5", "5."]
        {
            assert!(fits_numeric(good, 5, 2), "{good}");
        }
        for bad in
            ["1000", "0.001", "1e3", "1e-3", "1e400", "1e99999999999", "", "-", ".", "1,5", "NaN", "1e", " 1"]
        {
            assert!(!fits_numeric(bad, 5, 2), "{bad}");
        }
        assert!(!fits_numeric(&"0".repeat(5_000), 5, 2));
    }

    #[test]
    fn floats() {
        for good in ["0", "0.000", "1e308", "-1.5", "5e-324", "0e-1999"] {
            assert!(fits_double(good), "{good}");
        }
        for bad in ["1e400", "1e-400", "Infinity", "nan", "", "1_0"] {
            assert!(!fits_double(bad), "{bad}");
        }
    }

    proptest! {
        /// The reference writes the number out in full and counts its digits.
        #[test]
        fn numeric_as_counted_by_hand(whole in "[0-9]{0,6}", fraction in "[0-9]{0,6}", e in -8i64..8, p in 1u16..9, s in 0u16..5) {
            prop_assume!(!whole.is_empty() || !fraction.is_empty());
            prop_assume!(p >= s);
            let text = format!("{whole}.{fraction}e{e}");
            let digits = format!("{}{whole}{fraction}{}", "0".repeat(10), "0".repeat(10));
            let point = usize::try_from(10 + i64::try_from(whole.len()).unwrap() + e).unwrap();
            let before = digits[..point].trim_start_matches('0').len();
            let behind = digits[point..].trim_end_matches('0').len();
            let fits = before <= usize::from(p - s) && behind <= usize::from(s);
            prop_assert_eq!(fits_numeric(&text, p, s), fits, "{} as numeric({},{})", text, p, s);
        }

        #[test]
        fn anything_may_be_asked(text in any::<String>()) {
            fits_numeric(&text, 10, 2);
            fits_double(&text);
            integer(&text);
        }
    }
}
