//! The browser source, from the portal's pages into Postgres.

use nstore_tests::{
    context::{Exit, Running},
    simulator::{
        Api, Options,
        faults::{Fault, FaultKind},
    },
};

use crate::house::House;

mod app;
mod clock;
mod forms;
mod hygiene;
mod lanes;
mod logins;
mod pages;
mod pitfalls;
mod redirects;
mod sites;
mod steps;

const NAME: &str = "network_observability";

/// A house with one browser worker.
struct Portal {
    house: House,
    worker: Running,
}

impl Portal {
    /// With some 36 rows a day.
    async fn new(options: Options) -> Self {
        Self::with(Options { rows_per_day: 60, ..options }).await
    }

    async fn with(options: Options) -> Self {
        let house = House::with(options).await;
        // tests of what fails must not wait for real
        let path = house.config("sources/network_observability.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let quick = "chunk_retry: { base: 20ms }\ntimeouts: { step: 8s, login: 20s }\nsteps:";
        std::fs::write(path, text.replace("steps:", quick)).unwrap();
        let worker = house.browser_worker(1).start();
        Self { house, worker }
    }

    async fn extract(&self, first: &str, last: &str) -> Exit {
        let range = format!("--start-date {first} --end-date {last}");
        self.house.run(&format!("extract {range} --sources {NAME} --upload")).await
    }

    /// A run over these days ends well, and its last chunk says what is wanted.
    async fn good(&self, first: &str, last: &str) -> Vec<serde_json::Value> {
        let exit = self.extract(first, last).await;
        let log = self.worker.stderr();
        assert_eq!(exit.code, Some(0), "{}\n{}\n{log}", exit.stdout, exit.stderr);
        let run = self.house.runs().pop().unwrap();
        self.house.markers(NAME, &run)
    }

    /// The table holds these days exactly.
    async fn assert_equal(&self, first: &str, last: &str) {
        self.house.assert_equal(&[Api::NetworkObservability], first, last).await;
    }

    fn fault(&self, kind: FaultKind) {
        self.house.simulator.fault(Fault::new(NAME, kind));
    }
}

/// What is said of the one chunk.
fn text(value: &serde_json::Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .map(|found| found.as_str().map_or_else(|| found.to_string(), str::to_owned))
        .unwrap_or_default()
}
