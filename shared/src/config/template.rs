//! Texts with a chunk's dates in them: `{start:%Y-%m-%d}`. Pure.

use std::{fmt::Write as _, str::FromStr};

use chrono::{
    DateTime, Duration, Utc,
    format::{Item, StrftimeItems},
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// The dates that a template may name.
const DATES: [&str; 3] = ["start", "end", "last_day"];

/// A text whose placeholders are filled in for each chunk. `{{` stands for a plain `{`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    Date(Date, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Date {
    /// The first instant that belongs.
    Start,
    /// The first instant that does not.
    End,
    /// The last second that belongs.
    LastDay,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder that is not closed.
    #[error("`{{` without `}}`")]
    Open,
    /// A placeholder of another name.
    #[error("unknown placeholder `{{{0}}}`")]
    Unknown(String),
    /// A pattern that strftime does not know.
    #[error("`{0}` is no strftime pattern")]
    Pattern(String),
}

impl TemplateError {
    /// What would be right.
    pub fn hint(&self) -> String {
        let names = DATES.map(|name| format!("{{{name}:%Y-%m-%d}}")).join(", ");
        match self {
            Self::Open => "close it with `}`, or write `{{` for a plain `{`".to_owned(),
            Self::Unknown(_) => format!("placeholders: {names}; write `{{{{` for a plain `{{`"),
            Self::Pattern(_) => "as in %Y-%m-%d; write %% for a plain %".to_owned(),
        }
    }
}

impl Template {
    /// The text as it is written in the config.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text for the chunk `[start, end)`, its dates in `zone`.
    pub fn render(&self, start: DateTime<Utc>, end: DateTime<Utc>, zone: Tz) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Plain(text) => out.push_str(text),
                Part::Date(date, pattern) => {
                    let at = match date {
                        Date::Start => start,
                        Date::End => end,
                        Date::LastDay => end - Duration::seconds(1),
                    };
                    // the pattern was read when the template was made, and a string takes all that is written
                    let _ = write!(out, "{}", at.with_timezone(&zone).format(pattern));
                }
            }
        }
        out
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                plain.push('{');
                rest = after;
                continue;
            }
            let (inside, after) = rest.split_once('}').ok_or(TemplateError::Open)?;
            parts.push(Part::Plain(std::mem::take(&mut plain)));
            parts.push(placeholder(inside)?);
            rest = after;
        }
        plain.push_str(rest);
        parts.push(Part::Plain(plain));
        parts.retain(|part| !matches!(part, Part::Plain(text) if text.is_empty()));
        Ok(Self { text: text.to_owned(), parts })
    }
}

fn placeholder(inside: &str) -> Result<Part, TemplateError> {
    let unknown = || TemplateError::Unknown(inside.to_owned());
    let (name, pattern) = inside.split_once(':').ok_or_else(unknown)?;
    let date = match name {
        "start" => Date::Start,
        "end" => Date::End,
        "last_day" => Date::LastDay,
        _ => return Err(unknown()),
    };
    if pattern.is_empty() || StrftimeItems::new(pattern).any(|item| item == Item::Error) {
        return Err(TemplateError::Pattern(pattern.to_owned()));
    }
    Ok(Part::Date(date, pattern.to_owned()))
}

impl TryFrom<String> for Template {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, TemplateError> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkRange;

    fn rendered(text: &str) -> String {
        let range: ChunkRange = "2025-08-01_2025-08-03".parse().unwrap();
        let zone = chrono_tz::Asia::Kolkata;
        let (start, end) = range.instants(zone);
        text.parse::<Template>().unwrap().render(start, end, zone)
    }

    #[test]
    fn dates_are_those_of_the_zone() {
        assert_eq!(rendered("{start:%Y-%m-%d}..{last_day:%d/%m/%Y}"), "2025-08-01..02/08/2025");
        assert_eq!(rendered("to={end:%s}&all"), "to=1754159400&all");
        assert_eq!(rendered("{{start} {{"), "{start} {");
        assert_eq!(rendered("plain"), "plain");
    }

    #[test]
    fn what_cannot_be_filled_in_is_said() {
        let wrong = |text: &str| text.parse::<Template>().unwrap_err().to_string();
        assert_eq!(wrong("{start:%Y"), "`{` without `}`");
        assert_eq!(wrong("{first:%Y}"), "unknown placeholder `{first:%Y}`");
        assert_eq!(wrong("{start}"), "unknown placeholder `{start}`");
        assert_eq!(wrong("{start:%Q}"), "`%Q` is no strftime pattern");
    }
}
