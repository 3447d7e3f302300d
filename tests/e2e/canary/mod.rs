//! Secrets stay where they belong: a canary stands for each, six sources are extracted, some of them in vain, and none
//! of the canaries is found in anything that nstore leaves, says or is started with.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nstore_tests::{
    context::{Exit, OwnPostgres, OwnRedis, S3, own_postgres, own_redis, own_s3, say},
    simulator::{
        Api, Options,
        faults::{Fault, FaultKind},
        tokens::Tokens,
    },
};

use crate::house::{House, LONG};

mod forms;

use forms::{Canaries, base64_behind, canary, percent};

const ALL: &str =
    "buyer_orders,buyer_tickets,buyer_razorpay,seller_orders,seller_tickets,network_observability";
const NAMES: [&str; 8] = [
    "buyer_orders.token",
    "buyer_tickets.api_key",
    "powerbi.username",
    "powerbi.password",
    "razorpay.key_id",
    "razorpay.key_secret",
    "seller_orders.api_key",
    "seller_tickets.token",
];
const ROLES: &str = include_str!("../../../deploy/postgres/roles.sql");

/// Servers that ask for canaries, and what to look at.
struct Places {
    redis: OwnRedis,
    postgres: OwnPostgres,
    s3: S3,
    /// The command lines of all processes so far.
    lines: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    over: Arc<AtomicBool>,
}

impl Drop for Places {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Places {
    async fn with(canaries: &mut Canaries) -> Self {
        let (redis, postgres) =
            tokio::task::spawn_blocking(|| (own_redis(true), own_postgres())).await.unwrap();
        let s3 = own_s3().await;
        canaries.0.insert("s3 secret key".into(), s3.writer.secret.clone());
        say(&redis.url(), &format!("CONFIG SET requirepass {}", canaries.get("redis password")));
        let client = postgres.client().await;
        client.batch_execute(ROLES).await.unwrap();
        let password = canaries.get("postgres password");
        client.batch_execute(&format!("ALTER ROLE nstore_loader PASSWORD '{password}'")).await.unwrap();
        let (lines, over) = (Arc::default(), Arc::default());
        let watching = (Arc::clone(&lines), Arc::clone(&over));
        std::thread::spawn(move || watch_command_lines(&watching.0, &watching.1));
        Self { redis, postgres, s3, lines, over }
    }

    fn postgres_url(&self, canaries: &Canaries) -> String {
        let (_, place) =
            self.postgres.url().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        format!("postgres://nstore_loader:{}@{place}", percent(canaries.get("postgres password")))
    }

    fn env(&self, canaries: &Canaries) -> Vec<(String, String)> {
        let redis = self.redis.url();
        let redis = redis.replace("://", &format!("://:{}@", percent(canaries.get("redis password"))));
        let mut env = self.s3.env();
        let own = [
            ("NSTORE_REDIS_URL", redis),
            ("NSTORE_POSTGRES_URL", self.postgres_url(canaries)),
            ("NSTORE_STORAGE_URL", self.s3.url("p")),
            ("NSTORE_VAULT_KEY", canaries.get("vault key").to_owned()),
            ("NSTORE_LOG", "trace".to_owned()),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        env
    }

    /// What each place holds.
    async fn contents(&self, canaries: &Canaries) -> BTreeMap<&'static str, Vec<u8>> {
        let password = canaries.get("redis password");
        BTreeMap::from([
            ("redis", in_redis(&self.redis.url(), password)),
            ("append-only file", below(&self.redis.server.dir().join("appendonlydir"))),
            ("redis's log", std::fs::read(self.redis.server.dir().join("redis.log")).unwrap()),
            ("storage", self.s3.objects().await),
            ("postgres", in_postgres(&self.postgres).await),
            ("command lines", self.lines.lock().unwrap().iter().flatten().copied().collect()),
        ])
    }
}

/// Until it is over, every few milliseconds.
fn watch_command_lines(lines: &Mutex<BTreeSet<Vec<u8>>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let found: Vec<Vec<u8>> =
            processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok()).collect();
        lines.lock().unwrap().extend(found);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All keys, and all that they hold.
fn in_redis(url: &str, password: &str) -> Vec<u8> {
    const ALL_OF_IT: &str = "\
        local read = { \
          string = function(key) return { redis.call('GET', key) } end, \
          hash = function(key) return redis.call('HGETALL', key) end, \
          set = function(key) return redis.call('SMEMBERS', key) end, \
          list = function(key) return redis.call('LRANGE', key, 0, -1) end, \
          zset = function(key) return redis.call('ZRANGE', key, 0, -1) end, \
        } \
        local out = {} \
        for _, key in ipairs(redis.call('KEYS', '*')) do \
          out[#out + 1] = key \
          for _, value in ipairs(read[redis.call('TYPE', key).ok](key)) do out[#out + 1] = value end \
        end \
        return out";
    let ask = |args: &[&str]| {
        let mut asked = Command::new("redis-cli");
        let told =
            asked.args(["-u", url, "--raw"]).args(args).env("REDISCLI_AUTH", password).output().unwrap();
        let failed = told.stdout.starts_with(b"ERR") || told.stdout.starts_with(b"NOAUTH");
        assert!(told.status.success() && !failed, "{}", String::from_utf8_lossy(&told.stdout));
        told.stdout
    };
    [ask(&["EVAL", ALL_OF_IT, "0"]), ask(&["FUNCTION", "LIST", "WITHCODE"])].concat()
}

/// All files below a folder.
fn below(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        all.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    all
}

/// All rows of all tables, and what the server is being asked.
async fn in_postgres(postgres: &OwnPostgres) -> Vec<u8> {
    let client = postgres.client().await;
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                  WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let mut all = Vec::new();
    let mut texts: Vec<String> = vec!["SELECT concat(query, application_name) FROM pg_stat_activity".into()];
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        all.extend_from_slice(table.as_bytes());
        texts.push(format!("SELECT t::text FROM {table} t"));
    }
    for text in texts {
        for row in client.query(&text, &[]).await.unwrap() {
            all.extend(row.get::<_, Option<String>>(0).unwrap_or_default().into_bytes());
            all.push(b'\n');
        }
    }
    all
}

