//! The loader against a real PostgreSQL: every mode, every refusal, and what must survive.

mod append;
mod keyless;
mod replace;
mod replace_range;
mod survive;
mod targets;
mod urls;
mod world;
