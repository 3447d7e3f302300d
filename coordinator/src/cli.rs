//! What may be typed: verbs, flags, their help. What is meant by it is worked out by the commands.

use std::{path::PathBuf, time::Duration};

use chrono_tz::Tz;
use clap::{Args, Parser, Subcommand};
use nstore_shared::{
    chunk::{ExecutionMode, RunId, UploadMode},
    config::DEFAULT_DIR,
};

use crate::plan::typed::{Pairs, TypedDate, span};

mod config;
mod repair;

pub use config::*;
pub use repair::*;
mod pause;

pub use pause::{PauseArgs, PauseTarget, UnpauseArgs};

/// Pulls operational data of any date range into one PostgreSQL: on time, complete, once.
#[derive(Debug, Parser)]
#[command(
    name = "nstore",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = TOP_EXAMPLES
)]
pub struct Cli {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const TOP_EXAMPLES: &str = "\
Examples:
  nstore --local extract --start-date yesterday --end-date yesterday --sources buyer_orders --upload
  nstore status                                   how the newest run stands, and who works
  nstore resume 20251123-040312-k3f9              go on where a run was interrupted
  nstore config validate                          all that is wrong with the configuration

Exit codes:
  0  complete       2  wrong usage or configuration       4  a service cannot be reached
  1  failed         3  partial: some chunks failed or are still to be done";

/// Flags that every verb takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Where pipeline.yaml, sources/ and mappings/ are
    #[arg(long, global = true, value_name = "DIR", env = "NSTORE_CONFIG", hide_env_values = true,
          default_value = DEFAULT_DIR)]
    pub config: PathBuf,
    /// Use private Redis, PostgreSQL and workers under .nstore/, started now and stopped at the end
    #[arg(long, global = true)]
    pub local: bool,
    /// Say more on standard error; twice: much more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Plan a run, extract it, and load it if asked to
    Extract(Box<ExtractArgs>),
    /// How a run stands; without one: the newest, and who works
    Status(StatusArgs),
    /// The runs there are, newest first
    Runs(RunsArgs),
    /// The workers that live: what each works on, and what it cannot do
    Workers(WorkersArgs),
    /// Let a worker finish what it has and end; it claims nothing more
    Drain(DrainArgs),
    /// Go on with an interrupted run; nothing that is done is done again
    Resume(RunArgs),
    /// End a run: no further chunk is extracted or loaded
    Cancel(CancelArgs),
    /// Extract nothing more of a run or a source until it is unpaused
    Pause(PauseArgs),
    /// Let a paused run or source go on
    Unpause(UnpauseArgs),
    /// Extract the chunks of a run that failed for good once more, and load refused ones again
    Retry(RunArgs),
    /// Load what a run has stored
    Load(LoadArgs),
    /// Write one CSV per source from the chunks of a run
    Export(RunArgs),
    /// Forget what was loaded into a table that was dropped or made anew by other hands
    Forget(ForgetArgs),
    /// Bring Redis up to storage and the ledger; it happens by itself while a run is followed
    Rebuild(RebuildArgs),
    /// Chunks that failed for good (dead letters): look at them, run them again, or let them be
    Discarded(DiscardedArgs),
    /// Rows that did not fit their mapping
    Rejects(RejectsArgs),
    /// Look at the configuration
    Config(ConfigArgs),
    /// Remove stored runs that have ended; shows what would go unless --yes is given
    Clean(CleanArgs),
    /// Stay, and load the runs that were started with --detach
    Serve(ServeArgs),
    /// Say whether `nstore serve` gets answers from Redis, by the file in NSTORE_HEALTH_FILE
    Health,
    /// The private servers of --local
    Local(LocalArgs),
}

