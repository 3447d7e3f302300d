//! What goes wrong with Postgres: told apart by what can be done about it.

use std::error::Error as _;

use tokio_postgres::Error as PgError;

/// What goes wrong with Postgres. Its text never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// The URL is none that nstore can use.
    #[error("the postgres url cannot be used: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// A name that no identifier can hold.
    #[error("`{name}` cannot be the name of a table, column or schema: {reason}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody answers, or the server is just starting or full.
    #[error("postgres at {host}:{port} cannot be reached: {reason}")]
    Unreachable {
        /// Host name, address or socket folder.
        host: String,
        /// Port.
        port: u16,
        /// What the system or the server said.
        reason: String,
    },
    /// The server answers and does not let us in.
    #[error("postgres at {host}:{port} refused the connection: {reason}")]
    Refused {
        /// Host name, address or socket folder.
        host: String,
        /// Port.
        port: u16,
        /// What the server said.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A statement failed.
    #[error("postgres: {doing} failed: {reason}")]
    Query {
        /// What was being done.
        doing: String,
        /// What the server said.
        reason: String,
        /// The SQLSTATE.
        code: Option<String>,
        /// Whether the same may succeed later.
        may_pass: bool,
    },
}

impl DbError {
    /// Whether another try can end otherwise.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Query { may_pass, .. } => *may_pass,
            Self::Url { .. } | Self::Name { .. } | Self::Refused { .. } => false,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { hint, .. } => hint.clone(),
            Self::Unreachable { .. } => Some(
                "start the server, or correct NSTORE_POSTGRES_URL; `nstore --local` brings its own".into(),
            ),
            Self::Query { code: Some(code), .. } if code == "42501" => {
                Some("grant the role what the message names; the loader needs no superuser".into())
            }
            Self::Query { code: Some(code), .. } if code == "25006" => Some(
                "it is a standby, or about to become one: name the primary, or all hosts with \
                 target_session_attrs=read-write, in NSTORE_POSTGRES_URL"
                    .into(),
            ),
            // PostgreSQL itself has hardly a use for this code, pgbouncer has it for all that it says
            Self::Query { code: Some(code), .. } if code == "08P01" => Some(
                "through pgbouncer nstore needs pool_mode transaction or session; the server's own port is the \
                 surest way"
                    .into(),
            ),
            _ => None,
        }
    }

    /// A statement's failure.
    pub(crate) fn query(doing: impl Into<String>, e: &PgError) -> Self {
        let may_pass =
            matches!(Failure::of(e), Failure::Lost | Failure::Busy | Failure::Stopped | Failure::Full);
        Self::Query {
            doing: doing.into(),
            reason: text_of(e),
            code: e.code().map(|code| code.code().to_owned()),
            may_pass,
        }
    }
}

/// What a statement's failure means for a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection is gone, or leads to a server that takes no rows; what was not committed never happened.
    Lost,
    /// Another loader is in the way: a lock that was not got in time, or a deadlock.
    Busy,
    /// The statement was cancelled by someone.
    Stopped,
    /// Disk, memory or connections ran out.
    Full,
    /// A value that is there already.
    Duplicate,
    /// The rows are not what the table takes.
    Data,
    /// The table is not there.
    NoTable,
    /// The table or our rights on it are not what the load needs.
    Shape,
    /// Anything else.
    Other,
}

impl Failure {
    /// By SQLSTATE, never by text.
    pub(crate) fn of(e: &PgError) -> Self {
        let Some(code) = e.code() else {
            // no answer of the server: closed, reset, cut
            return if e.is_closed() || is_io(e) { Self::Lost } else { Self::Other };
        };
        match code.code() {
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006" => Self::Lost,
            "55P03" | "40P01" | "40001" => Self::Busy,
            "57014" => Self::Stopped,
            "23505" => Self::Duplicate,
            "42P01" => Self::NoTable,
            "P0001" | "44000" => Self::Data,
            other => match &other[..2] {
                "08" => Self::Lost,
                "53" | "58" => Self::Full,
                // 54: a row or an index entry that is too large
                "22" | "23" | "54" => Self::Data,
                "42" | "0A" | "3F" => Self::Shape,
                _ => Self::Other,
            },
        }
    }
}

fn is_io(e: &PgError) -> bool {
    e.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

/// Message and detail as the server said them, or the whole chain of causes.
pub(crate) fn text_of(e: &PgError) -> String {
    if let Some(said) = e.as_db_error() {
        let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
        return format!("{}{detail}", said.message());
    }
    let mut text = e.to_string();
    if let Some(cause) = e.source().map(ToString::to_string).filter(|cause| !text.contains(cause)) {
        text.push_str(": ");
        text.push_str(&cause);
    }
    text
}