/// Each source's secrets are canaries, and all of it is logged as finely as it goes.
async fn house(canaries: &mut Canaries) -> (House, Places) {
    let places = Places::with(canaries).await;
    let tokens = NAMES.iter().fold(Tokens::default(), |tokens, name| tokens.with(name, canaries.get(name)));
    let mut house = House::with(Options { rows_per_day: 20, tokens, ..Options::default() }).await;
    house.env.extend(places.env(canaries));
    house.context.postgres.url = places.postgres_url(canaries);
    let file = "sources/network_observability.yaml";
    house.edit(file, "steps:", "chunk_retry: { base: 20ms }\ntimeouts: { step: 8s, login: 20s }\nsteps:");
    // what fails is not waited for
    for name in Api::HTTP.map(Api::name) {
        let mapping = format!("mapping: {name}");
        house.edit(
            &format!("sources/{name}.yaml"),
            &mapping,
            &format!("chunk_retry: {{ base: 20ms }}\n{mapping}"),
        );
    }
    house.edit(file, "    timeout: 30s\n", "");
    (house, places)
}

fn canaries() -> Canaries {
    let others = ["redis password", "postgres password"];
    let mut canaries: BTreeMap<String, String> = NAMES
        .iter()
        .chain(&others)
        .map(|name| ((*name).to_owned(), canary(&name.replace(' ', "-"))))
        .collect();
    // it is typed where an address of mail is asked for
    canaries.entry("powerbi.username".into()).and_modify(|name| name.push_str("@marketplace.example"));
    let key: String = (0..32).map(|_| format!("{:02x}", fastrand::u8(..))).collect();
    canaries.insert("vault key".into(), key);
    Canaries(canaries)
}

fn said(exit: &Exit) -> Vec<u8> {
    format!("{}\n{}\n", exit.stdout, exit.stderr).into_bytes()
}

/// What commands say that fail for each of the services.
async fn complaints(house: &House, canaries: &Canaries) -> Vec<u8> {
    let nowhere =
        |scheme: &str, secret: &str| format!("{scheme}://u:{}@127.0.0.1:1/x", percent(canaries.get(secret)));
    let own = |wanted: &str| {
        house.env.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).unwrap()
    };
    let (redis, postgres) = (own("NSTORE_REDIS_URL"), own("NSTORE_POSTGRES_URL"));
    let mut all = Vec::new();
    for (name, value) in [
        ("NSTORE_REDIS_URL", nowhere("redis", "redis password")),
        ("NSTORE_REDIS_URL", redis.replace("://:", "://nobody:")),
        ("NSTORE_REDIS_URL", redis.replace("redis://", "rdis://")),
        ("NSTORE_POSTGRES_URL", nowhere("postgres", "postgres password")),
        ("NSTORE_POSTGRES_URL", postgres.replace("nstore_loader", "nobody")),
        ("NSTORE_POSTGRES_URL", format!("{postgres}?sslmode=nonsense")),
        ("AWS_ACCESS_KEY_ID", "nobody".to_owned()),
        ("NSTORE_STORAGE_URL", format!("s3://id:{}@bucket", percent(canaries.get("s3 secret key")))),
        ("NSTORE_VAULT_KEY", format!("{}x", canaries.get("vault key"))),
    ] {
        for args in ["config show", "status", "runs"] {
            all.extend(said(&house.nstore(args).env(name, &value).run(LONG).await));
        }
        let worker = house.worker_process(1, Duration::from_secs(1)).env(name, &value).start();
        tokio::time::sleep(Duration::from_secs(1)).await;
        worker.sigterm();
        all.extend(said(&worker.wait_exit(LONG).await));
    }
    all
}

