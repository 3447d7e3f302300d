//! Storage over a local folder and over S3: what it promises, whatever the network does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod faults;
mod promises;
mod refusals;
mod stage;
