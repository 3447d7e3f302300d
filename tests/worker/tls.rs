//! A source whose certificate no system authority has signed: a fault of the configuration, with the two ways out.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use nstore_tests::context::{Exit, Pair, Process, Scratch, certificates, copy_config, edit};
use serde_json::Value;

use crate::house::{CONFIG, LIMIT};

/// Answers each request with an empty list of seller_orders; prints its port.
const SERVER: &str = r#"
import http.server, json, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"result": {"orders": [], "total": 0}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(pair: &Pair) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", SERVER])
            .args([&pair.cert, &pair.key])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut port = String::new();
        let out = child.stdout.take().expect("a pipe of ours");
        BufReader::new(out).read_line(&mut port).expect("the port");
        Self { child, url: format!("https://127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn probe(url: &str, config: &Path, env: &[(&str, &Path)]) -> (Exit, Value) {
    let mut process = Process::new("nstore-worker")
        .args(["probe", "seller_orders", "--json", "--date", "2025-08-01", "--config"])
        .args([config])
        .env("SELLER_URL", url)
        .env("NSTORE_SECRET_SELLER_ORDERS_API_KEY", "any");
    for (name, value) in env {
        process = process.env(name, *value);
    }
    let exit = process.run(LIMIT).await;
    let found = serde_json::from_str(&exit.stdout).unwrap_or_else(|e| panic!("{e}: {exit:?}"));
    (exit, found)
}

#[tokio::test]
async fn an_unknown_authority_is_a_fault_of_the_config_with_two_ways_out() {
    let certificates = certificates();
    let server = Server::start(&certificates.good);
    let shipped = Path::new(CONFIG);
    let (exit, found) = probe(&server.url, shipped, &[]).await;
    assert_eq!((exit.code, &found["class"]), (Some(2), &"config".into()), "{found}");
    let message = found["message"].as_str().unwrap();
    assert!(message.contains("SSL_CERT_FILE") && message.contains("tls: { ca: FILE }"), "{message}");

    let (exit, found) = probe(&server.url, shipped, &[("SSL_CERT_FILE", &certificates.ca)]).await;
    assert_eq!(exit.code, Some(0), "{found}");

    let own = Scratch::new("tls-config");
    copy_config(own.path());
    let trusting = format!("tls: {{ ca: {:?} }}\npaginator:", certificates.ca);
    edit(&own.path().join("sources/seller_orders.yaml"), "paginator:", &trusting);
    let (exit, found) = probe(&server.url, own.path(), &[]).await;
    assert_eq!(exit.code, Some(0), "{found}");

    let other = Server::start(&certificates.wrong_name);
    let (exit, found) = probe(&other.url, own.path(), &[]).await;
    assert_eq!((exit.code, &found["class"]), (Some(2), &"config".into()), "{found}");
    assert!(found["message"].as_str().unwrap().contains("another name"), "{found}");
}
