//! Workers against a real Redis, a storage and the simulator: what they store, what they report, how they end.

mod endings;
mod health;
mod house;
mod outcomes;
mod plans;
mod poison;
mod probe;
mod split;
mod split_bounds;
mod tls;
