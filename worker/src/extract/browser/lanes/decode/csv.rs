//! An exported CSV file -> rows. Pure.
//!
//! A byte order mark tells the encoding; without one it is the declared encoding, or UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
pub use nstore_shared::config::spec::browser::{Delimiter, SheetLayout};

use super::{
    page,
    sheet::{self, Record, Sheet, SheetError},
};

/// So many lines are searched for the headers, to give a hint.
const SEARCHED_LINES: usize = 50;
const DELIMITERS: [Delimiter; 4] = [Delimiter::Comma, Delimiter::Semicolon, Delimiter::Tab, Delimiter::Pipe];

fn byte(delimiter: Delimiter) -> u8 {
    match delimiter {
        Delimiter::Comma => b',',
        Delimiter::Semicolon => b';',
        Delimiter::Tab => b'\t',
        Delimiter::Pipe => b'|',
    }
}

/// The columns of the wanted headers; an empty field is null.
///
/// # Errors
/// When it is not a CSV file of this layout, lacks a column, or a row has another length than the headers.
pub fn decode<S: AsRef<str>>(bytes: &[u8], layout: &SheetLayout, wanted: &[S]) -> Result<Sheet, SheetError> {
    if let Some(title) = page::title(bytes) {
        return Err(SheetError::Page(title));
    }
    let whole = text(bytes, layout.encoding.as_deref())?;
    let above = layout.header_row.unwrap_or(1).saturating_sub(1);
    let text = below(&whole, above).ok_or(SheetError::NoHeader(above + 1))?;
    if ends_within_quotes(text) {
        return Err(SheetError::CutOff);
    }
    let mut records = records(text, layout.delimiter, u64::from(above)).into_iter();
    let headers = match records.next() {
        Some(headers) => names(headers),
        None if layout.header_row.is_some() => return Err(SheetError::NoHeader(above + 1)),
        None => return Err(SheetError::Empty),
    };
    let places = sheet::places(&headers, wanted).map_err(|error| hinted(error, &whole, layout, wanted))?;
    sheet::rows(records.collect(), &places, Some(headers.len()), layout)
}

fn names(record: Record) -> Vec<String> {
    record.fields.into_iter().map(Option::unwrap_or_default).collect()
}

/// The records of a text, whatever their lengths; `above` lines were left out before it.
fn records(text: &str, delimiter: Delimiter, above: u64) -> Vec<Record> {
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(byte(delimiter))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let (mut line, mut counted) = (above + 1, 0);
    let mut record = |record: ::csv::StringRecord| {
        // the reader begins a record before the end of the line above it
        let begin = record.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or(counted);
        let ends = text[begin..].bytes().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        line += text[counted..begin + ends].bytes().filter(|byte| *byte == b'\n').count() as u64;
        counted = begin + ends;
        let some = |field: &str| Some(field.to_owned()).filter(|text| !text.is_empty());
        Record { line, fields: record.iter().map(some).collect() }
    };
    // text in memory, of any lengths: reading it cannot fail
    reader.records().map_while(Result::ok).map(&mut record).collect()
}

/// What is left of a text below its first lines.
fn below(text: &str, lines: u32) -> Option<&str> {
    let mut rest = text;
    for _ in 0..lines {
        let end = rest.find(['\n', '\r'])?;
        rest = rest[end..].strip_prefix("\r\n").unwrap_or(&rest[end + 1..]);
    }
    Some(rest)
}

/// With what would find the columns: another line, or another delimiter.
fn hinted<S: AsRef<str>>(error: SheetError, text: &str, layout: &SheetLayout, wanted: &[S]) -> SheetError {
    let SheetError::Missing { missing, there, .. } = error else { return error };
    let finds = |delimiter: Delimiter, line: u32| {
        let first = below(text, line - 1).and_then(|rest| rest.lines().next());
        let headers = first.and_then(|first| records(first, delimiter, 0).into_iter().next());
        headers.is_some_and(|headers| sheet::places(&names(headers), wanted).is_ok())
    };
    let lines = 1..=u32::try_from(text.lines().take(SEARCHED_LINES).count()).unwrap_or_default();
    let mut hint = String::new();
    for delimiter in [layout.delimiter].into_iter().chain(DELIMITERS) {
        let Some(line) = lines.clone().find(|line| finds(delimiter, *line)) else { continue };
        if delimiter != layout.delimiter {
            hint += &format!("; `delimiter: {:?}` would find them", char::from(byte(delimiter)).to_string());
        }
        if line != layout.header_row.unwrap_or(1) {
            hint += &format!("; they are in line {line}: say `header_row: {line}`");
        }
        break;
    }
    SheetError::Missing { missing, there, hint }
}

