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

impl Decimal<'_> {
    /// All digits, those behind the point too.
    fn all(&self) -> impl DoubleEndedIterator<Item = &u8> {
        self.whole.iter().chain(self.fraction)
    }
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

/// The value of an integer that fits 64 bits; JSON writes it as `5`, `5.0` or `5e0`.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| whole(text))
}

/// The value of a decimal without a part of one.
fn whole(text: &str) -> Option<i64> {
    let number = decimal(text)?;
    let digits: Vec<u8> = number.all().copied().skip_while(|digit| *digit == b'0').collect();
    let last_zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let significant = &digits[..digits.len() - last_zeros];
    if significant.is_empty() {
        return Some(0);
    }
    let zeros = number.exponent + length(last_zeros) - length(number.fraction.len());
    // 19 digits are the most that 64 bits hold
    let zeros = usize::try_from(zeros).ok().filter(|zeros| significant.len() + zeros <= 19)?;
    let minus = if text.starts_with('-') { "-" } else { "" };
    format!("{minus}{}{}", std::str::from_utf8(significant).ok()?, "0".repeat(zeros)).parse().ok()
}

/// Whether a decimal is written with digits and a point between them alone.
fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let ends = [digits.first(), digits.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_digit))
        && !digits.iter().any(|byte| matches!(byte, b'e' | b'E'))
}

/// Appends a decimal without an exponent, a plus, or a point at its end.
pub(super) fn write_plain(text: &str, out: &mut Vec<u8>) {
    let number = if is_plain(text) { None } else { decimal(text) };
    let Some(number) = number else {
        out.extend_from_slice(text.as_bytes());
        return;
    };
    let digits: Vec<u8> = number.all().copied().collect();
    let zero = digits.iter().all(|digit| *digit == b'0');
    // an exponent says nothing about zero
    let exponent = if zero { 0 } else { number.exponent };
    let point = length(number.whole.len()) + exponent;
    let at = usize::try_from(point).unwrap_or(0);
    let zeros = |count: i64| std::iter::repeat_n(b'0', usize::try_from(count).unwrap_or(0));
    if text.starts_with('-') {
        out.push(b'-');
    }
    let before = &digits[..at.min(digits.len())];
    let first = before.iter().position(|digit| *digit != b'0').unwrap_or(before.len());
    let start = out.len();
    out.extend_from_slice(&before[first..]);
    if out.len() > start {
        out.extend(zeros(point - length(digits.len())));
    } else {
        out.push(b'0');
    }
    if at < digits.len() {
        out.push(b'.');
        out.extend(zeros(-point));
        out.extend_from_slice(&digits[at..]);
    }
}

/// Appends a form that equal numbers share, however they are written: `15e-1` for 1.5, 1.50 and 0.15e1.
pub(super) fn write_equal(text: &[u8], out: &mut Vec<u8>) {
    let Some(number) = std::str::from_utf8(text).ok().and_then(decimal) else {
        out.extend_from_slice(text);
        return;
    };
    let digits: Vec<u8> = number.all().copied().skip_while(|digit| *digit == b'0').collect();
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    if text.starts_with(b"-") && !digits.is_empty() {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[..digits.len() - zeros]);
    if !digits.is_empty() {
        let exponent = number.exponent + length(zeros) - length(number.fraction.len());
        out.extend_from_slice(format!("e{exponent}").as_bytes());
    }
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Whether a decimal fits `numeric(precision, scale)` without losing a digit that is not zero.
pub(super) fn fits_numeric(text: &str, precision: u16, scale: u16) -> bool {
    let Some(number) = decimal(text) else { return false };
    let Some(first) = number.all().position(|&digit| digit != b'0') else { return true };
    let last_zeros = number.all().rev().take_while(|&&digit| digit == b'0').count();
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
        for (text, expected) in [
            ("5.0", 5),
            ("-5.00", -5),
            ("1e3", 1_000),
            ("1.5E+1", 15),
            ("1200e-2", 12),
            ("0.0", 0),
            ("-0e5", 0),
            ("5.", 5),
            ("+7", 7),
            ("9223372036854775807.000", i64::MAX),
            ("-9.223372036854775808e18", i64::MIN),
            ("0.000000000000000001e18", 1),
            ("00000000000000000000000000001.0", 1),
        ] {
            assert_eq!(integer(text), Some(expected), "{text}");
        }
        for bad in [
            "9223372036854775808",
            "9223372036854775808.0",
            "1e19",
            "5.5",
            "1e-1",
            "1e-400",
            "12,5",
            "",
            " 1",
            "1 ",
            "0x1",
            "-",
            "e5",
            ".",
            "NaN",
        ] {
            assert_eq!(integer(bad), None, "{bad}");
        }
    }

    #[test]
    fn decimals_are_written_without_an_exponent() {
        let written = |text: &str| {
            let mut out = Vec::new();
            write_plain(text, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (text, expected) in [
            ("12.50", "12.50"),
            ("-0.00", "-0.00"),
            ("007", "007"),
            ("1e2", "100"),
            ("1.25e1", "12.5"),
            ("-12300e-2", "-123.00"),
            ("5e-3", "0.005"),
            ("12.5e-3", "0.0125"),
            ("0e2000", "0"),
            ("+5", "5"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("00.5e0", "0.5"),
        ] {
            assert_eq!(written(text), expected, "{text}");
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
    fn equal_numbers_share_a_form() {
        let form = |text: &str| {
            let mut out = Vec::new();
            write_equal(text.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        for same in ["1.50", "01.5", "0.15e1", "150e-2", "+1.5"] {
            assert_eq!(form(same), "15e-1", "{same}");
        }
        for zero in ["0", "-0.00", "0e7"] {
            assert_eq!(form(zero), "", "{zero}");
        }
        for other in ["-1.5", "15", "1.05", "150"] {
            assert_ne!(form(other), "15e-1", "{other}");
        }
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

        /// The reference counts in whole numbers, 128 bits wide.
        #[test]
        fn integers_and_plain_decimals_by_arithmetic(mantissa in -10_i64.pow(6)..10_i64.pow(6), behind in 0u32..6, e in -8i32..8) {
            let unit = 10_i128.pow(20);
            let (digits, sign) = (format!("{:07}", mantissa.abs()), if mantissa < 0 { "-" } else { "" });
            let (whole, fraction) = digits.split_at(digits.len() - behind as usize);
            let text = format!("{sign}{whole}.{fraction}e{e}");
            let power = 20 - behind as i32 + e;
            let value = i128::from(mantissa) * 10_i128.pow(u32::try_from(power).unwrap());
            let expected = (value % unit == 0).then(|| i64::try_from(value / unit).ok()).flatten();
            prop_assert_eq!(integer(&text), expected, "{}", text);
            let mut out = Vec::new();
            write_plain(&text, &mut out);
            let plain = String::from_utf8(out).unwrap();
            let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
            let found: i128 = format!("{whole}{fraction:0<20}").parse().unwrap();
            prop_assert_eq!(found, value, "{} from {}", plain, text);
        }

        #[test]
        fn anything_may_be_asked(text in any::<String>()) {
            fits_numeric(&text, 10, 2);
            fits_double(&text);
            integer(&text);
            write_plain(&text, &mut Vec::new());
        }
    }
}
