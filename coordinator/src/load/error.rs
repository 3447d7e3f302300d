//! What keeps rows from being loaded, told apart by what can be done about it.

use nstore_shared::{chunk::RunId, storage::StorageError};

use crate::db::DbError;

/// What keeps rows from being loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Postgres failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The table does not fit what would be loaded into it.
    #[error("table {table} does not fit: {}", .problems.join("; "))]
    Target {
        /// The table, with its schema.
        table: String,
        /// All that does not fit.
        problems: Vec<String>,
    },
    /// Deleting rows would change rows of other tables.
    #[error("table {table}: {mode} deletes rows, and that would change rows of other tables: {}", .others.join("; "))]
    Cascade {
        /// The table, with its schema.
        table: String,
        /// The upload mode, as the source file says it.
        mode: String,
        /// What would change them: foreign keys, inheritance children, triggers, rules.
        others: Vec<String>,
    },
    /// The table is gone, or another one stands in its place.
    #[error(
        "table {table} is not the one that nstore loaded before: it was dropped or made anew by other hands"
    )]
    Recreated {
        /// The table, with its schema.
        table: String,
        /// The table alone, as `nstore forget` takes it.
        name: String,
    },
    /// A replace would erase days that it does not bring.
    #[error("replacing table {table} would erase {count} days that this run lacks: {missing}")]
    Shrink {
        /// The table, with its schema.
        table: String,
        /// How many days.
        count: usize,
        /// Which days.
        missing: String,
    },
    /// Another run has loaded or claimed days of an append without a key.
    #[error(
        "table {table} has no key, and run {run} holds {days} of it: loading them again would double rows"
    )]
    DaysHeld {
        /// The table, with its schema.
        table: String,
        /// Who holds them; the first, when there are several.
        run: String,
        /// Which days.
        days: String,
        /// Whether `--reload` can delete them, by a range column.
        reloadable: bool,
    },
    /// An append without a key has claimed days that a load would delete, and has not loaded them yet.
    #[error(
        "table {table}: run {run} is about to append {days} without a key, and this load would delete and load the same \
         days: the rows of both would be in the table"
    )]
    DaysClaimed {
        /// The table, with its schema.
        table: String,
        /// Who has claimed them; the first, when there are several.
        run: String,
        /// Which days.
        days: String,
    },
    /// A run of the same name has loaded or claimed days by another plan.
    #[error("run {run} has loaded rows by another plan: its tables, upload modes or chunks were others")]
    OtherPlan {
        /// The run.
        run: RunId,
    },
    /// A run of the same name, of another installation, has loaded or claimed days in this database.
    #[error("run {run} of another installation of nstore has loaded rows into this database")]
    OtherInstallation {
        /// The run.
        run: RunId,
    },
    /// A replace without all of its chunks.
    #[error("table {table} is not replaced: {missing}")]
    Incomplete {
        /// The table, with its schema.
        table: String,
        /// What is missing.
        missing: String,
    },
    /// Loaded before it was registered, or its days were given away.
    #[error("run {run} holds no claim on table {table}")]
    Unregistered {
        /// The run.
        run: RunId,
        /// The table, with its schema.
        table: String,
    },
    /// The run is cancelled: nothing of it is loaded.
    #[error("run {run} is cancelled")]
    Cancelled {
        /// The run.
        run: RunId,
    },
    /// Another loader is in the way.
    #[error("{what} is busy: another loader has it")]
    Busy {
        /// A table or a run.
        what: String,
    },
    /// A marker that is not about what was asked for.
    #[error("chunk {chunk} cannot be loaded: {reason}")]
    Marker {
        /// The chunk.
        chunk: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Several tables have problems.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(
        /// One per table.
        Vec<LoadError>,
    ),
}

impl LoadError {
    /// Whether another try can end otherwise.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Db(e) => e.may_pass(),
            Self::Storage(e) => e.may_pass(),
            Self::Busy { .. } => true,
            Self::Several(all) => all.iter().all(Self::may_pass),
            _ => false,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Db(e) => return e.hint(),
            Self::Target { .. } => "change the table or the mapping; nothing was changed".to_owned(),
            Self::Cascade { mode, .. } => format!(
                "drop or change what is named, or choose upload mode append; if other tables may be changed: \
                 `upload: {{ mode: {mode}, allow_cascade: true }}` in the source file"
            ),
            Self::Recreated { name, .. } => format!(
                "if that was meant: nstore forget {name}, and what was loaded into the old table counts no more"
            ),
            Self::Shrink { .. } => {
                "load just these dates with upload mode replace_range, or allow the loss with --allow-shrink"
                    .into()
            }
            Self::DaysHeld { reloadable: true, .. } => {
                "--reload deletes these days by the range column and loads them anew".into()
            }
            Self::DaysHeld { reloadable: false, run, .. } => {
                format!("choose other dates; nstore cancel {run} gives back days that were never loaded")
            }
            Self::DaysClaimed { run, .. } => {
                format!("wait until it has ended, or end it: nstore cancel {run}")
            }
            Self::OtherPlan { .. } => {
                "use another idempotency key; it may be the same where the plan is the same as before".into()
            }
            Self::OtherInstallation { .. } => {
                "use another idempotency key: each installation (storage) has its own runs".into()
            }
            Self::Unregistered { run, .. } => format!("nstore load {run} claims what is free and loads it"),
            Self::Several(all) => {
                let hints: Vec<String> = all.iter().filter_map(Self::hint).collect();
                return (!hints.is_empty()).then(|| hints.join("\n"));
            }
            _ => return None,
        };
        Some(text)
    }
}
