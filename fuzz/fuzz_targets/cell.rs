//! Any declaration of a format on any text: never a panic. A number that fits comes out as one, a declaration that
//! was read is read again as it was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nstore_fuzz::{config::cell_format::CellFormat, decode::format};

const NUMBERS: [&str; 6] = ["1,234.56", "1.234,56", "1 234,56", "1'234.56", "1234.56", "1234,56"];

fn is_plain(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fuzz_target!(|input: (&str, &str)| {
    let (declared, text) = input;
    if let Ok(format) = declared.parse::<CellFormat>() {
        assert_eq!(format.to_string().parse(), Ok(format.clone()));
        format::plain(&format, text);
    }
    for sample in NUMBERS {
        let format: CellFormat = sample.parse().expect("a sample");
        if let Some(number) = format::plain(&format, text) {
            assert!(is_plain(&number), "{text:?} became {number:?}");
        }
    }
});