/// The file's text, without its byte order mark.
fn text<'a>(bytes: &'a [u8], label: Option<&str>) -> Result<Cow<'a, str>, SheetError> {
    // the config's check lets no unknown label pass
    let declared = label.and_then(|label| Encoding::for_label(label.as_bytes()));
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((declared.unwrap_or(UTF_8), 0));
    let rest = &bytes[mark..];
    let wrong = |line: u64, hint: &'static str| SheetError::Encoding {
        line,
        encoding: encoding.name().to_owned(),
        hint,
    };
    let lines = |before: &[u8]| 1 + before.iter().fold(0, |lines, byte| lines + u64::from(*byte == b'\n'));
    let is_zero = |at: usize| rest.get(at) == Some(&0);
    if encoding == UTF_8 {
        let hint = "say how it is encoded: `encoding`, for example windows-1252";
        let text = std::str::from_utf8(rest).map_err(|e| wrong(lines(&rest[..e.valid_up_to()]), hint))?;
        if is_zero(0) || is_zero(1) {
            return Err(wrong(1, "it has a zero byte, as UTF-16 without a mark has: `encoding: utf-16le`"));
        }
        return Ok(Cow::Borrowed(text));
    }
    let is_wide = encoding == UTF_16LE || encoding == UTF_16BE;
    // bytes beyond ASCII that happen to be valid UTF-8 are UTF-8
    if mark == 0 && !is_wide && !rest.is_ascii() && std::str::from_utf8(rest).is_ok() {
        return Err(wrong(1, "it is valid UTF-8: remove `encoding`"));
    }
    encoding
        .decode_without_bom_handling_and_without_replacement(rest)
        .ok_or_else(|| wrong(1, "it may be cut off, or have another `encoding`"))
}

