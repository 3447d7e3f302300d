//! Texts as dashboards write them, and what they come to.

use proptest::prelude::*;

use super::*;

fn read(format: &str, text: &str) -> Option<String> {
    plain(&format.parse().unwrap(), text)
}

#[test]
fn numbers_in_their_countries_writing() {
    for (format, text, expected) in [
        ("1,234.56", "1,234.56", "1234.56"),
        ("1,234.56", "-12,345,678", "-12345678"),
        ("1,234.56", "1234567.5", "1234567.5"),
        ("1,234.56", "12,34,567.80", "1234567.80"),
        ("1,234.56", "\u{2212}0.5", "-0.5"),
        ("1,234.56", "+.5", "0.5"),
        ("1,234.56", "(1,234.50)", "-1234.50"),
        ("1,234.56", "($1,234.50)", "-1234.50"),
        ("1,234.56", "$(1,234.50)", "-1234.50"),
        ("1,234.56", "-$1.5", "-1.5"),
        ("1,234.56", "₹ -1.5", "-1.5"),
        ("1,234.56", "(0.00)", "0.00"),
        ("1.234,56", "1.234,56 €", "1234.56"),
        ("1.234,56", "\u{200e}1.234.567\u{a0}€", "1234567"),
        ("1 234,56", "1\u{202f}234\u{a0}567,8", "1234567.8"),
        ("1'234.56", "1\u{2019}234.56", "1234.56"),
        ("1234.56", "007.10", "7.10"),
        ("1234,56", "0,1", "0.1"),
        ("1,234.56", "12.5%", "0.125"),
        ("1 234,56", "99,95\u{a0}%", "0.9995"),
        ("1,234.56", "-3%", "-0.03"),
        ("1,234.56", "100%", "1.00"),
        ("1,234.56", "1.2K", "1200"),
        ("1,234.56", "1.2345 k", "1234.5"),
        ("1.234,56", "3,4 M", "3400000"),
        ("1,234.56", "$1.25bn", "1250000000"),
        ("1,234.56", "2B", "2000000000"),
        ("1,234.56", "0.000000000000012345T", "0.012345"),
        ("1.234,56", "1,5M €", "1500000"),
    ] {
        assert_eq!(read(format, text).as_deref(), Some(expected), "{text} as {format}");
    }
}

#[test]
fn numbers_that_do_not_fit() {
    for (format, text) in [
        ("1,234.56", "1.234,56"),
        ("1,234.56", "1,23"),
        ("1,234.56", "0,123"),
        ("1,234.56", "1,2345"),
        ("1,234.56", "1234,567"),
        ("1,234.56", "1,234,5.6"),
        ("1,234.56", "1.2.3"),
        ("1,234.56", "1,"),
        ("1,234.56", "1."),
        ("1,234.56", "."),
        ("1,234.56", ""),
        ("1,234.56", "-"),
        ("1,234.56", "--1"),
        ("1,234.56", "(-1)"),
        ("1,234.56", "(1"),
        ("1,234.56", "$$1"),
        ("1,234.56", "1K%"),
        ("1,234.56", "1 234"),
        ("1,234.56", "1e5"),
        ("1,234.56", "n/a"),
        ("1,234.56", "١٢"),
        ("1234.56", "1,234.56"),
        ("1234,56", "1.5"),
        ("1 234,56", "1 23"),
    ] {
        assert_eq!(read(format, text), None, "{text} as {format}");
    }
    assert_eq!(read("1,234.56", &"1".repeat(201)), None);
}