/// `nstore extract`.
#[derive(Debug, Args)]
#[command(after_help = EXTRACT_EXAMPLES)]
pub struct ExtractArgs {
    /// First day: YYYY-MM-DD, today, yesterday, or -7d for seven days ago
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub start_date: TypedDate,
    /// Last day; it belongs
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub end_date: TypedDate,
    /// The sources, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    pub sources: Vec<String>,
    /// Days per chunk, 1 to 366
    #[arg(long, value_name = "A:3,B:5")]
    pub chunk_sizes: Option<Pairs<u32>>,
    /// parallel, sequential or auto
    #[arg(long, value_name = "A:parallel,B:sequential")]
    pub execution_mode: Option<Pairs<Option<ExecutionMode>>>,
    /// The most chunks of one source in flight; 4 unless the configuration says otherwise
    #[arg(long, value_name = "N")]
    pub parallel_workers: Option<u32>,
    /// Load the rows into PostgreSQL; without it they are stored only
    #[arg(long)]
    pub upload: bool,
    /// append, replace or replace_range
    #[arg(long, value_name = "A:append,B:replace")]
    pub upload_mode: Option<Pairs<UploadMode>>,
    /// The zone of sources that declare none, such as Asia/Kolkata
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<Tz>,
    /// Print the plan and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not wait; `nstore serve` loads the rows
    #[arg(long, conflicts_with = "dry_run")]
    pub detach: bool,
    /// Delete days that another run loaded, and load them anew (append without a key)
    #[arg(long)]
    pub reload: bool,
    /// Let a replace drop days that the table holds
    #[arg(long)]
    pub allow_shrink: bool,
    /// End the run at the first chunk that fails for good; otherwise the other chunks go on
    #[arg(long)]
    pub fail_fast: bool,
    /// The same key with the same plan is the same run: safe to repeat from a scheduler
    #[arg(long, value_name = "KEY", value_parser = idempotency_key)]
    pub idempotency_key: Option<String>,
    /// Print one JSON document at the end, and nothing else, on standard output
    #[arg(long)]
    pub json: bool,
}

/// A key that is empty would make all runs that have one the same run.
fn idempotency_key(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(
            "the key is empty; write one that names the run, such as \"daily 2025-08-01\", or leave \
                    --idempotency-key out"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

const EXTRACT_EXAMPLES: &str = "\
Examples:
  # a month of two sources into PostgreSQL
  nstore extract --start-date 2025-08-01 --end-date 2025-08-31 --sources buyer_orders,buyer_tickets \\
      --chunk-sizes \"buyer_orders:3,buyer_tickets:5\" --upload
  # yesterday, every day, safe to repeat
  nstore extract --start-date yesterday --end-date yesterday --sources buyer_orders --upload \\
      --idempotency-key \"daily $(date +%F)\"
  # what would be done
  nstore extract --start-date -7d --end-date yesterday --sources buyer_razorpay --dry-run

Ctrl-C: extraction goes on, `nstore resume RUN` loads the rest; with --local everything stops and resume goes on.";

/// A verb on one run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The run, as `nstore runs` shows it
    #[arg(value_name = "RUN")]
    pub run: RunId,
    /// Print one JSON document at the end, and nothing else, on standard output
    #[arg(long)]
    pub json: bool,
}

/// `nstore load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The run, as `nstore runs` shows it
    #[arg(value_name = "RUN")]
    pub run: RunId,
    /// Delete days that another run loaded, and load them anew (append without a key)
    #[arg(long)]
    pub reload: bool,
    /// Let a replace drop days that the table holds
    #[arg(long)]
    pub allow_shrink: bool,
    /// Print one JSON document at the end, and nothing else, on standard output
    #[arg(long)]
    pub json: bool,
}

/// `nstore cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The run, as `nstore runs` shows it
    #[arg(value_name = "RUN")]
    pub run: RunId,
    /// Why, for those who look at the run later
    #[arg(long, value_name = "TEXT", default_value = "cancelled by `nstore cancel`")]
    pub reason: String,
}

/// `nstore status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The run, as `nstore runs` shows it; the exit code then tells how it stands, 0 while it is open
    #[arg(value_name = "RUN")]
    pub run: Option<RunId>,
    /// Show the settings, and where each came from
    #[arg(long)]
    pub show_config: bool,
    /// Show how much is stored, and how much fits
    #[arg(long)]
    pub show_storage: bool,
    /// Stay, and show every change until the run has ended
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `nstore runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `nstore workers`.
#[derive(Debug, Args)]
pub struct WorkersArgs {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `nstore drain`.
#[derive(Debug, Args)]
#[command(after_help = DRAIN_NOTES)]
pub struct DrainArgs {
    /// The worker, as `nstore workers` shows it
    #[arg(value_name = "WORKER")]
    pub worker: String,
    /// Stay until it has ended
    #[arg(long)]
    pub wait: bool,
}

const DRAIN_NOTES: &str = "\
The worker hears of it with its next heartbeat, finishes its chunks however long they take, and exits with 0.
Whoever starts it again at exit code 0 undoes that: tell systemd Restart=on-failure.";

/// `nstore forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The table, without its schema
    #[arg(value_name = "TABLE")]
    pub table: String,
}

/// `nstore clean`.
#[derive(Debug, Args)]
#[command(after_help = CLEAN_NOTES)]
pub struct CleanArgs {
    /// Only runs that were started longer ago
    #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = span)]
    pub older_than: Duration,
    /// Only runs of this source and no other; may be given several times
    #[arg(long = "source", value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Files of other runs that nothing refers to go when they are older
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span)]
    pub grace: Duration,
    /// Show what would go, and remove nothing (this is the default)
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Remove it
    #[arg(long)]
    pub yes: bool,
}

