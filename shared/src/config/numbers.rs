//! How a text writes a number: which signs group its digits and part its decimals. Pure.
//!
//! All arithmetic is on the digits as text, so it is exact.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Samples that declare a style, for error texts.
pub const SAMPLES: &str = "1,234.56, 1.234,56, 1 234,56, 1'234.56, 12,34,567.50, 1234.56 or 1234,56";

/// Longer texts are not numbers, in bytes.
const MAX_TEXT_BYTES: usize = 200;

/// The signs of a number. Money and a percent sign may be around it, parentheses or a minus at either end make it
/// negative; groups may be of three digits or, as in India, of two and a last one of three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NumberStyle {
    /// The sign between groups of digits, if any; a space stands for all kinds of space.
    pub group: Option<char>,
    /// The sign before the decimals.
    pub decimal: char,
    /// What a percent sign means.
    #[serde(default)]
    pub percent: Percent,
}

/// What a percent sign behind a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Percent {
    /// The number before the sign is the value: `12.5%` is 12.5.
    #[default]
    Number,
    /// The number is divided by a hundred: `12.5%` is 0.125.
    Fraction,
}

/// Whether letters behind a number multiply it: `1.2K` is 1200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiples {
    /// `K`, `M`, `B` or `bn`, and `T`, as dashboards shorten numbers.
    Taken,
    /// A text that ends with one of them is not a number.
    Refused,
}

/// A text that does not declare a style.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a sample of a number that shows its signs, such as {SAMPLES}")]
pub struct NumberStyleError(String);

impl FromStr for NumberStyle {
    type Err = NumberStyleError;

    /// Reads a sample: at least four digits before the decimal sign and exactly two behind it, so that no sign can be
    /// taken for the other.
    fn from_str(sample: &str) -> Result<Self, NumberStyleError> {
        let text: String = sample.trim().chars().map(plain_sign).collect();
        let style = || {
            let at = text.len().checked_sub(3)?;
            let (whole, behind) = (text.get(..at)?, text.get(at..)?);
            let decimal = behind.chars().next().filter(|sign| matches!(sign, '.' | ','))?;
            let mut signs = whole.chars().filter(|sign| !sign.is_ascii_digit());
            let group = signs.next();
            let digits = whole.chars().filter(char::is_ascii_digit).count();
            let fits = digits >= 4
                && group.is_none_or(|group| matches!(group, ',' | '.' | ' ' | '\'') && group != decimal)
                && signs.all(|sign| Some(sign) == group);
            let style = Self { group, decimal, percent: Percent::default() };
            (fits && Digits::read(&text, style).is_some()).then_some(style)
        };
        style().ok_or_else(|| NumberStyleError(sample.to_owned()))
    }
}

impl fmt::Display for NumberStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('1')?;
        self.group.map_or(Ok(()), |group| f.write_char(group))?;
        write!(f, "234{}56", self.decimal)
    }
}

impl NumberStyle {
    /// The number as plain text, such as `-1234.50`; `None` when the text does not fit the style.
    pub fn plain(&self, text: &str, multiples: Multiples) -> Option<String> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let text = tidied(text);
        let around = Around::read(&text, multiples);
        let shift = match (around.percent, self.percent) {
            (true, Percent::Fraction) => -2,
            _ => around.shift,
        };
        let digits = Digits::read(around.inside, *self)?;
        Some(digits.shifted(shift, around.negative))
    }
}

/// The plain form of a sign that comes in several: spaces and apostrophes.
pub fn plain_sign(sign: char) -> char {
    match sign {
        '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' => ' ',
        '\u{2019}' => '\'',
        other => other,
    }
}

/// The text without blanks around it and without marks of writing direction, with one kind of space and apostrophe.
pub fn tidied(text: &str) -> String {
    let is_mark = |sign: &char| matches!(sign, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}');
    let text: String = text.chars().filter(|sign| !is_mark(sign)).map(plain_sign).collect();
    text.trim().to_owned()
}

/// How far letters move the decimal point; the longest first where one begins another.
const MULTIPLES: [(&str, i32); 5] = [("bn", 9), ("k", 3), ("m", 6), ("b", 9), ("t", 12)];

/// Names of money that are not one sign and not a code; the longest first where one begins another.
const MONEY_WORDS: [&str; 16] =
    ["NZ$", "HK$", "MX$", "US$", "CA$", "AU$", "Rs.", "R$", "A$", "C$", "S$", "Rs", "kr.", "kr", "zł", "Kč"];

/// The codes of ISO 4217 that are in use.
const MONEY_CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN \
     BWP BYN BZD CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP \
     GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP \
     LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK \
     PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND \
     TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

fn is_money_sign(sign: char) -> bool {
    matches!(sign, '$' | '£' | '¥' | '¢' | '¤' | '\u{20a0}'..='\u{20cf}')
}

fn is_money_code(code: &str) -> bool {
    code.len() == 3 && MONEY_CODES.split(' ').any(|known| known == code)
}

