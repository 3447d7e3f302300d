//! `nstore-worker probe`: one look at a source from this host.

use nstore_tests::{
    context::{Exit, Process},
    simulator::{
        self, Options, Simulator,
        faults::{Fault, FaultKind},
    },
};
use serde_json::Value;

use crate::house::{CONFIG, LIMIT};

async fn probe(simulator: &Simulator, env: &[(&str, &str)]) -> (Exit, Value) {
    let mut process =
        Process::new("nstore-worker").args(["probe", "seller_orders", "--json", "--config", CONFIG]);
    for (name, value) in simulator.env() {
        process = process.env(&name, value);
    }
    for (name, value) in env {
        process = process.env(name, value);
    }
    let exit = process.run(LIMIT).await;
    let finding = serde_json::from_str(&exit.stdout).unwrap_or_else(|e| panic!("{e}: {exit:?}"));
    (exit, finding)
}

#[tokio::test]
async fn tells_what_it_found() {
    let simulator = simulator::start(Options { exact: true, ..Options::default() }).await.unwrap();
    let (exit, found) = probe(&simulator, &[]).await;
    assert_eq!((exit.code, &found["ok"], &found["class"]), (Some(0), &true.into(), &Value::Null), "{found}");
    assert!(found["records"].as_u64() > Some(0) && found["rejected"] == 0, "{found}");
    assert_eq!(simulator.requests().len(), 1, "one page, no more");

    let (exit, found) = probe(&simulator, &[("NSTORE_SECRET_SELLER_ORDERS_API_KEY", "")]).await;
    assert_eq!((exit.code, &found["class"]), (Some(1), &"secret_missing".into()), "{found}");

    let wrong = "canary-3141592";
    let (exit, found) = probe(&simulator, &[("NSTORE_SECRET_SELLER_ORDERS_API_KEY", wrong)]).await;
    assert_eq!((exit.code, &found["class"]), (Some(1), &"auth".into()), "{found}");
    assert!(!exit.stdout.contains(wrong) && !exit.stderr.contains(wrong), "{exit:?}");

    simulator.fault(Fault::new("seller_orders", FaultKind::Html));
    let (exit, found) = probe(&simulator, &[]).await;
    assert_eq!((exit.code, &found["ok"]), (Some(1), &false.into()), "{found}");

    simulator.fault(Fault::new("seller_orders", FaultKind::RateLimit));
    let (exit, found) = probe(&simulator, &[]).await;
    assert_eq!((exit.code, &found["class"]), (Some(1), &"rate_limited".into()), "{found}");

    let (exit, found) = probe(&simulator, &[("SELLER_URL", "http://127.0.0.1:1")]).await;
    assert_eq!((exit.code, &found["class"]), (Some(4), &"unreachable".into()), "{found}");
}

#[tokio::test]
async fn a_host_without_a_browser_is_no_fault_of_the_config() {
    let simulator = simulator::start(Options::default()).await.unwrap();
    let mut process =
        Process::new("nstore-worker").args(["probe", "network_observability", "--json", "--config", CONFIG]);
    for (name, value) in simulator.env() {
        process = process.env(&name, value);
    }
    let exit = process.env("PATH", "/nonexistent").run(LIMIT).await;
    let found: Value = serde_json::from_str(&exit.stdout).unwrap();
    assert_eq!((exit.code, &found["class"]), (Some(2), &"unfit".into()), "{found}");
    let (message, hint) = (found["message"].as_str().unwrap(), found["hint"].as_str().unwrap());
    assert!(message.contains("apt-get install chromium"), "{found}");
    assert!(!hint.contains("config"), "{found}");
}

#[tokio::test]
async fn a_source_without_data_is_told_from_one_whose_records_fit() {
    let simulator = simulator::start(Options { rows_per_day: 0, ..Options::default() }).await.unwrap();
    let (exit, found) = probe(&simulator, &[]).await;
    assert_eq!(
        (exit.code, &found["ok"], &found["class"]),
        (Some(0), &false.into(), &"no_data".into()),
        "{found}"
    );
    let message = found["message"].as_str().unwrap();
    assert!(message.contains("no records on the days tried: ") && message.contains(".."), "{found}");
    assert_eq!(simulator.requests().len(), 5, "yesterday, and four ranges before it");
    assert!(found["hint"].as_str().unwrap().contains("--date"), "{found}");
}

#[tokio::test]
async fn the_day_named_is_asked_for_and_what_tells_its_end_is_said() {
    let simulator = simulator::start(Options { exact: true, ..Options::default() }).await.unwrap();
    let mut process = Process::new("nstore-worker").args([
        "probe",
        "seller_orders",
        "--date",
        "2025-08-03",
        "--config",
        CONFIG,
    ]);
    for (name, value) in simulator.env() {
        process = process.env(&name, value);
    }
    let exit = process.run(LIMIT).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(exit.stdout.contains("first page of 2025-08-03 fit; complete by: total"), "{exit:?}");
    assert_eq!(simulator.requests().len(), 1);
}
