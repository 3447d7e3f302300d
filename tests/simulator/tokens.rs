//! The secrets that the marketplace asks for: fixed demo values unless a test brings its own.

use std::collections::BTreeMap;

/// Secret name, as the source files spell it, and its demo value.
const DEMO: [(&str, &str); 8] = [
    ("buyer_orders.token", "demo-buyer-orders-token"),
    ("buyer_tickets.api_key", "demo-buyer-tickets-key"),
    ("powerbi.username", "analyst@marketplace.example"),
    ("powerbi.password", "demo-powerbi-password"),
    ("razorpay.key_id", "demo-razorpay-id"),
    ("razorpay.key_secret", "demo-razorpay-secret"),
    ("seller_orders.api_key", "demo-seller-orders-key"),
    ("seller_tickets.token", "demo-seller-tickets-token"),
];

/// Values by secret name.
#[derive(Debug, Clone)]
pub struct Tokens(BTreeMap<String, String>);

impl Default for Tokens {
    fn default() -> Self {
        Self(DEMO.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Tokens {
    /// Asks for another value from now on.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The value of a secret; one that nobody knows when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("\0", String::as_str)
    }

    /// The environment variables that hand them to a worker.
    pub fn env(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(name, value)| {
            (format!("NSTORE_SECRET_{}", name.replace(['.', '-'], "_").to_uppercase()), value.clone())
        })
    }
}
