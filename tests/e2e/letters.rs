//! Dead letters and rejected rows, as their users handle them.

use nstore_tests::simulator::{
    Api,
    faults::{Fault, FaultKind},
};
use serde_json::Value;

use crate::house::{House, day, eventually};

const DAYS: &str = "--start-date 2025-08-01 --end-date 2025-08-06";
const SOURCES: [&str; 2] = ["buyer_orders", "seller_orders"];

/// A run of two sources; the first one's second day and the other's third day failed for good.
async fn with_two_letters(house: &House) -> String {
    // a 404 is of class config, a wrong type of class data
    let gone = Fault { status: Some(404), ..Fault::new(SOURCES[0], FaultKind::ErrorBurst) };
    house.simulator.fault(gone.on(day("2025-08-02")).times(1000));
    house.simulator.fault(Fault::new(SOURCES[1], FaultKind::Drift).on(day("2025-08-03")).times(1000));
    let exit = house
        .run(&format!(
            "extract {DAYS} --sources buyer_orders,seller_orders --chunk-sizes buyer_orders:1,seller_orders:1 --upload"
        ))
        .await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    house.simulator.clear_faults();
    house.newest_run().await
}

fn chunk(source: usize, run: &str) -> String {
    let range = ["2025-08-02_2025-08-03", "2025-08-03_2025-08-04"][source];
    format!("{}/{run}/{range}", SOURCES[source])
}

async fn json(house: &House, args: &str) -> Value {
    let exit = house.good(&format!("{args} --json")).await;
    serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{args}: {error}\n{}", exit.stdout))
}

