//! Workbooks as Power BI and others write them, made by hand.

use std::io::Write as _;

use proptest::prelude::*;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

const WANTED: [&str; 2] = ["timestamp", "value"];

/// Number formats by style: 0 general, 1 date and time, 2 hours beyond a day.
const STYLES: &str = r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
<numFmts count="1"><numFmt numFmtId="170" formatCode="yyyy\-mm\-dd\ hh:mm:ss.000"/></numFmts>
<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="170"/><xf numFmtId="46"/></cellXfs></styleSheet>"#;

/// A workbook with these sheets, each a list of rows by number.
fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut file = |name: &str, text: String| {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    };
    let (mut listed, mut related) = (String::new(), String::new());
    for (index, (name, rows)) in sheets.iter().enumerate() {
        listed += &format!(r#"<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>"#, n = index + 1);
        related += &format!(
            r#"<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/s{n}.xml"/>"#,
            n = index + 1
        );
        let sheet = format!(r#"<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>"#);
        file(&format!("xl/worksheets/s{}.xml", index + 1), sheet);
    }
    related += &format!(r#"<Relationship Id="s" Type="{office}/styles" Target="styles.xml"/>"#);
    file("xl/styles.xml", STYLES.to_owned());
    file(
        "xl/_rels/workbook.xml.rels",
        format!(r#"<Relationships xmlns="{package}">{related}</Relationships>"#),
    );
    file(
        "xl/workbook.xml",
        format!(r#"<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>"#),
    );
    file(
        "_rels/.rels",
        format!(
            r#"<Relationships xmlns="{package}"><Relationship Id="w" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
        ),
    );
    zip.finish().unwrap().into_inner()
}

fn sheet(name: &str) -> SheetLayout {
    SheetLayout { sheet: Some(name.to_owned()), ..SheetLayout::default() }
}

fn texts(number: u32, cells: &[&str]) -> String {
    let cell = |(column, text): (u8, &&str)| match *text {
        "" => String::new(),
        text => format!(
            r#"<c r="{}{number}" t="inlineStr"><is><t>{text}</t></is></c>"#,
            char::from(b'A' + column)
        ),
    };
    let cells: String = (0..).zip(cells).map(cell).collect();
    format!(r#"<row r="{number}">{cells}</row>"#)
}

/// A time in days since 1899-12-30, in the style that is given, and a number.
fn numbers(number: u32, style: u32, days: &str, value: &str) -> String {
    format!(
        r#"<row r="{number}"><c r="B{number}" s="{style}"><v>{days}</v></c><c r="C{number}"><v>{value}</v></c></row>"#
    )
}

fn row(time: Option<&str>, value: Option<&str>) -> Vec<Option<String>> {
    [time, value].map(|value| value.map(str::to_owned)).to_vec()
}

#[test]
fn notes_above_and_below_are_no_rows() {
    let rows = [
        texts(1, &["Applied filters: Timestamp is after 2025"]),
        texts(3, &["Metric", "Timestamp", " VALUE"]),
        numbers(4, 1, "45870.010416666664", "12.5"),
        numbers(5, 1, "45870.5", "0.30000000000000004"),
        texts(7, &["", "later", ""]),
        texts(9, &["Applied filters: Region is South", "", ""]),
    ];
    let book = workbook(&[("Export", &rows.concat())]);
    let expected = [
        row(Some("2025-08-01T00:15:00"), Some("12.5")),
        row(Some("2025-08-01T12:00:00"), Some("0.3")),
        row(Some("later"), None),
    ];
    assert_eq!(decode(&book, &SheetLayout::default(), &WANTED).unwrap().table.rows, expected);
}

#[test]
fn values_are_plain_text() {
    for (style, days, value, time, plain) in [
        (1, "45870.01041667824", "1E3", "2025-08-01T00:15:00.001", "1000"),
        (2, "1.0625", "-0", "25:30:00", "0"),
        (0, "45870", "9007199254740991", "45870", "9007199254740991"),
        (1, "-5", "1.0E-7", "-5", "0.0000001"),
        (1, "1E300", "-12.100000000000001", &format!("1{}", "0".repeat(300)), "-12.1"),
    ] {
        let rows = texts(1, &["metric", "timestamp", "value"]) + &numbers(2, style, days, value);
        let book = workbook(&[("Export", &rows)]);
        assert_eq!(
            decode(&book, &SheetLayout::default(), &WANTED).unwrap().table.rows,
            [row(Some(time), Some(plain))]
        );
    }
}

#[test]
fn a_sheet_may_be_named() {
    let rows = |text: &str| texts(1, &WANTED) + &texts(2, &[text]);
    let book = workbook(&[("One", &rows("1")), ("Two", &rows("2"))]);
    assert_eq!(decode(&book, &SheetLayout::default(), &WANTED).unwrap().table.rows, [row(Some("1"), None)]);
    assert_eq!(decode(&book, &sheet("Two"), &WANTED).unwrap().table.rows, [row(Some("2"), None)]);
    let error = decode(&book, &sheet("two"), &WANTED).unwrap_err();
    assert_eq!(error.to_string(), "the exported file has no sheet `two`; its sheets are `One`, `Two`");
}

#[test]
fn what_is_wrong_is_told() {
    let rows = texts(1, &["Applied filters: none"]) + &texts(2, &["Timestamp", "Wert"]);
    let error = decode(&workbook(&[("Export", &rows)]), &SheetLayout::default(), &WANTED).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the exported file has no column `value`; its headers are `Timestamp`, `Wert`"
    );
    assert_eq!(
        decode(&workbook(&[("Export", "")]), &SheetLayout::default(), &WANTED).unwrap_err(),
        SheetError::Empty
    );
    assert!(matches!(decode(b"PK", &SheetLayout::default(), &WANTED), Err(SheetError::Workbook(_))));
    assert!(matches!(
        decode(b"<html><title>x</title>", &SheetLayout::default(), &WANTED),
        Err(SheetError::Page(_))
    ));
}

proptest! {
    #[test]
    fn a_damaged_workbook_may_come(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let rows = texts(1, &WANTED) + &numbers(2, 1, "45870.5", "1");
        let mut book = workbook(&[("Export", &rows)]);
        for (at, byte) in changes {
            let at = at.index(book.len());
            book[at] = byte;
        }
        drop(decode(&book, &SheetLayout::default(), &WANTED));
    }
}

#[test]
fn the_row_of_the_headers_can_be_named_and_sums_are_left_out() {
    let rows = [
        texts(1, &["timestamp", "value"]),
        texts(3, &["timestamp", "value"]),
        texts(4, &["t1", "1"]),
        texts(5, &["Total", "1"]),
    ];
    let book = workbook(&[("Export", &rows.concat())]);
    let layout = SheetLayout { header_row: Some(3), skip_footer: 1, ..SheetLayout::default() };
    let found = decode(&book, &layout, &WANTED).unwrap();
    assert_eq!(found.table.rows, [vec![Some("t1".to_owned()), Some("1".to_owned())]]);
    assert_eq!(found.counted, 2);
    let layout = SheetLayout { header_row: Some(2), ..layout };
    assert_eq!(decode(&book, &layout, &WANTED).unwrap_err(), SheetError::NoHeader(2));
}
