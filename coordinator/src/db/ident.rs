//! The one place where a name becomes part of a statement.

use std::fmt;

use super::DbError;

/// The longest name that Postgres keeps whole, in bytes; it cuts longer ones in silence.
const LONGEST: usize = 63;

/// A name that can be quoted: not empty, no NUL, not longer than Postgres keeps. `Display` quotes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ident(String);

impl Ident {
    pub(crate) fn new(name: &str) -> Result<Self, DbError> {
        let refuse = |reason| Err(DbError::Name { name: name.to_owned(), reason });
        if name.is_empty() {
            return refuse("it is empty");
        }
        if name.contains('\0') {
            return refuse("it holds a NUL character");
        }
        if name.len() > LONGEST {
            return refuse("it is longer than 63 bytes, which is all that Postgres keeps");
        }
        Ok(Self(name.to_owned()))
    }

    /// Unquoted, for use as a value.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// Names as a list of columns.
pub(crate) fn columns(names: &[String]) -> Result<String, DbError> {
    let quoted: Result<Vec<String>, DbError> =
        names.iter().map(|name| Ident::new(name).map(|name| name.to_string())).collect();
    Ok(quoted?.join(", "))
}

/// A table that rows are loaded into. `Display` is its quoted form for statements.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) schema: Ident,
    pub(crate) table: Ident,
}

impl Target {
    pub(crate) fn new(schema: Ident, table: Ident) -> Self {
        Self { schema, table }
    }

    /// How people and the ledger call it: quoted only where it would be ambiguous otherwise.
    pub(crate) fn name(&self) -> String {
        let plain = |ident: &Ident| {
            let text = ident.as_str();
            let simple = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if simple { text.to_owned() } else { ident.to_string() }
        };
        format!("{}.{}", plain(&self.schema), plain(&self.table))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a quoted identifier as Postgres does; `None` unless it is exactly one.
    fn read_back(quoted: &str) -> Option<String> {
        let mut rest = quoted.strip_prefix('"')?.chars();
        let mut name = String::new();
        while let Some(c) = rest.next() {
            match c {
                '"' => match rest.next() {
                    None => return Some(name),
                    Some('"') => name.push('"'),
                    Some(_) => return None,
                },
                c => name.push(c),
            }
        }
        None
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_one_identifier_whatever_it_holds(name in "\\PC{0,80}|[\"'; \\-\\\\]{0,70}") {
            match Ident::new(&name) {
                Ok(ident) => prop_assert_eq!(read_back(&ident.to_string()), Some(name)),
                Err(_) => prop_assert!(name.is_empty() || name.len() > 63),
            }
        }
    }

    #[test]
    fn names_that_postgres_would_change_are_refused() {
        assert!(Ident::new(&"é".repeat(31)).is_ok());
        assert!(Ident::new(&"é".repeat(32)).is_err());
        assert!(Ident::new("a\0b").is_err());
        assert!(Ident::new("").is_err());
    }

    #[test]
    fn the_ledger_tells_targets_apart() {
        let name = |schema: &str, table: &str| {
            Target::new(Ident::new(schema).unwrap(), Ident::new(table).unwrap()).name()
        };
        assert_eq!(name("public", "buyer_orders"), "public.buyer_orders");
        assert_ne!(name("a.b", "c"), name("a", "b.c"));
    }
}
