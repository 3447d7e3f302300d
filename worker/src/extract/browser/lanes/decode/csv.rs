//! An exported CSV file -> rows: UTF-8 with or without a byte order mark, or UTF-16 with one. Pure.

use std::borrow::Cow;

pub use nstore_shared::config::spec::browser::Delimiter;

use super::{
    Table, page,
    sheet::{self, SheetError},
};

fn byte(delimiter: Delimiter) -> u8 {
    match delimiter {
        Delimiter::Comma => b',',
        Delimiter::Semicolon => b';',
        Delimiter::Tab => b'\t',
    }
}

/// The columns of the wanted headers; an empty field is null.
///
/// # Errors
/// When it is no CSV file, lacks a column, or a row has another length than the headers.
pub fn decode<S: AsRef<str>>(bytes: &[u8], delimiter: Delimiter, wanted: &[S]) -> Result<Table, SheetError> {
    if let Some(title) = page::title(bytes) {
        return Err(SheetError::Page(title));
    }
    let text = text(bytes)?;
    if ends_within_quotes(&text) {
        return Err(SheetError::CutOff);
    }
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(byte(delimiter))
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut record = ::csv::StringRecord::new();
    if !reader.read_record(&mut record).map_err(|error| explain(&error))? {
        return Err(SheetError::Empty);
    }
    let headers: Vec<String> = record.iter().map(str::to_owned).collect();
    let places = sheet::places(&headers, wanted)?;
    let mut table = Table::default();
    while reader.read_record(&mut record).map_err(|error| explain(&error))? {
        let field = |place: &usize| record.get(*place).filter(|text| !text.is_empty()).map(str::to_owned);
        table.rows.push(places.iter().map(field).collect());
    }
    Ok(table)
}

/// The file's text, without its byte order mark.
fn text(bytes: &[u8]) -> Result<Cow<'_, str>, SheetError> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units = pairs.iter().map(|pair| unit(*pair));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        // a byte that is left over is half of a character that was cut off
        text.ok().filter(|_| rest.is_empty()).ok_or(SheetError::Encoding(1))
    };
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return utf16(rest, u16::from_le_bytes).map(Cow::Owned);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return utf16(rest, u16::from_be_bytes).map(Cow::Owned);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        SheetError::Encoding(1 + before.iter().fold(0, |lines, byte| lines + u64::from(*byte == b'\n')))
    })
}

/// The reader takes the end of the file for the end of the field. A lone quote within an unquoted field is no
/// fault, so only a last line without its end is suspected.
fn ends_within_quotes(text: &str) -> bool {
    !text.ends_with(['\n', '\r']) && text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1
}

fn explain(error: &::csv::Error) -> SheetError {
    match error.kind() {
        ::csv::ErrorKind::UnequalLengths { pos, expected_len, len } => SheetError::Ragged {
            line: pos.as_ref().map_or(0, ::csv::Position::line),
            expected: *expected_len,
            found: *len,
        },
        // bytes in memory, and valid text: no other error is left
        _ => SheetError::Encoding(error.position().map_or(0, ::csv::Position::line)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: [&str; 2] = ["timestamp", "value"];

    fn rows(text: &str) -> Result<Vec<Vec<Option<String>>>, SheetError> {
        decode(text.as_bytes(), Delimiter::Comma, &WANTED).map(|table| table.rows)
    }

    fn row(values: [Option<&str>; 2]) -> Vec<Option<String>> {
        values.map(|value| value.map(str::to_owned)).to_vec()
    }

    #[test]
    fn columns_come_in_the_order_asked_for() {
        let text =
            "\u{feff}Status, Value ,Timestamp\r\nup,\"1,5\",t1\r\n,,t2\r\n\"\",\"\",\"a\r\n\"\"b\"\"\"\r\n";
        let expected =
            [row([Some("t1"), Some("1,5")]), row([Some("t2"), None]), row([Some("a\r\n\"b\""), None])];
        assert_eq!(rows(text).unwrap(), expected);
        assert_eq!(rows("timestamp,value").unwrap(), [] as [Vec<_>; 0]);
    }

    #[test]
    fn other_delimiters_and_encodings() {
        let expected = [row([Some("ü"), Some("1,5")])];
        for (delimiter, sign) in [(Delimiter::Semicolon, ";"), (Delimiter::Tab, "\t")] {
            let text = format!("Timestamp{sign}Value\r\nü{sign}1,5\r\n");
            let units = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
                format!("\u{feff}{text}").encode_utf16().flat_map(order).collect()
            };
            for bytes in [text.clone().into_bytes(), units(u16::to_le_bytes), units(u16::to_be_bytes)] {
                assert_eq!(decode(&bytes, delimiter, &WANTED).unwrap().rows, expected);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let told = |text: &str| rows(text).unwrap_err().to_string();
        assert_eq!(
            told("timestamp,value\nt1,1\nt2\n"),
            "line 3 of the exported file has 1 fields instead of 2"
        );
        assert_eq!(
            told("timestamp;value\nt1;1\n"),
            "the exported file has no column `timestamp`, `value`; its headers are `timestamp;value`"
        );
        assert_eq!(
            told("<!DOCTYPE html>\n<title>Sign in</title>"),
            "an html page, `Sign in` came instead of the exported file"
        );
        assert_eq!(rows("").unwrap_err(), SheetError::Empty);
        assert_eq!(rows("timestamp,value\nt1,\"cut").unwrap_err(), SheetError::CutOff);
        assert!(rows("timestamp,value\nt1,5\" pipe\n").is_ok());
        let bad = b"timestamp,value\nt1,\xff\n";
        assert_eq!(decode(bad, Delimiter::Comma, &WANTED).unwrap_err(), SheetError::Encoding(2));
        assert!(decode(b"\xff\xfet\0i", Delimiter::Comma, &WANTED).is_err());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(fields in proptest::collection::vec(("\\PC*", "[^\r]*"), 0..20)) {
            let mut writer = ::csv::Writer::from_writer(Vec::new());
            writer.write_record(["value", "timestamp"]).unwrap();
            for (value, time) in &fields {
                writer.write_record([value, time]).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
            let expected: Vec<_> = fields.iter().map(|(value, time)| vec![some(time), some(value)]).collect();
            prop_assert_eq!(decode(&bytes, Delimiter::Comma, &WANTED).unwrap().rows, expected);
        }

        #[test]
        fn anything_may_come(bytes in any::<Vec<u8>>()) {
            drop(decode(&bytes, Delimiter::Tab, &WANTED));
        }
    }
}
