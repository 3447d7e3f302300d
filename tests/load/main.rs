//! The loader against a real PostgreSQL: every mode, every refusal, and what must survive.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod append;
mod cascade;
mod changed;
mod doubles;
mod fields;
mod foresee;
mod keyless;
mod pgbouncer;
mod refused_rows;
mod rejects;
mod replace;
mod replace_range;
mod roles;
mod spec;
mod split;
mod survive;
mod targets;
mod tls;
mod together;
mod urls;
mod world;