/// The text behind a name of money at its beginning.
fn without_money_before(text: &str) -> Option<&str> {
    let code = text.get(..3).filter(|code| is_money_code(code));
    let word = MONEY_WORDS.into_iter().find(|word| text.starts_with(word)).or(code);
    let rest = match word {
        Some(word) => text.get(word.len()..),
        None => text.strip_prefix(is_money_sign),
    };
    rest.filter(|rest| !rest.starts_with(char::is_alphabetic))
}

/// The text before a name of money at its end.
fn without_money_behind(text: &str) -> Option<&str> {
    let code = text.len().checked_sub(3).and_then(|at| text.get(at..)).filter(|code| is_money_code(code));
    let word = MONEY_WORDS.into_iter().find(|word| text.ends_with(word)).or(code);
    let rest = match word {
        Some(word) => text.get(..text.len() - word.len()),
        None => text.strip_suffix(is_money_sign),
    };
    rest.filter(|rest| !rest.ends_with(char::is_alphabetic))
}

/// What is around the digits of a number. Each kind of it may come once.
struct Around<'a> {
    inside: &'a str,
    negative: bool,
    percent: bool,
    /// By how many places letters move the point.
    shift: i32,
}

impl<'a> Around<'a> {
    fn read(text: &'a str, multiples: Multiples) -> Self {
        let mut rest = text;
        let (mut signed, mut negative, mut money, mut percent, mut shift) = (false, false, false, false, 0);
        loop {
            rest = rest.trim_matches(' ');
            let minus = |sign: char| matches!(sign, '-' | '\u{2212}');
            if !signed {
                let in_parentheses = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
                let negated =
                    in_parentheses.or_else(|| rest.strip_prefix(minus)).or_else(|| rest.strip_suffix(minus));
                if let Some(inner) = negated.or_else(|| rest.strip_prefix('+')) {
                    (rest, signed, negative) = (inner, true, negated.is_some());
                    continue;
                }
            }
            let without = without_money_before(rest).or_else(|| without_money_behind(rest));
            if let Some(inner) = without.filter(|_| !money) {
                (rest, money) = (inner, true);
                continue;
            }
            if percent || shift != 0 {
                break;
            }
            if let Some(inner) = rest.strip_suffix('%') {
                (rest, percent) = (inner, true);
            } else if let Some((inner, places)) = multiple(rest).filter(|_| multiples == Multiples::Taken) {
                (rest, shift) = (inner, places);
            } else {
                break;
            }
        }
        Self { inside: rest, negative, percent, shift }
    }
}

/// The text before letters that multiply it, and by how many places they move the point.
fn multiple(text: &str) -> Option<(&str, i32)> {
    MULTIPLES.into_iter().find_map(|(letters, places)| {
        let at = text.len().checked_sub(letters.len())?;
        let found = text.get(at..)?.eq_ignore_ascii_case(letters);
        found.then_some((&text[..at], places))
    })
}

/// A number's digits before and behind its point.
struct Digits {
    whole: String,
    fraction: String,
}

