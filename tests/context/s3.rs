//! An S3 server of a test's own: moto, in a virtual environment that is made once beside the build.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;

use super::{Process, Running, Scratch, process::binary};

/// It imports much before it listens.
const START: Duration = Duration::from_secs(60);
/// Keys of one page of a list: few, so that short lists have several.
const PAGE: &str = "100";

/// What the server says once it listens.
#[derive(Debug, Deserialize)]
struct Told {
    port: u16,
    bucket: String,
    absent: String,
    writer: Keys,
    reader: Keys,
}

/// A user's key pair.
#[derive(Debug, Clone, Deserialize)]
pub struct Keys {
    /// `AWS_ACCESS_KEY_ID`.
    pub id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: String,
}

/// An S3 server with one bucket; signatures and rights are checked.
#[derive(Debug)]
pub struct S3 {
    /// Where it listens, over plain HTTP.
    pub address: SocketAddr,
    /// The bucket that is there.
    pub bucket: String,
    /// One that is not there, though the users would have their rights on it.
    pub absent: String,
    /// A user with the rights that nstore is documented to need.
    pub writer: Keys,
    /// A user who may only read.
    pub reader: Keys,
    /// One for all questions: each reads the system's certificates.
    client: reqwest::Client,
    _server: Running,
    _scratch: Scratch,
}

/// Starts an S3 server for one test alone.
pub async fn own_s3() -> S3 {
    let python = tokio::task::spawn_blocking(environment).await.expect("a virtual environment");
    let scratch = Scratch::new("s3");
    let mut server = Process::new(python.to_str().expect("a path of ours"))
        .arg(sources().join("serve.py"))
        .env("MOTO_S3_DEFAULT_MAX_KEYS", PAGE)
        // a host's name is no bucket's
        .env("S3_IGNORE_SUBDOMAIN_BUCKETNAME", "true")
        // a test is no place to look for a user's settings
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .dir(scratch.path())
        .start();
    server.wait_for("}\n", START).await;
    let told: Told = serde_json::from_str(&server.stdout()).expect("what serve.py prints");
    S3 {
        address: (Ipv4Addr::LOCALHOST, told.port).into(),
        bucket: told.bucket,
        absent: told.absent,
        writer: told.writer,
        reader: told.reader,
        client: reqwest::Client::new(),
        _server: server,
        _scratch: scratch,
    }
}

impl S3 {
    /// A storage URL in its bucket.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{}/{prefix}", self.bucket)
    }

    /// The variables of one who may do what nstore needs.
    pub fn env(&self) -> Vec<(String, String)> {
        env(self.address, &self.writer)
    }

    /// Files whose uploads were begun and not ended, of the whole bucket.
    pub async fn unfinished(&self) -> Vec<String> {
        self.list("unfinished").await
    }

    /// All that is in the bucket.
    pub async fn keys(&self) -> Vec<String> {
        self.list("keys").await
    }

    /// What stands under one of them.
    ///
    /// # Errors
    /// When there is no such thing.
    pub async fn text(&self, key: &str) -> anyhow::Result<String> {
        let answer = self.client.get(format!("http://{}/text?{key}", self.address)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    async fn list(&self, what: &str) -> Vec<String> {
        let answer =
            self.client.get(format!("http://{}/{what}", self.address)).send().await.expect("the server");
        answer.json().await.expect("a list")
    }

    /// Puts an object into the bucket that nstore knows nothing of.
    pub async fn plant(&self, text: &str) {
        let url = format!("http://{}/objects", self.address);
        let answer = self.client.post(url).body(text.to_owned()).send().await.expect("the server");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// All keys of the bucket and what stands under them, one after the other.
    pub async fn objects(&self) -> Vec<u8> {
        let answer =
            self.client.get(format!("http://{}/objects", self.address)).send().await.expect("the server");
        answer.bytes().await.expect("all of it").into()
    }
}

/// The variables under which nstore finds an S3 server, or what stands in front of it.
pub fn env(address: SocketAddr, keys: &Keys) -> Vec<(String, String)> {
    let endpoint = format!("http://{address}");
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", &keys.id),
        ("AWS_SECRET_ACCESS_KEY", &keys.secret),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("context/s3")
}

/// The Python of a virtual environment of just the packages that are asked for, made anew only when they change.
fn environment() -> PathBuf {
    let builds = binary("testbed").parent().and_then(Path::parent).expect("a build's folder").to_owned();
    let dir = builds.join("s3");
    fs::create_dir_all(&dir).expect("a folder beside the build");
    let lock = File::create(dir.join("lock")).expect("a file beside the build");
    flock(&lock, FlockOperation::LockExclusive).expect("a lock, while another test makes it");
    let (venv, wanted) = (dir.join("venv"), sources().join("requirements.txt"));
    let python = venv.join("bin/python");
    let made = venv.join("requirements.txt");
    if fs::read(&made).ok() != fs::read(&wanted).ok() {
        if venv.exists() {
            fs::remove_dir_all(&venv).expect("an old environment goes");
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "-r"];
        run(Command::new(&python).args(pip).arg(&wanted));
        fs::copy(&wanted, &made).expect("a note of what is installed");
    }
    python
}

fn run(command: &mut Command) {
    let output = command.output().expect("python3 is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
