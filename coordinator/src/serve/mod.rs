//! The daemon that loads detached runs.