const CLEAN_NOTES: &str = "\
A run goes as a whole, and only when all its chunks have ended and all rows that it was to load are loaded,
or when it was cancelled. What is in PostgreSQL stays.

Example:
  nstore clean --older-than 30d --source buyer_orders          what would go
  nstore clean --older-than 30d --source buyer_orders --yes    remove it";

/// `nstore local`.
#[derive(Debug, Args)]
pub struct LocalArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: LocalVerb,
}

/// What to do with the private servers.
#[derive(Debug, Subcommand)]
pub enum LocalVerb {
    /// Open psql on the private PostgreSQL, starting it if needed
    Psql {
        /// For psql, such as: -- -c 'select count(*) from buyer_orders'
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// End servers and workers that a killed nstore left behind
    Stop,
    /// Say what is there and what runs
    Status,
}

impl Verb {
    /// Whether the answer is one JSON document, an error's too.
    pub fn json(&self) -> bool {
        match self {
            Self::Extract(args) => args.json,
            Self::Status(args) => args.json,
            Self::Runs(args) => args.json,
            Self::Workers(args) => args.json,
            Self::Resume(args) | Self::Retry(args) | Self::Export(args) => args.json,
            Self::Load(args) => args.json,
            Self::Rebuild(args) => args.json,
            Self::Discarded(args) => args.verb.json(),
            Self::Rejects(args) => args.verb.json(),
            Self::Pause(args) => args.json,
            Self::Unpause(args) => args.json,
            Self::Config(args) => match &args.verb {
                ConfigVerb::Show { json } | ConfigVerb::TestConnections { json, .. } => *json,
                ConfigVerb::Validate | ConfigVerb::Schema { .. } => false,
            },
            Self::Cancel(_)
            | Self::Forget(_)
            | Self::Clean(_)
            | Self::Drain(_)
            | Self::Serve(_)
            | Self::Health
            | Self::Local(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::*;

    fn help(command: &Command, path: &str, all: &mut Vec<(String, String)>) {
        let mut shown = command.clone();
        all.push((path.to_owned(), shown.render_help().to_string()));
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            help(verb, &format!("{path} {}", verb.get_name()), all);
        }
    }

    #[test]
    fn the_help_of_each_verb_is_as_it_is_shown() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut all = Vec::new();
        help(&command, "nstore", &mut all);
        for (path, text) in all {
            insta::assert_snapshot!(format!("help of {path}").replace(' ', "_"), text);
        }
    }

    #[test]
    fn the_users_own_command_line_is_understood() {
        let typed = "nstore --local extract --start-date 2025-08-01 --end-date -7d --sources a,b \
                     --chunk-sizes a:3,b:5 --execution-mode a:parallel,b:sequential --parallel-workers 4 \
                     --upload --upload-mode a:append,b:replace";
        let cli = Cli::try_parse_from(typed.split_whitespace()).unwrap();
        assert!(cli.global.local);
        let Verb::Extract(args) = cli.verb else { panic!("another verb") };
        assert_eq!(args.sources, ["a", "b"]);
        assert_eq!(args.end_date, TypedDate::Ago(7));
        assert_eq!(args.upload_mode.unwrap().0[1], ("b".to_owned(), UploadMode::Replace));
        assert!(args.upload && !args.json && !args.detach);
    }

    #[test]
    fn what_is_mistyped_is_named() {
        let wrong = |typed: &str| Cli::try_parse_from(typed.split_whitespace()).unwrap_err().to_string();
        let start = "nstore extract --sources a --end-date today --start-date";
        let said = wrong(&format!("{start} 2025-02-30"));
        assert!(said.contains("a date is YYYY-MM-DD"), "{said}");
        let said = wrong(&format!("{start} today --chunk-sizes a:x"));
        assert!(said.contains("`a:x`: `x` is not a number of days"), "{said}");
        let empty = |key: &str| {
            let typed = start.split_whitespace().chain(["today", "--idempotency-key", key]);
            Cli::try_parse_from(typed).map(drop).map_err(|error| error.to_string())
        };
        for key in ["", "  "] {
            let said = empty(key).unwrap_err();
            assert!(said.contains("the key is empty") && said.contains("--idempotency-key"), "{said}");
        }
        assert_eq!(empty("daily"), Ok(()));
        let said = wrong("nstore resume ../etc");
        assert!(said.contains("is not a valid id"), "{said}");
        let said = wrong(&format!("{start} today --timezone Mars/Base"));
        assert!(said.contains("Mars/Base"), "{said}");
    }
}
