//! The queue on a real Redis.
//!
//! They play on the `stage` of `nstore_tests::histories`.
//!
//! - `claims`, `facts`, `leases`, `order`, `runs`: what each call promises
//! - `outages`: Redis killed, emptied, stalled
//! - `against_model`: random histories, compared with a naive queue; `losses`: histories in which Redis loses everything
//! - `servers`: what kind of server is accepted; the fleet
//! - `tls`, `users`, `cluster`: by TLS, under the shipped users, on three nodes
//! - `fairness`: a huge source beside small ones, many runs of one; `versions`: builds of several versions
//! - `clock`: the clock of Redis is set; `lost_keys`: single keys go; `closed`: sources that nobody need ask about
//! - `budgets`: how often a source may be asked
//! - `figures`: time and memory per chunk, printed

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod against_model;
mod budgets;
mod claims;
mod clock;
mod closed;
mod cluster;
mod facts;
mod fairness;
mod figures;
mod leases;
mod losses;
mod lost_keys;
mod order;
mod outages;
mod runs;
mod servers;
mod tls;
mod users;
mod versions;

use nstore_tests::histories::stage;
