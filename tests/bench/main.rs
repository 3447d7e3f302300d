//! The figures, each as a ratio in one run on private servers: `make bench`, or one of them by its name.
//!
//! - `load`: the loader against `psql \copy` of the same files into the same kind of table
//! - `s3`: loading from an S3 server against loading from a local folder, and the loader's peak memory
//! - `speedup`: 32 one-day chunks at 50 ms latency, 4 in flight against one
//! - `memory`: peak memory of a worker, a chunk of 1,000,000 rows against one of 10,000
//! - `lanes`: rows/s of each lane of a dashboard against the replaced design, which reads cell by cell
//! - `slot`: seconds from a browser's start to the first row, and memory of a slot
//! - `dispatch`: chunks dispatched and completed a second with 1, 8 and 64 claim loops, against Celery and RQ
//! - `rebuild`: seconds until a Redis that lost 100,000 chunks knows them again
//! - `overhead`: processor time of an empty chunk by process, of 1,000 to 20,000, against a fetch, a pool and Celery
//! - `scale`: 64 one-day chunks at 50 ms latency with 1, 2, 4 and 8 workers
//! - `endurance`: 100 chunks of a dashboard in a row, memory at 10, 50 and 100

mod browser;
mod dispatch;
mod field;
mod load;
mod memory;
mod overhead;
mod rebuild;
mod s3;
mod scale;
mod speedup;

use clap::{Parser, ValueEnum};

/// Measures nstore in ratios.
#[derive(Debug, Parser)]
struct Cli {
    /// What to measure; all of it when left out
    #[arg(value_enum)]
    what: Vec<What>,
    /// Counted runs of each side; medians are told
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Rows of the large set
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Load,
    S3,
    Speedup,
    Memory,
    Dispatch,
    Scale,
    Lanes,
    Slot,
    Endurance,
    Rebuild,
    Overhead,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let all = What::value_variants().to_vec();
    for what in if cli.what.is_empty() { all } else { cli.what } {
        match what {
            What::Load => load::measure(cli.runs.into(), cli.rows).await?,
            What::S3 => s3::measure(cli.runs.into(), cli.rows).await?,
            What::Speedup => speedup::measure(cli.runs.into()).await?,
            What::Memory => memory::measure(cli.rows).await?,
            What::Dispatch => dispatch::measure(cli.runs.into()).await?,
            What::Scale => scale::measure(cli.runs.into()).await?,
            What::Lanes => browser::lanes(cli.runs.into()).await?,
            What::Slot => browser::slot(cli.runs.into()).await?,
            What::Endurance => browser::endurance().await?,
            What::Overhead => overhead::measure().await?,
            What::Rebuild => rebuild::measure(cli.runs.into()).await?,
        }
    }
    Ok(())
}
