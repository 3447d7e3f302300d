//! How many rows there are, as a page says it: `1,768 rows`, `1 to 10 of 57`, `1-100/1768`. Pure.

/// Why a text does not tell a number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TotalError {
    /// It holds no number.
    #[error("it has no number")]
    NoNumber,
    /// The number is not exact.
    #[error("the number is rounded")]
    Rounded,
    /// It counts pages.
    #[error("it counts pages, not rows")]
    Pages,
}

/// A number in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    value: u64,
    start: usize,
    end: usize,
    /// It has decimals.
    is_broken: bool,
}

/// Words and signs before the number of all rows, where the text tells a part of them too.
const OF: [&str; 12] = ["/", "of", "out of", "von", "de", "di", "sur", "van", "av", "af", "z", "из"];

/// The number of rows that a text tells: the one behind `of` or `/` where there is one, else the first.
pub(super) fn count(text: &str) -> Result<u64, TotalError> {
    let numbers = numbers(text);
    let first = numbers.first().ok_or(TotalError::NoNumber)?;
    let whole = numbers.windows(2).find(|pair| {
        let between = words(&text[pair[0].end..pair[1].start]);
        OF.iter().any(|of| between.ends_with(of) && is_whole_word(&between, of))
    });
    let total = match whole {
        // `Page 1 of 57` does not say how many rows there are
        Some([part, _]) if counts_pages(&text[..part.start]) => return Err(TotalError::Pages),
        Some([_, total]) => total,
        _ => first,
    };
    let after = text[total.end..].trim_start();
    let unit = after.chars().next().filter(|sign| "kKmM+".contains(*sign));
    let is_unit = unit.is_some_and(|sign| sign == '+' || !after[1..].starts_with(char::is_alphabetic));
    if is_unit || total.is_broken { Err(TotalError::Rounded) } else { Ok(total.value) }
}

/// Whether another number of a text is this one.
pub(super) fn mentions(text: &str, value: u64) -> bool {
    numbers(text).iter().any(|number| number.value == value)
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether `of` is not the end of a longer word.
fn is_whole_word(text: &str, of: &str) -> bool {
    let before = text[..text.len() - of.len()].chars().next_back();
    of == "/" || before.is_none_or(|sign| !sign.is_alphabetic())
}

fn counts_pages(before: &str) -> bool {
    let last = words(before);
    ["page", "pages", "seite", "página", "pagina"].iter().any(|word| last.ends_with(word))
}

/// The numbers of a text, their digits grouped in whatever way.
fn numbers(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|sign: char| sign.is_ascii_digit()).map(|offset| at + offset) {
        let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
        let mut end = start + digits(start);
        // a number of at most three digits may go on with groups of two or three
        if end - start <= 3 {
            while let Some(group) = group(&text[end..]) {
                end += group;
            }
        }
        let decimals = text[end..]
            .strip_prefix(['.', ','])
            .map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let value: String = text[start..end].chars().filter(char::is_ascii_digit).collect();
        if let Ok(value) = value.parse() {
            let is_broken = decimals > 0;
            end += if is_broken { 1 + decimals } else { 0 };
            found.push(Found { value, start, end, is_broken });
        }
        at = end;
    }
    found
}

/// How long a separator and its group of digits are.
fn group(text: &str) -> Option<usize> {
    let sign = text.chars().next()?;
    let least = match sign {
        ',' => 2,
        '.' | ' ' | '\'' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\u{2019}' => 3,
        _ => return None,
    };
    let digits = text[sign.len_utf8()..].bytes().take_while(u8::is_ascii_digit).count();
    (least..=3).contains(&digits).then_some(sign.len_utf8() + digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn totals_are_told_from_parts() {
        for (text, total) in [
            ("1,768 rows", 1768),
            ("57", 57),
            ("Total: 57 (3 selected)", 57),
            ("1-100/1768", 1768),
            ("1 to 10 of 57", 57),
            ("Showing 1 to 10 of 1,768 entries (filtered from 2,000 total entries)", 1768),
            ("1\u{2013}50 von 1.234 Zeilen", 1234),
            ("1 - 25 sur 1\u{202f}234", 1234),
            ("Rows 101 - 200 out of 12,34,567", 1_234_567),
            ("0 of 0", 0),
            ("10 rows, 2025-08-01", 10),
        ] {
            assert_eq!(count(text), Ok(total), "{text}");
        }
        assert_eq!(count("no rows"), Err(TotalError::NoNumber));
        assert_eq!(count("Page 1 of 57"), Err(TotalError::Pages));
        for text in ["1.8K rows", "1-100 of 1000+", "2 M"] {
            assert_eq!(count(text), Err(TotalError::Rounded), "{text}");
        }
        assert_eq!(count("2 months"), Ok(2));
        assert!(mentions("1 to 10 of 57", 10) && !mentions("1 to 10 of 57", 11));
    }

    proptest! {
        #[test]
        fn every_total_is_read_however_it_is_grouped(total in any::<u32>(), sign in "[,.' \u{a0}]", part in 0..1000_u32) {
            let digits = total.to_string();
            let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
            let text = groups.join(&sign);
            prop_assert_eq!(count(&text), Ok(u64::from(total)));
            prop_assert_eq!(count(&format!("1-{part} of {text} rows")), Ok(u64::from(total)));
        }

        #[test]
        fn any_text_may_be_given(text in any::<String>()) {
            if let Ok(total) = count(&text) {
                prop_assert!(mentions(&text, total));
            }
        }
    }
}