/// The reader takes the end of the file for the end of the field. A lone quote within an unquoted field is no
/// fault, so only a last line without its end is suspected.
fn ends_within_quotes(text: &str) -> bool {
    !text.ends_with(['\n', '\r']) && text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: [&str; 2] = ["timestamp", "value"];

    fn rows(text: &str) -> Result<Vec<Vec<Option<String>>>, SheetError> {
        decode(text.as_bytes(), &SheetLayout::default(), &WANTED).map(|sheet| sheet.table.rows)
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
        for (delimiter, sign) in [(Delimiter::Semicolon, ";"), (Delimiter::Tab, "\t"), (Delimiter::Pipe, "|")]
        {
            let text = format!("Timestamp{sign}Value\r\nü{sign}1,5\r\n");
            let units = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
                format!("\u{feff}{text}").encode_utf16().flat_map(order).collect()
            };
            for bytes in [text.clone().into_bytes(), units(u16::to_le_bytes), units(u16::to_be_bytes)] {
                let layout = SheetLayout { delimiter, ..SheetLayout::default() };
                assert_eq!(decode(&bytes, &layout, &WANTED).unwrap().table.rows, expected);
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
            "the exported file has no column `timestamp`, `value`; its headers are `timestamp;value`; `delimiter: \";\"` would find them"
        );
        assert_eq!(
            told("<!DOCTYPE html>\n<title>Sign in</title>"),
            "an html page, `Sign in` came instead of the exported file"
        );
        assert_eq!(rows("").unwrap_err(), SheetError::Empty);
        assert_eq!(rows("timestamp,value\nt1,\"cut").unwrap_err(), SheetError::CutOff);
        assert!(rows("timestamp,value\nt1,5\" pipe\n").is_ok());
        let bad = b"timestamp,value\nt1,\xff\n";
        let error = decode(bad, &SheetLayout::default(), &WANTED).unwrap_err().to_string();
        assert!(error.starts_with("line 2 of the exported file is not valid UTF-8; say how"), "{error}");
        assert!(decode(b"\xff\xfet\0i", &SheetLayout::default(), &WANTED).is_err());
    }

    #[test]
    fn a_declared_encoding_counts_where_there_is_no_mark() {
        let layout = |label: &str| SheetLayout { encoding: Some(label.to_owned()), ..SheetLayout::default() };
        let old = b"timestamp,value\nM\xfcller,5 \x80\n";
        let expected = [row([Some("Müller"), Some("5 €")])];
        assert_eq!(decode(old, &layout("windows-1252"), &WANTED).unwrap().table.rows, expected);
        let text = "timestamp,value\nMüller,5 €\n";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&wide, &layout("utf-16le"), &WANTED).unwrap().table.rows, expected);
        let marked = format!("\u{feff}{text}");
        assert_eq!(decode(marked.as_bytes(), &layout("windows-1252"), &WANTED).unwrap().table.rows, expected);
        let error =
            |bytes: &[u8], layout: &SheetLayout| decode(bytes, layout, &WANTED).unwrap_err().to_string();
        assert!(error(text.as_bytes(), &layout("windows-1252")).contains("remove `encoding`"));
        let ascii: Vec<u8> = "timestamp,value\na,5\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(error(&ascii, &SheetLayout::default()).contains("`encoding: utf-16le`"));
        assert!(error(&wide[..wide.len() - 1], &layout("utf-16le")).contains("cut off"));
    }

    #[test]
    fn what_is_above_the_headers_and_below_the_rows_is_left_out() {
        let text = "Report \"of\" August\r\nAll cities\r\n\r\ntimestamp,value\r\nt1,1\r\nt2,2\r\nTotal,,3\r\nmade by hand\r\n";
        let layout = SheetLayout { header_row: Some(4), skip_footer: 2, ..SheetLayout::default() };
        let expected = vec![row([Some("t1"), Some("1")]), row([Some("t2"), Some("2")])];
        let found = decode(text.as_bytes(), &layout, &WANTED).unwrap();
        assert_eq!((found.table.rows, found.counted), (expected.clone(), 4));
        let dropped =
            SheetLayout { skip_footer: 0, drop_rows: vec!["TOTAL".into(), "made".into()], ..layout.clone() };
        assert_eq!(decode(text.as_bytes(), &dropped, &WANTED).unwrap().table.rows, expected);
        let error = |layout: &SheetLayout| decode(text.as_bytes(), layout, &WANTED).unwrap_err().to_string();
        assert!(error(&SheetLayout::default()).ends_with("they are in line 4: say `header_row: 4`"));
        assert_eq!(
            error(&SheetLayout { skip_footer: 1, ..layout.clone() }),
            "line 7 of the exported file has 3 fields instead of 2"
        );
        assert!(
            error(&SheetLayout { skip_footer: 3, ..layout.clone() })
                .contains("line 6 of the exported file, which `skip_footer` leaves out, looks like a row")
        );
        assert_eq!(
            error(&SheetLayout { skip_footer: 5, ..layout.clone() }),
            "`skip_footer` leaves out 5 rows at the end, and the exported file has 4"
        );
        assert_eq!(
            error(&SheetLayout { header_row: Some(40), ..layout }),
            "the exported file has no line 40, which `header_row` names"
        );
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
            prop_assert_eq!(decode(&bytes, &SheetLayout::default(), &WANTED).unwrap().table.rows, expected);
        }

        #[test]
        fn anything_may_come(bytes in any::<Vec<u8>>()) {
            let layout = SheetLayout { delimiter: Delimiter::Tab, header_row: Some(2), skip_footer: 1, ..SheetLayout::default() };
            drop(decode(&bytes, &layout, &WANTED));
            let layout = SheetLayout { encoding: Some("windows-1252".to_owned()), ..layout };
            drop(decode(&bytes, &layout, &WANTED));
        }
    }
}
