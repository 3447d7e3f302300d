//! What may be typed about the configuration.

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};

/// `nstore config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Name everything that is wrong, each with file and line
    Validate,
    /// Show every setting as it applies, without secrets, and where it came from
    Show {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of a kind of file
    Schema {
        /// Which kind; all of them when left out
        #[arg(value_name = "FILE")]
        file: Option<SchemaFile>,
    },
    /// Try Redis, PostgreSQL, storage, and each source's login and first page
    TestConnections {
        /// These sources only, separated by commas
        #[arg(long, value_name = "A,B", value_delimiter = ',')]
        sources: Vec<String>,
        /// The day to ask the sources for; otherwise the newest days that have data, yesterday first
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: Option<NaiveDate>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// A kind of configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaFile {
    /// pipeline.yaml
    Pipeline,
    /// sources/*.yaml
    Source,
    /// mappings/*.yaml
    Mapping,
}
