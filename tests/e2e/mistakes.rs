//! What people get wrong: a clear error, the right exit code, nothing lost.

use nstore_tests::{
    context::Exit,
    simulator::{
        Api,
        faults::{Fault, FaultKind},
    },
};

use crate::house::House;

const DAYS: &str = "--start-date 2025-08-01 --end-date 2025-08-03";

fn says(exit: &Exit, code: i32, words: &[&str]) {
    let told = format!("{}{}", exit.stdout, exit.stderr);
    assert_eq!(exit.code, Some(code), "{told}");
    for word in words {
        assert!(told.contains(word), "no `{word}` in:\n{told}");
    }
    assert!(!told.contains("panicked"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_are_named_with_what_would_be_right() {
    let house = House::with_rows(10).await;
    let typo = house.run(&format!("extract {DAYS} --sources buyer_order --upload")).await;
    says(&typo, 2, &["buyer_order", "did you mean `buyer_orders`"]);
    let backwards =
        house.run("extract --start-date 2025-08-03 --end-date 2025-08-01 --sources buyer_orders").await;
    says(&backwards, 2, &["2025-08-03", "2025-08-01"]);
    let zero =
        house.run(&format!("extract {DAYS} --sources buyer_orders --chunk-sizes buyer_orders:0")).await;
    says(&zero, 2, &["buyer_orders", "1 to 366"]);
    let date =
        house.run("extract --start-date 2025-13-01 --end-date 2025-08-01 --sources buyer_orders").await;
    says(&date, 2, &["2025-13-01"]);
    let run = house.run("status no-such-run").await;
    says(&run, 2, &["no-such-run"]);
    assert!(house.runs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_the_config_are_said_at_once() {
    let house = House::with_rows(10).await;
    house.edit("sources/buyer_orders.yaml", "chunk_days: 3", "chunk_days: three");
    house.edit("sources/buyer_razorpay.yaml", "granularity", "granularty");
    house.edit("mappings/seller_orders.yaml", "type: text", "type: txt");
    // what is wrong with them stops no run of another source
    house.good(&format!("extract {DAYS} --sources seller_tickets,buyer_tickets --dry-run")).await;
    house.good("pause --source seller_tickets").await;
    house.good("unpause --source buyer_orders").await;
    let exit = house.run(&format!("extract {DAYS} --sources seller_tickets,buyer_orders --dry-run")).await;
    says(&exit, 2, &["config: 1 problem", "buyer_orders.yaml:3"]);
    assert!(!exit.stderr.contains("razorpay"), "{}", exit.stderr);
    let exit = house.run("config validate").await;
    says(
        &exit,
        2,
        &[
            "buyer_orders.yaml:3",
            "did you mean `granularity`",
            "mappings/seller_orders.yaml",
            "txt",
            "problems",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_are_down_are_named_and_exit_4() {
    let mut house = House::with_rows(10).await;
    let redis = ("NSTORE_REDIS_URL".to_owned(), "redis://127.0.0.1:1".to_owned());
    house.env.push(redis);
    let exit = house.run(&format!("extract {DAYS} --sources buyer_orders --upload")).await;
    says(&exit, 4, &["redis", "127.0.0.1:1"]);
    house.env.pop();

    house.env.push(("NSTORE_POSTGRES_URL".into(), "postgresql://someone:canary@127.0.0.1:1/db".into()));
    let exit = house.run(&format!("extract {DAYS} --sources buyer_orders --upload")).await;
    says(&exit, 4, &["postgres", "127.0.0.1"]);
    assert!(!exit.stderr.contains("canary"), "{}", exit.stderr);
    let exit = house.run("config test-connections").await;
    says(&exit, 4, &["postgres", "127.0.0.1"]);
    assert!(house.runs().is_empty(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_to_be_one() {
    let mut house = House::with_rows(10).await;
    let (user, rest) = house.context.postgres.url.split_once('@').unwrap();
    let (user, _) = user.rsplit_once(':').unwrap();
    house.env.push(("NSTORE_POSTGRES_URL".into(), format!("{user}:canary@{rest}")));
    let exit = house.run(&format!("extract {DAYS} --sources buyer_orders --upload")).await;
    assert!(matches!(exit.code, Some(2 | 4)), "{:?} {}", exit.code, exit.stderr);
    assert!(exit.stderr.contains("password"), "{}", exit.stderr);
    assert!(!exit.stderr.contains("canary"), "{}", exit.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named_and_its_chunks_wait_for_a_worker_that_has_it() {
    let mut house = House::with_rows(10).await;
    let secret =
        house.simulator.env().into_iter().find(|(name, _)| name.contains("RAZORPAY_KEY_SECRET")).unwrap();
    house.env.push((secret.0.clone(), String::new()));
    let poor = house.worker(2);
    let probe = house.run("config test-connections --sources buyer_razorpay").await;
    assert!(probe.stdout.contains(&secret.0), "{}", probe.stdout);
    let job = house.nstore(&format!("extract {DAYS} --sources buyer_razorpay,buyer_orders --upload")).start();
    let mut poor = poor;
    poor.wait_for(&secret.0, crate::house::LONG).await;
    house.env.pop();
    let _rich = house.worker(2);
    let exit = job.wait_exit(crate::house::LONG).await;
    says(&exit, 0, &[]);
    house.assert_equal(&[Api::BuyerRazorpay, Api::BuyerOrders], "2025-08-01", "2025-08-03").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_secret_and_a_page_for_people_fail_their_source_alone() {
    let house = House::with_rows(10).await;
    let _worker = house.worker(4);
    house.simulator.fault(Fault::new("buyer_orders", FaultKind::Auth).times(100));
    house.simulator.fault(Fault::new("seller_orders", FaultKind::Html).times(100));
    let exit = house
        .run(&format!("extract {DAYS} --sources buyer_orders,seller_orders,seller_tickets --upload"))
        .await;
    says(&exit, 3, &["401", "buyer_orders", "seller_orders", "html", "nstore retry"]);
    house.assert_equal(&[Api::SellerTickets], "2025-08-01", "2025-08-03").await;

    house.simulator.clear_faults();
    let run = house.runs().pop().unwrap();
    house.good(&format!("retry {run}")).await;
    let all = [Api::BuyerOrders, Api::SellerOrders, Api::SellerTickets];
    house.assert_equal(&all, "2025-08-01", "2025-08-03").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_fast_ends_the_run_at_the_first_failure() {
    let house = House::with_rows(10).await;
    let _worker = house.worker(1);
    house.simulator.fault(Fault::new("buyer_orders", FaultKind::Auth).times(100));
    let exit = house
        .run("extract --start-date 2025-01-01 --end-date 2025-08-03 --sources buyer_orders --fail-fast")
        .await;
    says(&exit, 1, &["401", "--fail-fast"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_can_work_on_says_why() {
    let mut house = House::with_rows(10).await;
    let mut job = house.nstore(&format!("extract {DAYS} --sources buyer_razorpay")).start();
    job.wait_for("no worker of kind api is running", crate::house::LONG).await;
    let secrets = house.simulator.env();
    let (secret, _) = secrets.iter().find(|(name, _)| name.contains("RAZORPAY_KEY_SECRET")).unwrap();
    house.env.push((secret.clone(), String::new()));
    let _poor = house.worker(2);
    job.wait_for("every worker leaves it alone", crate::house::LONG).await;
    job.wait_for(secret, crate::house::LONG).await;
    house.env.pop();
    let _rich = house.worker(2);
    says(&job.wait_exit(crate::house::LONG).await, 0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_credential_is_refused_where_the_workers_are_our_own() {
    let mut house = House::with_rows(10).await;
    let secrets = house.simulator.env();
    let (secret, _) = secrets.into_iter().find(|(name, _)| name.contains("RAZORPAY_KEY_SECRET")).unwrap();
    house.env.push((secret.clone(), String::new()));
    let exit = house.run(&format!("--local extract {DAYS} --sources buyer_orders,buyer_razorpay")).await;
    says(&exit, 2, &["missing credential", "buyer_razorpay", &secret]);
    assert!(!house.context.dir.join(".nstore/redis").exists(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stands_whatever_is_away() {
    let mut house = House::with_rows(10).await;
    let worker = house.worker(2);
    house.good(&format!("extract {DAYS} --sources buyer_orders")).await;
    drop(worker);
    let run = house.newest_run().await;
    house.env.push(("NSTORE_REDIS_URL".into(), "redis://127.0.0.1:1".into()));
    let exit = house.run(&format!("cancel {run}")).await;
    says(&exit, 4, &["recorded, but not acknowledged", &format!("nstore cancel {run}")]);
    house.env.pop();
    says(&house.run(&format!("resume {run}")).await, 2, &["cancelled"]);
    // PostgreSQL is asked too, as the rows might be loaded later, and need not be there
    house.env.push(("NSTORE_POSTGRES_URL".into(), "postgresql://127.0.0.1:1/nowhere".into()));
    house.good(&format!("cancel {run}")).await;
    house.env.pop();
    house.good(&format!("cancel {run}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_runs_answer_while_redis_or_postgres_is_away() {
    let mut house = House::with_rows(10).await;
    let worker = house.worker(2);
    house.good(&format!("extract {DAYS} --sources buyer_orders --upload")).await;
    let loaded = house.newest_run().await;
    house.good(&format!("extract {DAYS} --sources seller_orders")).await;
    drop(worker);
    let extracted = house.newest_run().await;
    let known = |text: &str| {
        assert!(text.contains("loaded") && text.contains("extracted only"), "{text}");
        assert!(!text.contains("all good"), "{text}");
    };
    known(&house.good("runs").await.stdout);

    house.env.push(("NSTORE_REDIS_URL".into(), "redis://127.0.0.1:1".into()));
    let away = ["redis at redis://127.0.0.1:1 does not answer", "in flight", "not known"];
    let exit = house.run(&format!("status {loaded}")).await;
    says(&exit, 0, &[&["complete (loaded)"][..], &away].concat());
    let exit = house.run(&format!("status {extracted}")).await;
    says(&exit, 0, &[&["complete (extracted only)"][..], &away].concat());
    known(&house.good("runs").await.stdout);
    let json = house.good(&format!("status {loaded} --json")).await.stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["state"], &json["workers"]), (&"loaded".into(), &serde_json::Value::Null));
    let source = &json["sources"][0];
    assert_eq!(source["proven"], source["status"]["chunks_total"], "{source}");
    assert_eq!(source["unproven"], 0);
    house.env.pop();

    house.env.push(("NSTORE_POSTGRES_URL".into(), "postgresql://127.0.0.1:1/nowhere".into()));
    let unknown = ["the ledger could not be read", "what is loaded is not known"];
    let exit = house.run(&format!("status {loaded}")).await;
    says(&exit, 4, &[&["extracted, load unknown"][..], &unknown].concat());
    says(&house.run(&format!("status {extracted}")).await, 0, &["complete (extracted only)"]);
    let exit = house.run("runs").await;
    says(&exit, 0, &[&["extracted, load unknown", "extracted only"][..], &unknown].concat());
}
