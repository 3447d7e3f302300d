//! The way to Redis: how a line to it is made, and made anew when it broke or the primary moved.

use std::{sync::Once, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, RedisResult, TlsMode, Value,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    cluster::{ClusterClient, ClusterConfig},
    cluster_async::ClusterConnection,
    cluster_routing::{Route as Slot, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use super::address::{Address, Place, Tls};

/// A server that says nothing for so long is away. The crate's default, half a second, is shorter than an
/// ordinary fork or fsync pause.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A cluster's answer may take a look at who has the slot now.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries to connect again, within one call.
const RECONNECTS: u32 = 2;
const LONGEST_PAUSE_MILLIS: u64 = 500;

/// Where the servers are, and who knows it.
pub(super) enum Route {
    /// One server.
    Server(Box<Client>),
    /// Sentinels know the primary; whoever asks has them alone.
    Sentinels(Box<Mutex<SentinelClient>>),
    /// The nodes know each other. A client of one of them says better what is wrong with all.
    Cluster(Box<(ClusterClient, Client)>),
}

/// An open line; clones share it.
#[derive(Clone)]
pub(super) enum Line {
    /// Comes back by itself, but for silence and refusals.
    Server(ConnectionManager),
    /// To the server that was the primary when it was made.
    Primary(MultiplexedConnection),
    /// To all nodes; finds out by itself where slots have moved.
    Cluster(ClusterConnection),
}

impl Route {
    /// The way to an address; nothing is connected yet.
    pub(super) fn to(address: Address) -> RedisResult<Self> {
        let Address { place, tls, shown } = address;
        if let Some(tls) = &tls {
            one_provider();
            if tls.insecure {
                warn_once(&shown);
            }
        }
        match place {
            Place::Server(info) => client(info, tls.as_ref()).map(|client| Self::Server(Box::new(client))),
            Place::Cluster(nodes) => cluster(nodes, tls),
            Place::Sentinels { sentinels, primary, login } => {
                let built = named_by(&sentinels, &primary, login, tls)?;
                Ok(Self::Sentinels(Box::new(Mutex::new(built))))
            }
        }
    }

    /// A line that stands.
    pub(super) async fn line(&self) -> RedisResult<Line> {
        match self {
            Self::Server(client) => {
                ConnectionManager::new_with_config(Client::clone(client), managed()).await.map(Line::Server)
            }
            Self::Sentinels(sentinels) => primary(&mut *sentinels.lock().await).await,
            Self::Cluster(clients) => match clients.0.get_async_connection().await {
                Ok(cluster) => Ok(Line::Cluster(cluster)),
                // that no node can be reached says little: one of them says why
                Err(all) => match clients.1.get_multiplexed_async_connection_with_config(&plain()).await {
                    Ok(_) => Err(all),
                    Err(one) => Err(one),
                },
            },
        }
    }

    /// A line in place of one that failed; `None` where the old one is as good. It may connect only when it is used.
    pub(super) async fn another(&self) -> Option<Line> {
        match self {
            Self::Server(client) => ConnectionManager::new_lazy_with_config(Client::clone(client), managed())
                .ok()
                .map(Line::Server),
            Self::Sentinels(sentinels) => primary(&mut *sentinels.lock().await).await.ok(),
            Self::Cluster(clients) => {
                let config = ClusterConfig::new()
                    .set_connection_timeout(CONNECT_TIMEOUT)
                    .set_response_timeout(RESPONSE_TIMEOUT);
                Some(Line::Cluster(clients.0.get_pending_async_connection_with_config(config)))
            }
        }
    }
}

impl Line {
    /// Sends a command to the server that has its key; one without a key goes to every primary of a cluster.
    pub(super) async fn send(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(manager) => cmd.query_async(manager).await,
            Self::Primary(connection) => cmd.query_async(connection).await,
            Self::Cluster(cluster) => cmd.query_async(cluster).await,
        }
    }

    /// Sends a command to the primary that has this key.
    pub(super) async fn send_to(&mut self, key: &[u8], cmd: &Cmd) -> RedisResult<Value> {
        let Self::Cluster(cluster) = self else { return self.send(cmd).await };
        let owner = SingleNodeRoutingInfo::SpecificNode(Slot::with_key(key, SlotAddr::Master));
        cluster.route_command(cmd.clone(), RoutingInfo::SingleNode(owner)).await
    }

    /// Whether a line that failed so is to be replaced. Managed ones replace what broke; they keep a silent one,
    /// whose peer may be gone for good, and for ever one that failed for another reason than I/O.
    pub(super) fn is_spent(&self, error: &redis::RedisError) -> bool {
        match error.kind() {
            redis::ErrorKind::Io => matches!(self, Self::Primary(_)) || error.is_timeout(),
            redis::ErrorKind::Server(_) | redis::ErrorKind::Extension => {
                matches!(self, Self::Primary(_)) && is_no_primary(error)
            }
            _ => true,
        }
    }
}

/// The server says that it is no primary any more.
pub(super) fn is_no_primary(error: &redis::RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN"))
}

async fn primary(sentinels: &mut SentinelClient) -> RedisResult<Line> {
    let client = sentinels.async_get_client().await?;
    client.get_multiplexed_async_connection_with_config(&plain()).await.map(Line::Primary)
}

fn client(info: ConnectionInfo, tls: Option<&Tls>) -> RedisResult<Client> {
    match tls {
        Some(tls) => Client::build_with_tls(info, tls.certificates.clone()),
        None => Client::open(info),
    }
}

fn cluster(nodes: Vec<ConnectionInfo>, tls: Option<Tls>) -> RedisResult<Route> {
    let first = client(nodes[0].clone(), tls.as_ref())?;
    let mut builder = ClusterClient::builder(nodes)
        .retries(RECONNECTS)
        .max_retry_wait(LONGEST_PAUSE_MILLIS)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT)
        .overall_response_timeout(Some(CLUSTER_TIMEOUT));
    if let Some(tls) = tls {
        builder = builder.certs(tls.certificates);
    }
    Ok(Route::Cluster(Box::new((builder.build()?, first))))
}

fn named_by(
    sentinels: &[ConnectionInfo],
    primary: &str,
    login: [Option<String>; 2],
    tls: Option<Tls>,
) -> RedisResult<SentinelClient> {
    let addresses: Vec<ConnectionAddr> = sentinels.iter().map(|info| info.addr().clone()).collect();
    let server = sentinels[0].redis_settings();
    let mut builder = SentinelClientBuilder::new(addresses, primary, SentinelServerType::Master)?
        .set_client_to_redis_db(server.db())
        .set_client_to_redis_protocol(server.protocol());
    if let Some(user) = server.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = server.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    let [user, password] = login;
    if let Some(user) = user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(Tls { certificates, insecure }) = tls {
        let mode = if insecure { TlsMode::Insecure } else { TlsMode::Secure };
        builder = builder
            .set_client_to_redis_tls_mode(mode)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

fn managed() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_number_of_retries(RECONNECTS as usize)
        .set_max_delay(Duration::from_millis(LONGEST_PAUSE_MILLIS))
}

fn plain() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
}

/// All of the process encrypts by one library, whatever others a dependency brings along.
fn one_provider() {
    // it fails where one was chosen before, which is as good
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn warn_once(url: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            "redis at {url} is not checked (#insecure): anyone on the way may read and change the queue"
        );
    });
}
