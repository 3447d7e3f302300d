//! `nstore local …`: the private servers.

use std::{path::Path, process::Stdio};

use anyhow::Context as _;
use tokio::{process::Command, task::spawn_blocking};

use super::{
    exit::{Exit, Refusal},
    interrupt::Interrupt,
    view,
};
use crate::local::{PostgresOptions, PostgresServer, binaries::PostgresBinaries, site};

/// Opens psql on the private PostgreSQL; one that does not run is started, and ended afterwards.
pub(super) async fn psql(args: &[String]) -> anyhow::Result<Exit> {
    let dir = Path::new(site::DIR);
    let program = PostgresBinaries::find(None)?.psql().ok_or_else(|| {
        Refusal::new(Exit::Unreachable, "psql is not installed", "apt-get install postgresql-client")
    })?;
    // a Ctrl-C is for psql, which ends a query with it
    let _interrupt = Interrupt::listen()?;
    let running = site::attach(dir).and_then(|addresses| addresses.postgres_url);
    let (url, server) = match running {
        Some(url) => (url, None),
        None => {
            let server = start(dir).await?;
            (server.url(), Some(server))
        }
    };
    // the address goes by the environment, where other users do not see its password
    let status =
        Command::new(program).args(args).envs(connection(&url)).stdin(Stdio::inherit()).status().await;
    if let Some(mut server) = server {
        spawn_blocking(move || server.stop()).await.context("cannot stop the private PostgreSQL")?;
    }
    let status = status.context("cannot start psql")?;
    Ok(if status.success() { Exit::Good } else { Exit::Failed })
}

async fn start(dir: &Path) -> anyhow::Result<PostgresServer> {
    if !site::facts(dir).postgres_data {
        let hint = "nstore --local extract … --upload makes one; run this in the same directory";
        let text = format!("there is no database under {}", dir.display());
        return Err(Refusal::new(Exit::Usage, text, hint).into());
    }
    let options = PostgresOptions::new(dir.join("postgres"));
    let started = spawn_blocking(move || PostgresServer::start(&options)).await;
    started.context("cannot start the private PostgreSQL")?.context("cannot start the private PostgreSQL")
}

/// `postgres://user:password@host:port/database` as libpq's variables.
fn connection(url: &str) -> Vec<(&'static str, String)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (login, place) = rest.split_once('@').unwrap_or(("", rest));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (address, database) = place.split_once('/').unwrap_or((place, ""));
    let (host, port) = address.split_once(':').unwrap_or((address, ""));
    let all = [
        ("PGUSER", user),
        ("PGPASSWORD", password),
        ("PGHOST", host),
        ("PGPORT", port),
        ("PGDATABASE", database),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, v)| (name, v.to_owned())).collect()
}

/// Ends what a killed nstore left behind.
pub(super) async fn stop() -> anyhow::Result<Exit> {
    let dir = Path::new(site::DIR);
    if !dir.is_dir() {
        view::print("there is no .nstore/ here: nothing runs");
        return Ok(Exit::Good);
    }
    let workers = site::end_leftovers(dir).await?;
    let ended = match workers {
        0 => String::new(),
        left => format!("; ended {}", view::quantity::count(left as u64, "worker")),
    };
    view::print(&format!("nothing runs under {} any more{ended}", dir.display()));
    Ok(Exit::Good)
}

/// Says what is there and what runs.
pub(super) fn status() -> anyhow::Result<Exit> {
    let dir = Path::new(site::DIR);
    if !dir.is_dir() {
        view::print("there is no .nstore/ here: `nstore --local …` makes it");
        return Ok(Exit::Good);
    }
    let facts = site::facts(dir);
    let servers = match facts.left_behind {
        _ if facts.running => "run now, for another nstore".to_owned(),
        0 => "do not run".to_owned(),
        _ => "were left behind by a killed nstore; end them with: nstore local stop".to_owned(),
    };
    let yes = |there, yes: &str, no: &str| if there { yes.to_owned() } else { no.to_owned() };
    view::print(&format!(
        "directory   {}\nservers     {}\nqueue       {}\ndatabase    {}",
        facts.dir.display(),
        servers,
        yes(facts.redis_data, "there, kept by redis", "none yet"),
        yes(facts.postgres_data, "there, look at it with: nstore local psql", "none yet"),
    ));
    Ok(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_variables() {
        let found = connection("postgres://nstore:s3cret@127.0.0.1:20123/nstore");
        let text: Vec<String> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let wanted = "PGUSER=nstore PGPASSWORD=s3cret PGHOST=127.0.0.1 PGPORT=20123 PGDATABASE=nstore";
        assert_eq!(text.join(" "), wanted);
    }
}
