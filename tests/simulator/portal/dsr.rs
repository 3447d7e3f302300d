//! The "data shape result" in which Power BI answers: rows that leave out what they repeat. Pure.
//!
//! The first row names the columns in `S`. A row is `C`, the values that are neither repeated nor null, and two bit
//! sets over the columns, from bit 0: `R` for those that repeat the value of the row before, a null included, and `Ø`
//! for those that become null. Texts of a column with a dictionary `DN` are indices into `ValueDicts[DN]`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// One column of an answer.
pub(super) struct Column {
    /// What rows call it: `G0`, `M0`.
    pub(super) name: String,
    /// Power BI's number of its type: 1 a text, 3 a double, 4 an integer, 7 a time in milliseconds since 1970.
    pub(super) kind: u8,
    /// The dictionary of its texts.
    pub(super) dictionary: Option<String>,
}

/// The rows, and the dictionaries by name.
pub(super) fn encode(columns: &[Column], rows: impl Iterator<Item = Vec<Value>>) -> (Vec<Value>, Value) {
    let mut dictionaries: Vec<Dictionary> = columns.iter().map(|_| Dictionary::default()).collect();
    let mut before: Option<Vec<Value>> = None;
    let mut encoded = vec![];
    for values in rows {
        let mut row = Map::new();
        if before.is_none() {
            row.insert("S".to_owned(), schema(columns));
        }
        let (mut repeats, mut nulls, mut changed) = (0u64, 0u64, vec![]);
        for (n, value) in values.iter().enumerate() {
            if before.as_ref().is_some_and(|before| before[n] == *value) {
                repeats |= 1 << n;
            } else if value.is_null() {
                nulls |= 1 << n;
            } else if let (Some(_), Some(text)) = (&columns[n].dictionary, value.as_str()) {
                changed.push(json!(dictionaries[n].index(text)));
            } else {
                changed.push(value.clone());
            }
        }
        row.insert("C".to_owned(), Value::Array(changed));
        for (bits, name) in [(repeats, "R"), (nulls, "Ø")] {
            if bits > 0 {
                row.insert(name.to_owned(), json!(bits));
            }
        }
        encoded.push(Value::Object(row));
        before = Some(values);
    }
    let named = columns.iter().zip(dictionaries);
    let named = named.filter_map(|(column, dictionary)| Some((column.dictionary.clone()?, dictionary.texts)));
    (encoded, Value::Object(named.map(|(name, texts)| (name, json!(texts))).collect()))
}

fn schema(columns: &[Column]) -> Value {
    let of = |column: &Column| match &column.dictionary {
        Some(dictionary) => json!({"N": column.name, "T": column.kind, "DN": dictionary}),
        None => json!({"N": column.name, "T": column.kind}),
    };
    columns.iter().map(of).collect()
}

/// The texts of a column, each once, in the order in which they came.
#[derive(Default)]
struct Dictionary {
    texts: Vec<String>,
    known: HashMap<String, usize>,
}

impl Dictionary {
    fn index(&mut self, text: &str) -> usize {
        if let Some(index) = self.known.get(text) {
            return *index;
        }
        self.known.insert(text.to_owned(), self.texts.len());
        self.texts.push(text.to_owned());
        self.texts.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_leave_out_what_they_repeat() {
        let columns = [
            Column { name: "G0".to_owned(), kind: 7, dictionary: None },
            Column { name: "G1".to_owned(), kind: 1, dictionary: Some("D0".to_owned()) },
            Column { name: "M0".to_owned(), kind: 3, dictionary: None },
        ];
        let rows = [
            json!([1000, "up", null]),
            // a null that follows a null is a repeated value like any other
            json!([1000, "down", null]),
            json!([2000, "up", 1.5]),
            json!([2000, "up", 1.5]),
            json!([2000, null, 1.5]),
            // what stood before a null is no longer there to be repeated
            json!([2000, "up", null]),
        ];
        let rows = rows.into_iter().map(|row| row.as_array().unwrap().clone());
        let (encoded, dictionaries) = encode(&columns, rows);
        let schema = json!([{"N": "G0", "T": 7}, {"N": "G1", "T": 1, "DN": "D0"}, {"N": "M0", "T": 3}]);
        let expected = [
            json!({"S": schema, "C": [1000, 0], "Ø": 4}),
            json!({"C": [1], "R": 5}),
            json!({"C": [2000, 0, 1.5]}),
            json!({"C": [], "R": 7}),
            json!({"C": [], "R": 5, "Ø": 2}),
            json!({"C": [0], "R": 1, "Ø": 4}),
        ];
        assert_eq!(encoded, expected);
        assert_eq!(dictionaries, json!({"D0": ["up", "down"]}));
        assert_eq!(encode(&columns, std::iter::empty()).0.len(), 0);
    }
}
