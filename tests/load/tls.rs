//! TLS to PostgreSQL, as libpq's `sslmode` says: who is taken for the server, and what is said when it is not.

use std::{
    io,
    sync::{Arc, Mutex},
};

use nstore::db::{Db, DbError};
use nstore_shared::chunk::UploadMode::{Append, Replace};
use nstore_tests::context::{self, Certificates, OwnPostgres, Pair};
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{World, ask};
use nstore::load::PreflightReport;

/// A server of its own that shows this certificate, if any.
async fn server(pair: Option<&Pair>) -> OwnPostgres {
    let postgres = tokio::task::spawn_blocking(context::own_postgres).await.unwrap();
    if let Some(pair) = pair {
        postgres.speak_tls(pair).await;
    }
    postgres
}

/// The server by another name, which leads to this machine all the same.
fn named(postgres: &OwnPostgres, host: &str, parameters: &str) -> String {
    let url = postgres.url().replace("127.0.0.1", host);
    format!("{url}?hostaddr=127.0.0.1&{parameters}")
}

fn trusting(made: &Certificates) -> String {
    format!("sslrootcert={}", made.ca.display())
}

async fn connect(url: &str) -> Result<Db, DbError> {
    Db::connect(url, "public").await
}

/// The reason and the hint of a refusal that no other try changes.
async fn refusal(url: &str) -> String {
    let refused = connect(url).await.map(drop).unwrap_err();
    assert!(matches!(refused, DbError::Refused { .. }) && !refused.may_pass(), "{url}: {refused:?}");
    format!("{refused}: {}", refused.hint().unwrap_or_default())
}

#[tokio::test]
async fn all_connections_of_a_load_are_encrypted() {
    let made = context::certificates();
    let postgres = server(Some(&made.good)).await;
    // nobody else may come in otherwise
    let url = format!(
        "{}?sslmode=verify-full&{}",
        postgres.url().replace("127.0.0.1", "localhost"),
        trusting(&made)
    );
    let world = World::at(&postgres.url()).await;
    let loader = nstore::load::Loader::new(connect(&url).await.unwrap(), world.storage.clone());
    let run = ask("r1", Append).key(&["id"]).manifest();
    loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    loader.register(&run).await.unwrap();
    for marker in world.commit_all(&run, 1000).await {
        loader.load_chunk(&run, &run.sources[0], &marker).await.unwrap();
    }
    let whole = ask("r2", Replace).key(&["id"]).created_at(1).manifest();
    loader.register(&whole).await.unwrap();
    let markers = world.commit_all(&whole, 20_000).await;
    loader.replace(&whole, &whole.sources[0], &markers).await.unwrap();
    world.storage.cancel(&run.run, "no more").await.unwrap();
    loader.cancel(&run.run).await.unwrap();
    assert_eq!(world.rows().await, 60_000);
    let clear =
        "SELECT count(*) FILTER (WHERE NOT s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
                 WHERE a.application_name = 'nstore'";
    // the world's own loader came over loopback without asking for anything: TLS all the same, as the server has it
    assert_eq!(world.number(clear).await, 0);
    assert!(world.number(&clear.replace("NOT s.ssl", "s.ssl")).await > 0);
}

#[tokio::test]
async fn by_default_a_server_elsewhere_must_prove_its_name() {
    let made = context::certificates();
    let postgres = server(Some(&made.wrong_name)).await;
    let roots = trusting(&made);
    connect(&named(&postgres, "elsewhere.example", &roots)).await.unwrap();
    for mode in ["", "&sslmode=verify-full"] {
        let said = refusal(&named(&postgres, "db.example", &format!("{roots}{mode}"))).await;
        assert!(
            said.contains("db.example") && said.contains("a name that its certificate carries"),
            "{said}"
        );
    }
    // an authority vouches for it, and that is all that is asked
    connect(&named(&postgres, "db.example", &format!("{roots}&sslmode=verify-ca"))).await.unwrap();
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let made = context::certificates();
    let postgres = server(Some(&made.self_signed)).await;
    let roots = trusting(&made);
    for parameters in [
        "",
        "sslmode=verify-full",
        "sslrootcert=system",
        &format!("{roots}&sslmode=verify-ca"),
        // an authority that is named is always asked
        &format!("{roots}&sslmode=require"),
        &format!("{roots}&sslmode=prefer"),
    ] {
        let said = refusal(&named(&postgres, "db.example", parameters)).await;
        assert!(said.contains("sslrootcert=FILE"), "{parameters}: {said}");
    }
    connect(&named(&postgres, "db.example", "sslmode=require")).await.unwrap();
    // its own certificate is the authority
    let own = format!("sslrootcert={}", made.self_signed.cert.display());
    connect(&named(&postgres, "localhost", &format!("{own}&sslmode=verify-full"))).await.unwrap();
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let made = context::certificates();
    let postgres = server(None).await;
    for parameters in ["", "sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"] {
        let url = named(&postgres, "db.example", &format!("{}&{parameters}", trusting(&made)));
        let said = refusal(&url).await;
        assert!(said.contains("does not speak TLS") && said.contains("ssl = on"), "{parameters}: {said}");
    }
    // on this machine nothing is asked for
    connect(&postgres.url()).await.unwrap();
    refusal(&format!("{}?sslmode=require", postgres.url())).await;
}

#[tokio::test]
async fn a_server_may_ask_for_a_certificate_too() {
    let made = context::certificates();
    let postgres = server(Some(&made.good)).await;
    postgres.ask_for_certificates(&made.ca).await;
    let base = format!("{}?sslmode=verify-full&{}", postgres.url(), trusting(&made));
    let (cert, key) = (made.client.cert.display(), made.client.key.display());
    connect(&format!("{base}&sslcert={cert}&sslkey={key}")).await.unwrap();
    let refused = connect(&base).await.map(drop).unwrap_err();
    assert!(matches!(refused, DbError::Refused { .. }), "{refused:?}");
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What is warned of while connecting twice and asking a few times.
async fn warnings(url: &str) -> Vec<String> {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let db = connect(url).await.unwrap();
    let asked = (0..3).map(|_| db.check());
    for facts in futures::future::join_all(asked).await {
        facts.unwrap();
    }
    drop(guard);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn weak_protection_is_told_once_and_only_where_somebody_could_listen() {
    let made = context::certificates();
    let (plain, speaks) = (server(None).await, server(Some(&made.good)).await);
    for (postgres, parameters, word) in [
        (&plain, "sslmode=prefer", "offers no TLS"),
        (&plain, "sslmode=allow", "offers no TLS"),
        (&plain, "sslmode=disable", "as sslmode=disable says"),
        (&speaks, "sslmode=disable", "as sslmode=disable says"),
        (&speaks, "sslmode=prefer", "not asked who it is"),
        (&speaks, "sslmode=require", "not asked who it is"),
    ] {
        let said = warnings(&named(postgres, "db.example", parameters)).await;
        assert_eq!(said.len(), 1, "{parameters}: {said:?}");
        assert!(said[0].contains(word) && said[0].contains("db.example"), "{parameters}: {said:?}");
    }
    let checked = format!("sslmode=verify-ca&{}", trusting(&made));
    assert!(warnings(&named(&speaks, "db.example", &checked)).await.is_empty());
    assert!(warnings(&plain.url()).await.is_empty());
    assert!(warnings(&format!("{}?sslmode=disable", speaks.url())).await.is_empty());
}
