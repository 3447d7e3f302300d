//! The Postgres room.