/// A login that asks for what nobody has, then one that gets in; sources that refuse, and one whose rows do not fit.
async fn work(house: &House) -> Vec<u8> {
    let mut all = Vec::new();
    let range = |day: u32| format!("--start-date 2025-08-{day:02} --end-date 2025-08-{:02}", day + 1);
    let dashboard = "network_observability";
    house.simulator.fault(Fault::new(dashboard, FaultKind::Mfa).times(1000));
    all.extend(said(&house.run(&format!("extract {} --sources {dashboard} --upload", range(1))).await));
    house.simulator.clear_faults();
    all.extend(said(&house.good(&format!("extract {} --sources {ALL} --upload", range(3))).await));
    house.assert_equal(&Api::ALL, "2025-08-03", "2025-08-04").await;

    for (source, kind) in [
        ("buyer_orders", FaultKind::Auth),
        ("buyer_razorpay", FaultKind::Auth),
        ("seller_orders", FaultKind::Drift),
    ] {
        house.simulator.fault(Fault::new(source, kind).times(1000));
    }
    let failed = house.run(&format!("extract {} --sources {ALL} --upload --allow-shrink", range(5))).await;
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    all.extend(said(&failed));
    let runs: serde_json::Value = serde_json::from_str(&house.good("runs --json").await.stdout).unwrap();
    let run = runs[0]["run"].as_str().unwrap();
    for args in [
        format!("status {run}"),
        format!("status {run} --json --show-config"),
        "discarded list --json".to_owned(),
        "rejects list".to_owned(),
        "workers --json".to_owned(),
        "config show".to_owned(),
        "config test-connections".to_owned(),
        "rebuild".to_owned(),
        "clean --grace 0s --yes".to_owned(),
    ] {
        all.extend(said(&house.run(&args).await));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_found_in_what_nstore_leaves_says_or_is_started_with() {
    let mut canaries = canaries();
    let (house, places) = house(&mut canaries).await;
    let api = house.worker_process(4, Duration::from_secs(5)).start();
    let browser = house.browser_worker(1).start();
    let mut told = work(&house).await;
    // what the portal gave to those who signed in is as good as a password
    for (n, secret) in house.simulator.session_secrets().into_iter().enumerate() {
        canaries.0.insert(format!("session secret {n}"), secret);
    }
    told.extend(complaints(&house, &canaries).await);
    let mut logs = Vec::new();
    for worker in [api, browser] {
        worker.sigterm();
        logs.extend(said(&worker.wait_exit(LONG).await));
    }
    let mut contents = places.contents(&canaries).await;
    contents.insert("what commands said", told);
    contents.insert("logs", logs);
    for (place, there) in &contents {
        let known = if *place == "redis's log" { "Ready to accept" } else { "network_observability" };
        let expected = if *place == "command lines" { "nstore-worker" } else { known };
        let text = String::from_utf8_lossy(there);
        assert!(text.contains(expected), "{place}: not looked at, {} bytes", there.len());
    }
    let bundles = String::from_utf8_lossy(&contents["storage"]).matches("/page.html").count();
    assert!(bundles >= 1, "{bundles} failure bundles");
    assert!(String::from_utf8_lossy(&contents["logs"]).contains("TRACE"), "logged as finely as it goes");
    let found: BTreeMap<_, _> = contents
        .iter()
        .map(|(place, there)| (place, canaries.found(there)))
        .filter(|(_, found)| !found.is_empty())
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    planted_ones_are_found(&places, &canaries).await;
}

/// Each place is looked at as it should be: what is put there is found.
async fn planted_ones_are_found(places: &Places, canaries: &Canaries) {
    let secret = canaries.get("powerbi.password");
    let redis = |args: &[&str]| {
        let done = Command::new("redis-cli")
            .args(["-u", &places.redis.url()])
            .args(args)
            .env("REDISCLI_AUTH", canaries.get("redis password"))
            .status()
            .unwrap();
        assert!(done.success());
    };
    redis(&["HSET", "planted", "field", &percent(secret)]);
    redis(&["CONFIG", "SET", "appendfsync", "always"]);
    redis(&["RPUSH", "planted-too", secret]);
    let client = places.postgres.client().await;
    let note = format!("CREATE TABLE nstore.planted AS SELECT '{}'::text AS note", base64_behind(0, secret));
    client.batch_execute(&note).await.unwrap();
    places.s3.plant(&format!("<p>{}</p>", secret.replace('&', "&amp;"))).await;
    let mut process = Command::new("sleep").arg0(secret).arg("60").spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let contents = places.contents(canaries).await;
    process.kill().unwrap();
    process.wait().unwrap();
    for place in ["redis", "append-only file", "postgres", "storage", "command lines"] {
        let found = canaries.found(&contents[place]);
        assert!(found.contains(&"powerbi.password".to_owned()), "{place}: {found:?}");
    }
}