/// The chunks that `nstore discarded list` shows with these arguments.
async fn listed(house: &House, args: &str) -> Vec<String> {
    let list = json(house, &format!("discarded list {args}")).await;
    list.as_array().unwrap().iter().map(|letter| letter["chunk"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_and_run_again_one_by_one() {
    let house = House::with_rows(40).await;
    let _worker = house.worker(4);
    let run = with_two_letters(&house).await;
    let (first, second) = (chunk(0, &run), chunk(1, &run));
    assert_eq!(listed(&house, "").await, [first.clone(), second.clone()]);
    assert_eq!(listed(&house, "--source seller_orders").await, std::slice::from_ref(&second));
    assert_eq!(listed(&house, "--class config").await, std::slice::from_ref(&first));
    assert_eq!(
        listed(&house, &format!("--run {run} --class data --class auth")).await,
        std::slice::from_ref(&second)
    );
    assert_eq!(listed(&house, "--class poison").await, [] as [String; 0]);

    let shown = json(&house, &format!("discarded show {first}")).await;
    assert_eq!((&shown["class"], &shown["attempts"]), (&"config".into(), &1.into()));
    assert!(shown["error"].as_str().unwrap().contains("404"), "{shown}");
    assert!(!shown["worker"].as_str().unwrap().is_empty() && shown["dropped"].is_null(), "{shown}");
    let text = house.good(&format!("discarded show {second}")).await.stdout;
    let named = second.replace("2025-08-03_2025-08-04", "2025-08-03..2025-08-03");
    assert!(text.contains(".rejects.jsonl") && text.contains(&format!("rejects show {named}")), "{text}");
    house.good(&format!("rejects show {named}")).await;

    let exit = house.run("discarded retry").await;
    assert_eq!(exit.code, Some(2), "which ones? {}", exit.stdout);
    let retried = json(&house, &format!("discarded retry {first}")).await;
    assert_eq!(retried["retried"], serde_json::json!([first]));
    // no coordinator is there: what was enqueued is extracted all the same
    eventually(|| async { (house.files(SOURCES[0], &run, ".g2.json").len() == 1).then_some(()) }).await;
    assert_eq!(listed(&house, "").await, std::slice::from_ref(&second), "the other one is as it was");
    assert!(house.files(SOURCES[1], &run, ".void.json").is_empty());
    let exit = house.run(&format!("discarded show {first}")).await;
    assert_eq!(exit.code, Some(2), "{}", exit.stdout);
    assert!(exit.stderr.contains("its rows are stored"), "{}", exit.stderr);

    json(&house, "discarded retry --source seller_orders").await;
    house.good(&format!("resume {run}")).await;
    house.assert_equal(&[Api::BuyerOrders, Api::SellerOrders], "2025-08-01", "2025-08-06").await;
    assert_eq!(listed(&house, "--all").await, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_letter_is_hidden_and_retried_no_more() {
    let house = House::with_rows(40).await;
    let _worker = house.worker(4);
    let run = with_two_letters(&house).await;
    let (first, second) = (chunk(0, &run), chunk(1, &run));
    house.good(&format!("discarded drop {first} --reason closed")).await;
    assert_eq!(listed(&house, "").await, std::slice::from_ref(&second));
    assert_eq!(listed(&house, "--all").await, [first.clone(), second]);
    let shown = json(&house, &format!("discarded show {first}")).await;
    assert_eq!(shown["dropped"]["reason"], "closed");
    let again = json(&house, &format!("discarded drop --run {run} --class config")).await;
    assert_eq!((&again["dropped"], &again["left_dropped"]), (&serde_json::json!([]), &1.into()));

    // neither kind of retry touches it, and the run stays partial
    let retried = json(&house, &format!("discarded retry {first}")).await;
    assert_eq!((&retried["retried"], &retried["left_dropped"]), (&serde_json::json!([]), &1.into()));
    let exit = house.run(&format!("retry {run}")).await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    assert!(exit.stderr.contains("1 chunks run again"), "{}", exit.stderr);
    assert!(house.files(SOURCES[0], &run, ".void.json").is_empty());
    house.assert_equal(&[Api::SellerOrders], "2025-08-01", "2025-08-06").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_cancelled_run_stay_as_they_are() {
    let house = House::with_rows(40).await;
    let _worker = house.worker(4);
    let run = with_two_letters(&house).await;
    house.good(&format!("cancel {run}")).await;
    let retried = json(&house, "discarded retry --all").await;
    assert_eq!((&retried["retried"], &retried["left_cancelled"]), (&serde_json::json!([]), &2.into()));
    assert!(house.files(SOURCES[0], &run, ".void.json").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_are_listed_shown_and_in_the_database() {
    let house = House::with_rows(40).await;
    house.edit("mappings/buyer_orders.yaml", "allow: 0 ", "allow: 5 ");
    let _worker = house.worker(4);
    // one wrong row of a chunk that is stored, one too many in a chunk that fails
    house.simulator.fault(Fault::new(SOURCES[0], FaultKind::Drift).on(day("2025-08-02")));
    let run = with_two_letters_of_drift(&house).await;
    let stored = format!("buyer_orders/{run}/2025-08-02_2025-08-03");
    let list = json(&house, "rejects list").await;
    let found: Vec<(&str, u64, bool)> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|chunk| {
            let text = chunk["chunk"].as_str().unwrap();
            (text, chunk["rejected"].as_u64().unwrap(), chunk["discarded"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(found, [(stored.as_str(), 1, false), (chunk(1, &run).as_str(), 1, true)]);
    assert_eq!(json(&house, "rejects list --source seller_orders").await.as_array().unwrap().len(), 1);

    let lines = house.good(&format!("rejects show {stored} --json")).await.stdout;
    let row: Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let (reason, record) = (row["reason"].as_str().unwrap(), &row["record"]);
    assert!(!reason.is_empty() && record["id"].is_string(), "{row}");
    let text = house.good(&format!("rejects show {stored}")).await.stdout;
    assert!(text.starts_with(reason), "{text}");

    let client = house.context.postgres.client().await;
    let rows =
        client.query("SELECT source, run, chunk, reason, record FROM nstore.rejects", &[]).await.unwrap();
    let texts: Vec<String> = (0..5).map(|at| rows[0].get(at)).collect();
    assert_eq!(
        (rows.len(), &texts[..4]),
        (1, &["buyer_orders", &run, "2025-08-02_2025-08-03", reason].map(String::from)[..])
    );
    assert_eq!(&serde_json::from_str::<Value>(&texts[4]).unwrap(), record, "as the source sent it");

    let exit = house.run(&format!("rejects show buyer_orders/{run}/2025-08-01_2025-08-02")).await;
    assert_eq!(exit.code, Some(2), "{}", exit.stdout);
    assert!(exit.stderr.contains("no row of chunk"), "{}", exit.stderr);
}

/// The same run, where the first source has all of its chunks.
async fn with_two_letters_of_drift(house: &House) -> String {
    house.simulator.fault(Fault::new(SOURCES[1], FaultKind::Drift).on(day("2025-08-03")).times(1000));
    let exit = house
        .run(&format!(
            "extract {DAYS} --sources buyer_orders,seller_orders --chunk-sizes buyer_orders:1,seller_orders:1 --upload"
        ))
        .await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    house.newest_run().await
}
