//! The figures of dashboards, on the simulated portal and a real browser.
//!
//! - [`lanes`]: rows/s of each lane against the [`replaced`] design; [`slot`]: start and memory; [`endurance`]
//! - [`portal`]: what they stand on

mod endurance;
mod lanes;
mod portal;
mod replaced;
mod slot;

pub(crate) use endurance::endurance;
pub(crate) use lanes::lanes;
pub(crate) use slot::slot;
