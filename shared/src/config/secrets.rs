//! Values for secret names: `NSTORE_SECRET_RAZORPAY_KEY_ID` first, then the credentials file.

use std::path::Path;

use super::{Faults, spec::SecretRef};

/// A secret's value. It has no `Debug` and no `Display`, so no log line holds it by accident.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Where values are looked up.
pub struct Secrets {
    _private: (),
}

impl Secrets {
    /// Reads the credentials file if it is there; a file that others can read is refused.
    ///
    /// # Errors
    /// All faults of the file.
    pub fn load(file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Faults> {
        let _ = (file, env(""));
        unimplemented!()
    }

    /// The value of a secret, if this host has it.
    pub fn get(&self, name: &SecretRef) -> Option<Secret> {
        let _ = (name, Secret(String::new()).0);
        unimplemented!()
    }

    /// The environment variable that holds a secret: `NSTORE_SECRET_RAZORPAY_KEY_ID`.
    pub fn variable(name: &SecretRef) -> String {
        let _ = name;
        unimplemented!()
    }
}
