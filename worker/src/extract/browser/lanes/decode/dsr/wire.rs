//! The shape of Power BI's query answer, borrowed from its bytes. Pure.
//!
//! Everything that is not read here is passed over; what one query's answer is made of does not matter to another's.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(super) results: Vec<QueryResult<'a>>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "odata.error")]
    pub(super) odata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct QueryResult<'a> {
    #[serde(borrow, default)]
    pub(super) result: Option<Outcome<'a>>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Outcome<'a> {
    #[serde(borrow, default)]
    pub(super) data: Option<QueryData<'a>>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "odata.error")]
    pub(super) odata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct QueryData<'a> {
    #[serde(default)]
    pub(super) descriptor: Option<Descriptor>,
    /// Read in full only where it is wanted: see [`Shapes`] and [`Complaints`].
    #[serde(borrow, default)]
    pub(super) dsr: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Descriptor {
    #[serde(rename = "Select", default)]
    pub(super) select: Vec<Selected>,
}

/// A selected column: its name, and the column of the rows that holds it.
#[derive(Deserialize)]
pub(super) struct Selected {
    #[serde(rename = "Name", default)]
    pub(super) name: Option<String>,
    #[serde(rename = "Value", default)]
    pub(super) column: Option<String>,
}

/// The places of a `dsr` where an error may hide behind status 200.
#[derive(Deserialize)]
pub(super) struct Complaints<'a> {
    #[serde(borrow, default, rename = "odata.error")]
    pub(super) odata: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "DataShapes")]
    pub(super) failed: Vec<Complaint<'a>>,
    #[serde(borrow, default, rename = "DS")]
    pub(super) shapes: Vec<Complaint<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Complaint<'a> {
    #[serde(borrow, default, rename = "odata.error")]
    pub(super) odata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Shapes<'a> {
    #[serde(borrow, default, rename = "DS")]
    pub(super) shapes: Vec<Shape<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Shape<'a> {
    #[serde(borrow, default, rename = "PH")]
    pub(super) members: Vec<Members<'a>>,
    #[serde(default, rename = "IC")]
    pub(super) complete: bool,
    #[serde(borrow, default, rename = "RT")]
    pub(super) restart: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "ValueDicts")]
    pub(super) dictionaries: HashMap<String, Vec<&'a RawValue>>,
}

/// `{"DM0": [rows], …}`: rows by their level, 0 for the outermost.
pub(super) struct Members<'a>(pub(super) Vec<(usize, Vec<Row<'a>>)>);

/// A row as it travels.
#[derive(Default)]
pub(super) struct Row<'a> {
    /// `S`: the columns from here on.
    pub(super) schema: Option<Vec<Column>>,
    /// `C`: the values that are neither repeated nor null.
    pub(super) values: Option<Vec<&'a RawValue>>,
    /// `R`: bits of the columns that repeat the row before.
    pub(super) repeat: Option<&'a RawValue>,
    /// `Ø`: bits of the columns that are null.
    pub(super) null: Option<&'a RawValue>,
    /// `M`: the rows below; `None` where there is no such key.
    pub(super) below: Option<Vec<Members<'a>>>,
    /// Rows of one value carry it under the column's name instead of in `C`.
    pub(super) named: Vec<(String, &'a RawValue)>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Column {
    #[serde(rename = "N")]
    pub(super) name: String,
    #[serde(rename = "T", default)]
    pub(super) kind: u32,
    #[serde(rename = "DN", default)]
    pub(super) dictionary: Option<String>,
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of data members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.strip_prefix("DM").and_then(|level| level.parse().ok()) {
                Some(level) => members.push((level, map.next_value()?)),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Members(members))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut row = Row::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "S" => row.schema = map.next_value()?,
                "C" => row.values = map.next_value()?,
                "R" => row.repeat = map.next_value()?,
                "Ø" => row.null = map.next_value()?,
                "M" => row.below = map.next_value()?,
                _ => row.named.push((key.into_owned(), map.next_value()?)),
            }
        }
        Ok(row)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Row<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor)
    }
}
