//! Whole jobs with the real binaries, real servers and a simulated marketplace: the tables must equal the truth.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod budget;
mod canary;
mod closed;
mod daily;
mod dashboards;
mod documents;
mod fairness;
mod fleet;
mod guards;
mod hold;
mod hosts;
mod house;
mod idle;
mod letters;
mod local;
mod lost_keys;
mod main_job;
mod malicious;
mod mistakes;
mod modes;
mod object_store;
mod pause;
mod plans;
mod rebuild;
mod redis_clock;
mod redis_kinds;
mod split;
mod survive;
mod upkeep;
mod verbs;
mod versions;
mod worker_clock;
