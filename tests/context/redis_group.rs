//! Several Redis servers that belong together, or one of another kind: a cluster, a primary with its replica and a
//! sentinel, a server that speaks TLS.

use std::{net::TcpListener, time::Duration};

use super::{
    Pair, Process, Running, Scratch,
    redis::{add_users, say, try_to_say, users_file},
};

/// What starts or settles does so within this time.
const READY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// Slots of a cluster.
const SLOTS: u16 = 16384;

/// A Redis process with settings of its own; killed when dropped.
#[derive(Debug)]
pub struct RedisNode {
    process: Running,
    port: u16,
    _scratch: Scratch,
}

impl RedisNode {
    /// Starts one with further settings, as on its command line.
    pub async fn start(settings: &[&str]) -> Self {
        let (scratch, port) = (Scratch::new("redis"), free_port());
        Self::launch(scratch, port, &["--port", &port.to_string()], settings).await
    }

    /// One that speaks TLS alone, under the shipped users; it asks clients for no certificate unless a further setting
    /// says so.
    pub async fn with_tls(pair: &Pair, ca: &str, settings: &[&str]) -> Self {
        let (scratch, port) = (Scratch::new("redis"), free_port());
        let (port_text, users) = (port.to_string(), users_file(scratch.path()));
        let [cert, key, users] =
            [&pair.cert, &pair.key, &users].map(|path| path.to_str().expect("a path of ours"));
        let tls = ["--port", "0", "--tls-port", &port_text, "--tls-cert-file", cert, "--tls-key-file", key];
        let tls =
            [&tls[..], &["--tls-ca-cert-file", ca, "--tls-auth-clients", "no", "--aclfile", users], settings]
                .concat();
        Self::launch(scratch, port, &tls, &[]).await
    }

    async fn launch(scratch: Scratch, port: u16, first: &[&str], more: &[&str]) -> Self {
        let fixed = ["--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction"];
        let process = Process::new("/usr/bin/redis-server").args(first).args(fixed).args(more);
        let mut process = process.dir(scratch.path()).start();
        process.wait_for("Ready to accept connections", READY).await;
        Self { process, port, _scratch: scratch }
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it the hard way.
    pub fn kill(&self) {
        self.process.kill9();
    }
}

/// Three primaries with a third of the slots each, under the shipped users.
#[derive(Debug)]
pub struct RedisCluster {
    /// The nodes.
    pub nodes: Vec<RedisNode>,
}

impl RedisCluster {
    /// Starts it, and waits until each node knows of all.
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let bus = free_port().to_string();
            let settings =
                ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"];
            nodes.push((RedisNode::start(&settings).await, bus));
        }
        let share = SLOTS.div_ceil(3);
        for (at, (node, _)) in (0..).zip(&nodes) {
            let (first, last) = (at * share, ((at + 1) * share).min(SLOTS) - 1);
            say(&node.url(), &format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
            add_users(&node.url());
        }
        for (node, bus) in &nodes[1..] {
            say(&nodes[0].0.url(), &format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port));
        }
        let nodes: Vec<RedisNode> = nodes.into_iter().map(|(node, _)| node).collect();
        for node in &nodes {
            until(&node.url(), "CLUSTER INFO", &["cluster_state:ok", "cluster_known_nodes:3"]).await;
        }
        Self { nodes }
    }

    /// `redis+cluster://` and two of the nodes, for one of the shipped users.
    pub fn url(&self, user: &str) -> String {
        let [first, second] = [0, 1].map(|at| self.nodes[at].address());
        format!("redis+cluster://{user}:{user}@{first},{second}")
    }
}

/// A primary, its replica, and a sentinel that promotes the replica within some seconds of the primary's death.
#[derive(Debug)]
pub struct RedisPair {
    /// The first primary.
    pub primary: RedisNode,
    /// What follows it.
    pub replica: RedisNode,
    _sentinel: Running,
    sentinel_port: u16,
    _scratch: Scratch,
}

impl RedisPair {
    /// Starts all three, under the shipped users.
    pub async fn start() -> Self {
        let primary = RedisNode::start(&["--repl-diskless-sync-delay", "0"]).await;
        let of = format!("127.0.0.1 {}", primary.port);
        let replica = RedisNode::start(&["--replicaof", &of]).await;
        for node in [&primary, &replica] {
            add_users(&node.url());
        }
        until(&primary.url(), "INFO replication", &["state=online"]).await;
        let (scratch, port) = (Scratch::new("sentinel"), free_port());
        let file = scratch.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n",
            primary.port
        );
        std::fs::write(&file, settings).expect("a file of ours");
        let sentinel = Process::new("/usr/bin/redis-server").arg(&file).arg("--sentinel");
        let mut sentinel = sentinel.dir(scratch.path()).start();
        sentinel.wait_for("+monitor master main", READY).await;
        // what it does not know yet it cannot promote
        until(&format!("redis://127.0.0.1:{port}"), "SENTINEL MASTERS", &["num-slaves\r\n$1\r\n1"]).await;
        Self { primary, replica, _sentinel: sentinel, sentinel_port: port, _scratch: scratch }
    }

    /// `redis+sentinel://` and the primary's name, for one of the shipped users.
    pub fn url(&self, user: &str) -> String {
        format!("redis+sentinel://{user}:{user}@127.0.0.1:{}/main", self.sentinel_port)
    }
}

/// Asks until the answer holds all of these.
async fn until(url: &str, command: &str, wanted: &[&str]) {
    let start = tokio::time::Instant::now();
    loop {
        let answer = try_to_say(url, command).unwrap_or_else(|error| error.to_string());
        if wanted.iter().all(|text| answer.contains(text)) {
            return;
        }
        assert!(start.elapsed() < READY, "{command} at {url} says for {READY:?}: {answer}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
