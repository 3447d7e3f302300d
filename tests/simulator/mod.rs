//! A fake marketplace: five APIs, each in another dialect, and a portal with a report; rows are a pure function of
//! source and day.
//!
//! - [`start`]: the server, in this process; `main.rs` is the same as a program
//! - `rows`, `calendar`, `seed`, `awkward`: what the rows are; `files`: rows from CSV files instead
//! - `dialects`: how each API speaks; `serve`: one request; [`faults`]: what goes wrong on demand; [`caps`]: how much of a
//!   window an API gives; [`log`]
//! - `portal`: a login in steps and a report, for a browser
//! - [`truth`]: what a table must hold, and the SQL to compare it; `control`: the endpoints beside the APIs

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{Router, routing::get};
use chrono::NaiveDate;
use nstore_shared::contract::Contract;
use tokio::{net::TcpListener, task::JoinHandle};

mod awkward;
mod calendar;
pub mod caps;
mod cell;
pub mod compare;
mod control;
mod dialects;
pub mod faults;
mod files;
pub mod log;
mod portal;
mod rows;
mod seed;
mod serve;
mod stock;
pub mod tokens;
pub mod truth;

pub use portal::Form;
pub use rows::Api;

use caps::Cap;
use faults::{Fault, Faults};
use log::{Log, Request};
use portal::Portal;
use rows::World;
use serve::Hall;
use stock::Stock;
use tokens::Tokens;
use truth::Truth;

/// The zone of all six sources.
pub const ZONE: chrono_tz::Tz = chrono_tz::Asia::Kolkata;

/// What to serve, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address that it listens on; the loopback one unless said.
    pub address: IpAddr,
    /// The port; 0 takes any.
    pub port: u16,
    /// Orders of the buyer app on an average day; the others have 15 to 50 percent of it.
    pub rows_per_day: u64,
    /// The same number every day, and no days without.
    pub exact: bool,
    /// Another seed, other rows.
    pub seed: u64,
    /// How long each request to an API waits first.
    pub latency: Duration,
    /// How much of one window an API gives.
    pub caps: Vec<Cap>,
    /// Serve `<source>.csv` of this directory instead.
    pub data: Option<PathBuf>,
    /// The column of those files that says when.
    pub date_column: String,
    /// The secrets to ask for.
    pub tokens: Tokens,
    /// How long a session of the portal lasts; for ever when none.
    pub session_life: Option<Duration>,
    /// The most rows of an export of the portal, instead of 30,000 as CSV and 150,000 as a workbook.
    pub export_cap: Option<u64>,
    /// The form of the portal's report.
    pub portal_form: Form,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            rows_per_day: 200,
            exact: false,
            seed: 20_250_801,
            latency: Duration::ZERO,
            caps: vec![],
            data: None,
            date_column: "created_at".to_owned(),
            tokens: Tokens::default(),
            session_life: None,
            export_cap: None,
            portal_form: Form::default(),
        }
    }
}

/// A running simulator; it stops when dropped.
pub struct Simulator {
    /// `http://127.0.0.1:PORT`, or with the address that it listens on
    pub url: String,
    hall: Arc<Hall>,
    server: JoinHandle<()>,
}

/// Starts a simulator in this process.
///
/// # Errors
/// When the port is taken or the files cannot be read.
pub async fn start(options: Options) -> anyhow::Result<Simulator> {
    let stock = match &options.data {
        Some(dir) => Stock::read(dir, &options.date_column)?,
        None => Stock::World(World {
            seed: options.seed,
            rows_per_day: options.rows_per_day,
            exact: options.exact,
        }),
    };
    let hall = Arc::new(Hall {
        stock,
        tokens: options.tokens,
        latency: options.latency,
        caps: options.caps,
        faults: Faults::default(),
        log: Log::new(),
        portal: Portal::new(options.session_life, options.export_cap, options.portal_form),
    });
    let listener = TcpListener::bind(SocketAddr::from((options.address, options.port))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let mut app = control::routes(&hall).merge(portal::routes(&hall));
    for dialect in dialects::ALL {
        let route = Router::new().route(dialect.path(), get(serve::api));
        app = app.merge(route.with_state((Arc::clone(&hall), dialect)));
    }
    let server = tokio::spawn(async move {
        // it ends with the task only
        let _ = axum::serve(listener, app).await;
    });
    Ok(Simulator { url, hall, server })
}

impl Simulator {
    /// The variables that point the shipped config at this simulator, secrets included.
    pub fn env(&self) -> Vec<(String, String)> {
        let urls = ["BUYER_URL", "SUPPORT_URL", "RAZORPAY_URL", "SELLER_URL"];
        let urls = urls.into_iter().map(|name| (name.to_owned(), self.url.clone()));
        let portal = ("POWERBI_URL".to_owned(), format!("{}/powerbi", self.url));
        urls.chain([portal]).chain(self.hall.tokens.env()).collect()
    }

    /// What the table of a source must hold for these days, both included.
    pub fn truth(&self, api: Api, first: NaiveDate, last: NaiveDate) -> Truth {
        self.hall.stock.truth(api, first, last)
    }

    /// The columns of a source's table, in the order in which the truth counts them.
    pub fn contract(&self, api: Api) -> Contract {
        self.hall.stock.contract(api)
    }

    /// The query that asks a source's table for its days, in the form of [`truth::DayTruth`].
    pub fn sql(&self, api: Api, schema: &str) -> String {
        truth::checksum_sql(&self.contract(api), schema, ZONE)
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        self.hall.faults.add(fault);
    }

    /// The orders that are not used up.
    pub fn pending_faults(&self) -> Vec<Fault> {
        self.hall.faults.pending()
    }

    /// Takes all orders back.
    pub fn clear_faults(&self) {
        self.hall.faults.clear();
    }

    /// All requests that have ended so far.
    pub fn requests(&self) -> Vec<Request> {
        self.hall.log.requests()
    }

    /// Forgets requests and maxima.
    pub fn clear_requests(&self) {
        self.hall.log.clear();
    }

    /// What the portal's open sessions are known by: cookies and tokens.
    pub fn session_secrets(&self) -> Vec<String> {
        self.hall.portal.secrets()
    }

    /// Serves another form of the portal's report from now on.
    pub fn serve_form(&self, form: Form) {
        self.hall.portal.serve(form);
    }

    /// How often somebody signed in to the portal with the right password.
    pub fn logins(&self) -> usize {
        self.answered("/powerbi/login", "POST")
    }

    /// How many exports the portal has begun to send, spoiled ones included.
    pub fn downloads(&self) -> usize {
        self.answered("/powerbi/export", "GET")
    }

    fn answered(&self, path: &str, method: &str) -> usize {
        let requests = self.requests();
        requests.iter().filter(|r| r.path == path && r.method == method && r.status == 200).count()
    }

    /// The most requests of a source at once.
    pub fn max_in_flight(&self, api: Api) -> u64 {
        self.hall.log.max_in_flight(Some(api.name()))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;