impl Digits {
    fn read(text: &str, style: NumberStyle) -> Option<Self> {
        let (whole, fraction) = match text.split_once(style.decimal) {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let groups: Vec<&str> = match style.group {
            Some(group) => whole.split(group).collect(),
            None => vec![whole],
        };
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = groups.iter().all(|group| are_digits(group))
            && are_digits(fraction)
            && are_grouped(&groups)
            && (!whole.is_empty() || !fraction.is_empty());
        fits.then(|| Self { whole: groups.concat(), fraction: fraction.to_owned() })
    }

    /// As plain text, times ten to the power of `shift`.
    fn shifted(mut self, shift: i32, negative: bool) -> String {
        for _ in 0..shift {
            let next = if self.fraction.is_empty() { '0' } else { self.fraction.remove(0) };
            self.whole.push(next);
        }
        for _ in shift..0 {
            self.fraction.insert(0, self.whole.pop().unwrap_or('0'));
        }
        let whole = self.whole.trim_start_matches('0');
        let zero = whole.is_empty() && self.fraction.bytes().all(|digit| digit == b'0');
        let minus = if negative && !zero { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if self.fraction.is_empty() { "" } else { "." };
        format!("{minus}{whole}{point}{}", self.fraction)
    }
}

/// Groups of three; or, as India writes lakhs and crores, of two and a last one of three. A first group that starts
/// with a zero is refused: `0,123` is a decimal in the writing of another country.
fn are_grouped(groups: &[&str]) -> bool {
    let [first, middle @ .., last] = groups else { return true };
    let of =
        |size: usize| (1..=size).contains(&first.len()) && middle.iter().all(|group| group.len() == size);
    last.len() == 3 && (of(3) || of(2)) && !first.starts_with('0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(style: &str, text: &str) -> Option<String> {
        style.parse::<NumberStyle>().unwrap().plain(text, Multiples::Refused)
    }

    #[test]
    fn a_sample_shows_its_signs() {
        let style = |group, decimal| NumberStyle { group, decimal, percent: Percent::Number };
        for (sample, expected) in [
            ("1,234.50", style(Some(','), '.')),
            ("12,34,567.50", style(Some(','), '.')),
            ("1.234,56", style(Some('.'), ',')),
            ("1\u{202f}234\u{a0}567,00", style(Some(' '), ',')),
            ("1\u{2019}234.56", style(Some('\''), '.')),
            ("1234,56", style(None, ',')),
            ("98765.43", style(None, '.')),
        ] {
            let found: NumberStyle = sample.parse().unwrap();
            assert_eq!(found, expected, "{sample}");
            assert_eq!(found.to_string().parse::<NumberStyle>().unwrap(), expected, "{sample}");
        }
        for sample in
            ["", "1,234", "1,234,56", "1.234.56", "1234", "12,34.56", "1_234.56", "1,234.567", "€1,234.56"]
        {
            let error = sample.parse::<NumberStyle>().unwrap_err().to_string();
            assert!(error.contains("12,34,567.50"), "{sample}: {error}");
        }
    }

    #[test]
    fn money_and_signs_are_around_a_number() {
        for (text, expected) in [
            ("1,234.50", "1234.50"),
            ("12,34,567.50", "1234567.50"),
            ("₹12,34,567", "1234567"),
            ("₹ 1,234.50", "1234.50"),
            ("Rs. 1,234.50", "1234.50"),
            ("Rs1,234", "1234"),
            ("INR 5", "5"),
            ("5.00 USD", "5.00"),
            ("US$5", "5"),
            ("-$5", "-5"),
            ("$-5", "-5"),
            ("5-", "-5"),
            ("(5)", "-5"),
            ("(€5.25)", "-5.25"),
            ("\u{2212}5", "-5"),
            ("+5", "5"),
            ("\u{a0}5\u{a0}€", "5"),
            ("12.5%", "12.5"),
            ("(3 %)", "-3"),
            ("0.00-", "0.00"),
            ("1234567.5", "1234567.5"),
        ] {
            assert_eq!(read("1,234.50", text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(read("1.234,56", "1.234,50 €").as_deref(), Some("1234.50"));
        for text in [
            "1.234,50", "1,23", "0,123", "1.2.3", "--5", "-5-", "(-5)", "(5", "$$5", "$5€", "5%%", "%5",
            "5K", "1.2M", "ABC 5", "USDT 5", "5 USDX", "xRs 5", "", "-", "$", "%", "1e5", "NaN", "n/a",
            "0x5", "1 234", "١٢",
        ] {
            assert_eq!(read("1,234.50", text), None, "{text}");
        }
    }

    #[test]
    fn a_percent_sign_means_what_the_style_says() {
        let fraction = NumberStyle { percent: Percent::Fraction, ..("1,234.50".parse().unwrap()) };
        for (text, expected) in [("12.5%", "0.125"), ("-3%", "-0.03"), ("100%", "1.00"), ("5", "5")] {
            assert_eq!(fraction.plain(text, Multiples::Refused).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(fraction.plain("1K%", Multiples::Taken), None);
        assert_eq!(fraction.plain("1.5K", Multiples::Taken).as_deref(), Some("1500"));
        assert_eq!(fraction.plain("5 THB", Multiples::Taken).as_deref(), Some("5"));
    }

    proptest! {
        /// The reference is a whole number of hundredths.
        #[test]
        fn hundredths_come_back(cents in -10_i64.pow(14)..10_i64.pow(14), sample in 0..7_usize, dress in 0..6_usize, india: bool) {
            let sample = ["1,234.56", "1.234,56", "1 234,56", "1'234.56", "1234.56", "1234,56", "12,34,567.50"][sample];
            let style: NumberStyle = sample.parse().unwrap();
            let digits = (cents.abs() / 100).to_string();
            let mut written = String::new();
            for (index, digit) in digits.chars().enumerate() {
                let left = digits.len() - index;
                let here = if india { left == 3 || (left > 3 && left % 2 == 1) } else { left % 3 == 0 };
                if index > 0 && here {
                    written.extend(style.group);
                }
                written.push(digit);
            }
            write!(written, "{}{:02}", style.decimal, cents.abs() % 100).unwrap();
            let dressed = match (dress, cents < 0) {
                (0, true) => format!("-{written}"),
                (1, true) => format!("({written})"),
                (2, true) => format!("{written}-"),
                (3, true) => format!("-₹ {written}"),
                (4, true) => format!("(INR {written})"),
                (_, true) => format!("\u{2212}{written}\u{a0}€"),
                (0, false) => format!("+{written}"),
                (1, false) => format!("Rs. {written}"),
                (_, false) => written,
            };
            let plain = style.plain(&dressed, Multiples::Refused).unwrap();
            let found: i64 = plain.replace('.', "").parse().unwrap();
            prop_assert_eq!(found, cents, "{} from {}", plain, dressed);
            prop_assert_eq!(plain.find('.'), Some(plain.len() - 3));
        }

        #[test]
        fn anything_may_come(text in any::<String>(), odd in "[-+()$€%kKmMbBnNtT.,' 0-9A-Z]*") {
            let style: NumberStyle = "1,234.56".parse().unwrap();
            for text in [&text, &odd] {
                if let Some(plain) = style.plain(text, Multiples::Taken) {
                    prop_assert!(plain.parse::<f64>().is_ok(), "{} from {}", plain, text);
                }
            }
        }
    }
}
