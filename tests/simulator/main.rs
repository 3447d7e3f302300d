//! The simulator as a program: serves until it is ended, or compares tables with its truth.

use std::{net::IpAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use nstore_tests::simulator::{
    self, Api, Form, Options,
    caps::{Beyond, Cap},
    compare::{Comparison, compare},
    tokens::Tokens,
};

/// A fake marketplace: the five APIs of the shipped sources, each in its own dialect, and a portal
/// with a report for a browser, below /powerbi.
///
/// Beside the APIs: GET /truth?source=&start=&end=, GET /sql?source=, GET|DELETE /requests,
/// GET /max_in_flight?source=, GET|POST|DELETE /faults, POST /portal_form/present|former.
/// Credentials are fixed demo values; the variables to set are printed at start.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Verb>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Verb {
    /// Compares tables with the truth of a running simulator; exit 1 when one differs
    Compare(Comparison),
}

#[derive(clap::Args)]
struct Serve {
    /// The address to listen on; the loopback one keeps other hosts out
    #[arg(long, default_value_t = Options::default().address)]
    address: IpAddr,
    /// The port; 0 takes any
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Write the chosen port to this file
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// Write the variables that point the shipped config here to this file, for a shell to read
    #[arg(long)]
    env_file: Option<PathBuf>,
    /// Orders of the buyer app on an average day; the other sources have 15 to 50 percent of it
    #[arg(long, default_value_t = Options::default().rows_per_day)]
    rows_per_day: u64,
    /// The same number every day, and no days without
    #[arg(long)]
    exact: bool,
    /// Another seed, other rows
    #[arg(long, default_value_t = Options::default().seed)]
    seed: u64,
    /// How long each request to an API waits first
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// The most records of one window of a source, wider ones are refused: `seller_orders=1000`; may be repeated
    #[arg(long = "cap", value_name = "SOURCE=RECORDS", value_parser = cap)]
    caps: Vec<(Api, u64)>,
    /// Wider windows are cut off without a word instead
    #[arg(long)]
    cut_off: bool,
    /// Serve <source>.csv of this directory instead of generated rows
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The column of those files that says when
    #[arg(long, default_value_t = Options::default().date_column)]
    date_column: String,
    /// Ask for another secret than the demo's: `buyer_orders.token=…`; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    tokens: Vec<(String, String)>,
    /// How many seconds a session of the portal lasts; for ever unless said
    #[arg(long, value_name = "SECONDS")]
    session_life: Option<u64>,
    /// The most rows of an export of the portal, instead of 30000 as csv and 150000 as xlsx
    #[arg(long)]
    export_cap: Option<u64>,
    /// The form of the portal's report: `present` in a frame, or `former` as a plain table in the page
    #[arg(long, value_enum, default_value_t = Form::Present)]
    portal_form: Form,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a name, `=` and a value")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn cap(text: &str) -> Result<(Api, u64), String> {
    let (name, records) = pair(text)?;
    let api = Api::named(&name).ok_or_else(|| format!("there is no source `{name}`"))?;
    Ok((api, records.parse().map_err(|_| format!("`{records}` is no number of records"))?))
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match (cli.command, cli.serve) {
        (Some(Verb::Compare(asked)), _) => compare(&asked).await,
        (None, asked) => serve(asked).await.map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(asked: Serve) -> anyhow::Result<()> {
    let tokens =
        asked.tokens.iter().fold(Tokens::default(), |tokens, (name, value)| tokens.with(name, value));
    let how = if asked.cut_off { Beyond::CutOff } else { Beyond::Refused };
    let simulator = simulator::start(Options {
        address: asked.address,
        port: asked.port,
        rows_per_day: asked.rows_per_day,
        exact: asked.exact,
        seed: asked.seed,
        latency: Duration::from_millis(asked.latency_ms),
        caps: asked.caps.iter().map(|&(api, records)| Cap { api, records, how }).collect(),
        data: asked.data,
        date_column: asked.date_column,
        tokens,
        session_life: asked.session_life.map(Duration::from_secs),
        export_cap: asked.export_cap,
        portal_form: asked.portal_form,
    })
    .await?;
    let env: String =
        simulator.env().iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
    if let Some(file) = asked.env_file {
        std::fs::write(file, &env)?;
    }
    if let Some(file) = asked.port_file {
        let port = simulator.url.rsplit(':').next().unwrap_or_default();
        // whoever waits for the file must not read half of it
        let draft = file.with_extension("draft");
        std::fs::write(&draft, port)?;
        std::fs::rename(draft, file)?;
    }
    print!("{env}");
    println!("simulator listening on {}", simulator.url);
    ended().await?;
    Ok(())
}

/// Ctrl-C or SIGTERM.
async fn ended() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = term.recv() => Ok(()),
    }
}
