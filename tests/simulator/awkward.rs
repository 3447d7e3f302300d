//! Text as people type it into forms: everything that a CSV, a COPY or a spreadsheet may stumble over.

use serde_json::{Value, json};

use super::seed::Dice;

const PIECES: &[&str] = &[
    "please call before delivery",
    "said \"leave it at the gate\", twice",
    "\"",
    "\"\"",
    "'; DROP TABLE buyer_orders; --",
    "first line\nsecond line",
    "from Windows\r\nwith love",
    "old Mac\rstyle",
    "a,b,,c",
    ",",
    "tab\there",
    "back\\slash",
    "\\N",
    "\\.",
    "\\",
    "NULL",
    "null",
    "N/A",
    "=1+1",
    "=HYPERLINK(\"http://example.com\";\"x\")",
    "+91 98450 00000",
    "-",
    "@home",
    "😀 great, 👩‍👩‍👧‍👦 liked it 🇮🇳",
    "शुक्रिया, बहुत अच्छा",
    "ಧನ್ಯವಾದಗಳು",
    "مرحبا بالعالم",
    "שלום \u{202e}עולם\u{202c}",
    "Zoë’s café: naïve – “quoted”",
    "e\u{301} is two, é is one",
    "  blanks around  ",
    " ",
    "\n",
    "\r\n",
    "\u{feff}starts with a byte order mark",
    "replacement \u{fffd} character",
    "bell \u{7} and escape \u{1b}[31m",
    "\u{7f}delete",
    "{\"json\": [1, 2]}",
    "<b>bold</b> &amp; co",
    "2025-08-01",
    "0",
    "00560",
    "1e3",
    "NaN",
    "true",
    "line\u{2028}separator",
    "𝒜 beyond the first plane 𐍈",
];

/// A free text: absent, empty, one piece, or several.
pub(crate) fn text(dice: &mut Dice) -> Option<String> {
    match dice.below(24) {
        0..=3 => None,
        4..=5 => Some(String::new()),
        6..=15 => Some(dice.pick(PIECES).to_owned()),
        16..=22 => Some([dice.pick(PIECES), dice.pick(PIECES)].join(" ")),
        _ => Some(long(dice)),
    }
}

/// A text that is always there.
pub(crate) fn some_text(dice: &mut Dice) -> String {
    text(dice).unwrap_or_else(|| "?".to_owned())
}

fn long(dice: &mut Dice) -> String {
    let count = 20 + dice.below(60);
    (0..count).map(|_| dice.pick(PIECES)).collect::<Vec<_>>().join("; ")
}

/// A JSON object, an array, or nothing: keys of many lengths, nested, with awkward strings.
pub(crate) fn document(dice: &mut Dice) -> Value {
    match dice.below(6) {
        0 => Value::Null,
        1 => json!({}),
        2 => json!([]),
        3 => json!({"source": dice.pick(&["app", "web", "whatsapp"]), "utm": some_text(dice)}),
        4 => json!([1, "two", null, {"three": [3.5, true]}]),
        _ => json!({
            "a": dice.below(1000),
            "bb": dice.fraction(100_000, 2),
            "é": some_text(dice),
            "zzz": {"deep": {"er": [some_text(dice), null, false]}, "": "empty key"},
            "aaaa": [],
            "with \"quote\"": dice.below(9_007_199_254_740_993),
            "none": null,
        }),
    }
}
