//! Figures on the rows of a chunk.

use nstore_shared::storage::marker::Quality;

use super::{
    place::Place,
    time::{self, Moment},
};

/// Sums over all rows written so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) nulls: Vec<u64>,
    pub(super) spans: Vec<Option<(Moment, Moment)>>,
    pub(super) rejected: u64,
    pub(super) outside: Outside,
    pub(super) nul_stripped: u64,
    /// Records that are objects.
    pub(super) objects: u64,
    /// Of each column, whether some record had its field.
    pub(super) fields_seen: Vec<bool>,
    /// Rows left out because an equal one was there.
    pub(super) duplicates: u64,
    /// The key of the first of them.
    pub(super) duplicate: String,
}

/// Records outside the chunk.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// All of them.
    pub(super) all: u64,
    /// Those that were not asked for.
    pub(super) unasked: u64,
    /// Those that lie more than a step from what was asked for.
    pub(super) far: u64,
    /// The moments of some that were not asked for.
    pub(super) examples: Vec<String>,
}

/// Times of records outside the chunk that a message names.
const MAX_EXAMPLES: usize = 3;

impl Outside {
    /// Counts one.
    pub(super) fn count(&mut self, place: Place, moment: Moment) {
        self.all += 1;
        self.unasked += u64::from(matches!(place, Place::Near | Place::Far));
        self.far += u64::from(place == Place::Far);
        // those that lie far say more
        if place == Place::Far && self.far == 1 {
            self.examples.clear();
        }
        let wanted = place == Place::Far || (place == Place::Near && self.far == 0);
        if wanted && self.examples.len() < MAX_EXAMPLES {
            let example = written(moment);
            if !self.examples.contains(&example) {
                self.examples.push(example);
            }
        }
    }
}

/// What one row adds to the sums, if it is written in the end.
#[derive(Debug, Default)]
pub(super) struct RowTally {
    pub(super) nulls: Vec<usize>,
    pub(super) moments: Vec<(usize, Moment)>,
    pub(super) nul_stripped: u64,
}

impl RowTally {
    /// Forgets the last row.
    pub(super) fn clear(&mut self) {
        self.nulls.clear();
        self.moments.clear();
        self.nul_stripped = 0;
    }
}

impl Tally {
    /// Sums for so many columns.
    pub(super) fn new(columns: usize) -> Self {
        Self {
            nulls: vec![0; columns],
            spans: vec![None; columns],
            fields_seen: vec![false; columns],
            ..Self::default()
        }
    }

    /// Adds a row that was written.
    pub(super) fn add(&mut self, row: &RowTally) {
        for &column in &row.nulls {
            self.nulls[column] += 1;
        }
        for &(column, moment) in &row.moments {
            let span = self.spans[column].get_or_insert((moment, moment));
            *span = (span.0.min(moment), span.1.max(moment));
        }
        self.nul_stripped += row.nul_stripped;
    }

    /// The figures as the marker keeps them.
    pub(super) fn finish<'a>(&self, names: impl Iterator<Item = &'a str>) -> Quality {
        let mut quality = Quality {
            rejected: self.rejected,
            outside_window: self.outside.unasked,
            duplicates: self.duplicates,
            nul_stripped: self.nul_stripped,
            ..Quality::default()
        };
        for (column, name) in names.enumerate() {
            if self.nulls[column] > 0 {
                quality.nulls.insert(name.to_owned(), self.nulls[column]);
            }
            if let Some((first, last)) = self.spans[column] {
                quality.spans.insert(name.to_owned(), (written(first), written(last)));
            }
        }
        quality
    }
}

fn written(moment: Moment) -> String {
    let mut bytes = Vec::new();
    time::write(&mut bytes, moment);
    String::from_utf8_lossy(&bytes).into_owned()
}