#[test]
fn times_as_they_are_written() {
    for (format, text, expected) in [
        ("%Y-%m-%d %H:%M:%S", " 2025-08-01\u{a0}00:15:00 ", "2025-08-01T00:15:00"),
        ("%d/%m/%Y", "1/8/2025", "2025-08-01"),
        ("%m/%d/%Y %I:%M:%S %p", "8/1/2025 12:15:00 AM", "2025-08-01T00:15:00"),
        ("%m/%d/%Y %I:%M:%S %p", "8/1/2025 1:15:09\u{202f}PM", "2025-08-01T13:15:09"),
        ("%d %b %Y %H:%M", "01 Aug 2025 23:59", "2025-08-01T23:59:00"),
        ("%A, %d %B %Y %H", "Friday, 01 August 2025 07", "2025-08-01T07:00:00"),
        ("%Y-%m-%dT%H:%M:%S%.f", "2025-08-01T00:15:00.250", "2025-08-01T00:15:00.250"),
        ("%Y-%m-%dT%H:%M:%S%.f", "2025-08-01T00:15:00.000250", "2025-08-01T00:15:00.000250"),
        ("%Y-%m-%dT%H:%M:%S%:z", "2025-08-01T00:15:00+05:30", "2025-08-01T00:15:00+05:30"),
        ("%s", "1754007300", "2025-08-01T00:15:00+00:00"),
        ("%Y-%m-%d %H:%M:%S UTC", "2025-08-01 00:15:00 UTC", "2025-08-01T00:15:00+00:00"),
        ("%d/%m/%Y %H:%M GMT", "01/08/2025 00:15\u{a0}GMT", "2025-08-01T00:15:00+00:00"),
        ("%Y-%m-%d %H:%M+0530", "2025-08-01 00:15+0530", "2025-08-01T00:15:00+05:30"),
        ("%Y-%m-%d %H:%M %Z", "2025-08-01 00:15 UTC", "2025-08-01T00:15:00+00:00"),
        ("%Y-%m-%d %H:%M %Z", "2025-08-01 00:15 Europe/Berlin", "2025-08-01T00:15:00+02:00"),
        ("%Y-%m-%d %H:%M %Z", "2025-08-01 00:15 IST", "2025-08-01T00:15:00 IST"),
        ("%Y-%m-%dZ", "2025-08-01Z", "2025-08-01+00:00"),
    ] {
        assert_eq!(read(format, text).as_deref(), Some(expected), "{text} as {format}");
    }
    for (format, text) in [
        ("%Y-%m-%d", "2025-08-01 00:15"),
        ("%Y-%m-%d", "2025-02-30"),
        ("%d/%m/%Y", "08/13/2025"),
        ("%A, %d %B %Y", "Monday, 01 August 2025"),
        ("%Y-%m-%d %H:%M", "2025-08-01 24:00"),
        ("%Y-%m-%d", ""),
    ] {
        assert_eq!(read(format, text), None, "{text} as {format}");
    }
}

proptest! {
    /// The reference is a whole number of ten-thousandths.
    #[test]
    fn numbers_written_by_hand_come_back(units in -10_i64.pow(15)..10_i64.pow(15), format in 0..6_usize, suffix in 0..5_usize) {
        let format = ["1,234.56", "1.234,56", "1 234,56", "1'234.56", "1234.56", "1234,56"][format];
        let CellFormat::Number { group, decimal } = format.parse().unwrap() else { unreachable!() };
        let (letters, shift) = [("", 0_u32), ("K", 3), (" M", 6), ("bn", 9), ("T", 12)][suffix];
        let digits = (units.abs() / 10_000).to_string();
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                grouped.extend(group);
            }
            grouped.push(digit);
        }
        let sign = if units < 0 { "-" } else { "" };
        let written = format!("{sign}{grouped}{decimal}{:04}{letters}", units.abs() % 10_000);
        let value = i128::from(units) * 10_i128.pow(shift);
        let read = read(format, &written).unwrap();
        let (whole, fraction) = read.split_once('.').unwrap_or((&read, ""));
        let found: i128 = format!("{whole}{fraction:0<4}").parse().unwrap();
        prop_assert_eq!(found, value, "{} from {}", read, written);
    }

    #[test]
    fn anything_may_come(text in any::<String>(), odd in "[-+()$€%kKmMbBnNtT.,' 0-9]*") {
        for format in ["1,234.56", "1 234,56", "1234.56", "%d/%m/%Y", "%+", "%s", "%C %y %j %U %G %V %u"] {
            let Ok(format) = format.parse() else { continue };
            plain(&format, &text);
            plain(&format, &odd);
        }
    }
}
