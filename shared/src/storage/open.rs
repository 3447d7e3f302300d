//! Opens the store that a URL names. Credentials, region and endpoint come from the environment, never from the URL.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey as S3Key},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    client::HttpConnector as _,
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    path::Path,
    prefix::PrefixStore,
};

use super::{Storage, StorageError, answers::Listener, unfinished::Uploads};
use crate::config::{
    self,
    place::{self, Place, Provider},
};

/// A connection that is not made by then is tried again.
const CONNECT: Duration = Duration::from_secs(3);
/// An answer, or its next piece, that does not come by then is given up: a part of an upload needs its time.
const SILENCE: Duration = Duration::from_secs(30);
/// A connection that nobody used for so long may be dead.
const IDLE: Duration = Duration::from_secs(20);
/// How a failed request is repeated. A store that refuses connections is away after some 5 s of this.
const RETRIES: usize = 6;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// No request is begun again after so long.
const PATIENCE: Duration = Duration::from_secs(45);

/// Keys that a file may hold, named by the variable with `_FILE` at its end.
const BY_FILE: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Variables by name. Those that are set to nothing are left out, as if they were not set.
type Env = BTreeMap<String, String>;

impl Storage {
    /// Opens the store at `url` (`file:./storage`, `s3://bucket/prefix`, `gs://…`, `az://…`, `abfss://…`); a local folder
    /// is made when absent. An object store is not asked yet; what it needs beside the URL comes from this process's
    /// environment.
    ///
    /// # Errors
    /// When the URL or the environment says nothing usable, or the folder cannot be made.
    pub fn open(url: &str) -> Result<Self, StorageError> {
        let pair = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::open_with(url, std::env::vars_os().filter_map(pair))
    }

    /// The same with variables of the caller's, as `AWS_ACCESS_KEY_ID`.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub fn open_with(
        url: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StorageError> {
        let unusable = |reason| StorageError::Url { url: place::shown(url), reason };
        let mut env: Env = env.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        match Place::parse(url).map_err(unusable)? {
            Place::Folder(path) => folder(&path).map_err(unusable),
            Place::Bucket { provider, bucket, prefix } => {
                read_keys(&mut env).map_err(unusable)?;
                let (url, prefix) = (url.trim_end_matches('/').to_owned(), Path::from(prefix));
                let mut uploads = None;
                let store = match provider {
                    Provider::S3 => s3(&bucket, &env, &prefix).map(|found| {
                        let store = below(found.store.clone(), &prefix);
                        uploads = Some(Arc::new(found));
                        store
                    }),
                    Provider::Gcs => gcs(&bucket, &env).map(|store| below(store, &prefix)),
                    Provider::Azure => azure(&bucket, &env).map(|store| below(store, &prefix)),
                };
                Ok(Self { store: store.map_err(unusable)?, url, root: None, uploads })
            }
        }
    }
}

/// Puts keys that files hold beside the others.
fn read_keys(env: &mut Env) -> Result<(), String> {
    for name in BY_FILE {
        let given =
            config::setting(name, &|name| env.get(name).cloned()).map_err(|fault| fault.to_string())?;
        env.extend(given.map(|value| (name.to_owned(), value)));
    }
    Ok(())
}

fn folder(path: &str) -> Result<Storage, String> {
    std::fs::create_dir_all(path).map_err(|e| format!("cannot make folder `{path}`: {e}"))?;
    let root: PathBuf =
        std::fs::canonicalize(path).map_err(|e| format!("cannot open folder `{path}`: {e}"))?;
    let store = LocalFileSystem::new_with_prefix(&root).map_err(|e| e.to_string())?;
    let store = store.with_fsync(true).with_automatic_cleanup(true);
    let url = format!("file://{}", root.display());
    Ok(Storage { store: Arc::new(store), url, root: Some(root), uploads: None })
}

/// The part of a bucket below a prefix.
fn below(store: impl ObjectStore, prefix: &Path) -> Arc<dyn ObjectStore> {
    if prefix.is_root() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix.clone())) }
}

fn s3(bucket: &str, env: &Env, prefix: &Path) -> Result<Uploads, String> {
    let client = settings(env, "AWS_").fold(client(), |client, (key, value)| match key {
        S3Key::Client(key) => client.with_config(key, value),
        _ => client,
    });
    let builder = AmazonS3Builder::new().with_client_options(client.clone()).with_retry(retries());
    let builder = settings(env, "AWS_").fold(builder, |b, (key, value)| b.with_config(key, value));
    let builder = builder.with_http_connector(Listener).with_bucket_name(bucket);
    s3_is_told(&builder)?;
    let region = builder.get_config_value(&S3Key::Region).unwrap_or_else(|| "us-east-1".to_owned());
    Ok(Uploads {
        store: builder.build().map_err(|e| e.to_string())?,
        http: Listener.connect(&client).map_err(|e| e.to_string())?,
        region,
        prefix: prefix.clone(),
    })
}

/// Whether the environment says where the bucket is and who asks, as far as that can be seen from here.
fn s3_is_told(builder: &AmazonS3Builder) -> Result<(), String> {
    let said = |key| builder.get_config_value(&key);
    let endpoint = said(S3Key::S3Endpoint).or_else(|| said(S3Key::Endpoint));
    if let Some(endpoint) = &endpoint {
        endpoint_fits("AWS_ENDPOINT_URL", endpoint)?;
        http_is_allowed("AWS", endpoint, said(S3Key::Client(ClientConfigKey::AllowHttp)))?;
    } else if said(S3Key::Region).is_none() {
        return Err(
            "AWS_REGION is not set, so nobody knows in which region the bucket is (for a store that is not \
                    Amazon's set AWS_ENDPOINT_URL)"
                .to_owned(),
        );
    }
    let elsewhere = [
        S3Key::WebIdentityTokenFile,
        S3Key::ContainerCredentialsRelativeUri,
        S3Key::ContainerCredentialsFullUri,
        S3Key::MetadataEndpoint,
    ];
    let anonymous = said(S3Key::SkipSignature).is_some_and(|skip| skip == "true");
    match (said(S3Key::AccessKeyId), said(S3Key::SecretAccessKey)) {
        (Some(_), None) => Err("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not".to_owned()),
        (None, Some(_)) => Err("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not".to_owned()),
        // Amazon's own machines have credentials of their own; no other store's machine does
        (None, None)
            if endpoint.is_some() && !anonymous && !elsewhere.into_iter().any(|key| said(key).is_some()) =>
        {
            Err("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set".to_owned())
        }
        _ => Ok(()),
    }
}

fn gcs(bucket: &str, env: &Env) -> Result<impl ObjectStore + use<>, String> {
    let builder = GoogleCloudStorageBuilder::new().with_client_options(client()).with_retry(retries());
    let builder = settings(env, "GOOGLE_").fold(builder, |b, (key, value)| b.with_config(key, value));
    let builder = builder.with_http_connector(Listener).with_bucket_name(bucket);
    if let Some(endpoint) = builder.get_config_value(&GoogleConfigKey::BaseUrl) {
        endpoint_fits("GOOGLE_BASE_URL", &endpoint)?;
        let allowed = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
        http_is_allowed("GOOGLE", &endpoint, builder.get_config_value(&allowed))?;
    }
    builder.build().map_err(|e| e.to_string())
}

fn azure(container: &str, env: &Env) -> Result<impl ObjectStore + use<>, String> {
    let builder = MicrosoftAzureBuilder::new().with_client_options(client()).with_retry(retries());
    let builder = settings(env, "AZURE_").fold(builder, |b, (key, value)| b.with_config(key, value));
    let builder = builder.with_http_connector(Listener).with_url(format!("abfss://{container}"));
    if let Some(endpoint) = builder.get_config_value(&AzureConfigKey::Endpoint) {
        endpoint_fits("AZURE_STORAGE_ENDPOINT", &endpoint)?;
        let allowed = AzureConfigKey::Client(ClientConfigKey::AllowHttp);
        http_is_allowed("AZURE", &endpoint, builder.get_config_value(&allowed))?;
    }
    if !container.contains('@') && builder.get_config_value(&AzureConfigKey::AccountName).is_none() {
        return Err("AZURE_STORAGE_ACCOUNT_NAME is not set, and the URL names no account".to_owned());
    }
    builder.build().map_err(|e| e.to_string())
}

/// The variables of a provider that its client knows, read as the client's own `from_env` reads them.
fn settings<'a, K: FromStr>(env: &'a Env, start: &'a str) -> impl Iterator<Item = (K, &'a str)> {
    let own = env.iter().filter(move |(name, _)| name.starts_with(start));
    own.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.as_str())))
}

fn endpoint_fits(variable: &str, endpoint: &str) -> Result<(), String> {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    match rest {
        None => Err(format!("{variable} must start with https:// or http://")),
        Some(rest) if rest.contains('@') => Err(format!("{variable} must hold no user and no password")),
        Some(_) => Ok(()),
    }
}

fn http_is_allowed(variables: &str, endpoint: &str, allowed: Option<String>) -> Result<(), String> {
    if endpoint.starts_with("https://") || allowed.is_some_and(|allowed| allowed == "true") {
        return Ok(());
    }
    Err(format!(
        "its endpoint {endpoint} is plain http, where everyone on the way reads and changes what is stored: use https, or \
         allow it with {variables}_ALLOW_HTTP=true"
    ))
}

/// What holds where the environment says nothing else. A download takes as long as its rows take to load, so no limit is
/// set on a whole request.
fn client() -> ClientOptions {
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT)
        .with_read_timeout(SILENCE)
        .with_pool_idle_timeout(IDLE)
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: FIRST_WAIT, max_backoff: LONGEST_WAIT, base: 2.0 },
        max_retries: RETRIES,
        retry_timeout: PATIENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];

    fn open(url: &str, env: &[&[(&str, &str)]]) -> Result<Storage, String> {
        let env = env.concat().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Storage::open_with(url, env).map_err(|e| e.to_string())
    }

    /// Opening says this, and no secret.
    fn refused(url: &str, env: &[&[(&str, &str)]], said: &str) {
        let error = open(url, env).unwrap_err();
        assert!(error.contains(said) && !error.contains("hunter2"), "{url}: {error}");
    }

    #[test]
    fn keys_come_from_files_too() {
        use std::{fs, os::unix::fs::PermissionsExt as _};
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        fs::write(&file, "hunter2\n").unwrap();
        let path = file.display().to_string();
        let region: &[(&str, &str)] = &[("AWS_REGION", "eu-central-1"), KEYS[0]];
        let by_file: &[(&str, &str)] = &[("AWS_SECRET_ACCESS_KEY_FILE", &path)];
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        refused("s3://b", &[region, by_file], "others can get at it");
        refused("s3://b", &[region, by_file, KEYS], "AWS_SECRET_ACCESS_KEY is set as well");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        open("s3://b", &[region, by_file]).unwrap();
        fs::remove_file(&file).unwrap();
        refused("s3://b", &[region, by_file], "which is not there");
        open(&format!("file:{}", dir.path().display()), &[by_file]).unwrap();
    }

    #[test]
    fn a_bucket_is_opened_by_its_url_and_the_environment() {
        let store = open("s3://bucket/team/nstore/", &[KEYS, &[("AWS_REGION", "eu-central-1")]]).unwrap();
        assert_eq!((store.url(), store.free_bytes().unwrap()), ("s3://bucket/team/nstore", None));
        assert_eq!(store.url_of("runs/r"), "s3://bucket/team/nstore/runs/r");
        assert!(!format!("{store:?}").contains("hunter2"), "no secret is shown: {store:?}");
        let https: &[(&str, &str)] = &[("AWS_ENDPOINT_URL", "https://minio.internal:9000")];
        open("s3://bucket", &[KEYS, https]).unwrap();
        open("s3://bucket", &[https, &[("AWS_SKIP_SIGNATURE", "true")]]).unwrap();
        open("s3://bucket", &[&[("AWS_REGION", "eu-central-1")]]).unwrap();
        let azure: &[(&str, &str)] =
            &[("AZURE_STORAGE_ACCOUNT_NAME", "a"), ("AZURE_STORAGE_ACCOUNT_KEY", "aGk=")];
        open("az://container/p", &[azure]).unwrap();
        open("abfss://container@account.dfs.core.windows.net/p", &[&azure[1..]]).unwrap();
        open("gs://bucket", &[&[("GOOGLE_BEARER_TOKEN", "t")]]).unwrap();
    }

    #[test]
    fn what_is_missing_is_said_before_the_store_is_asked() {
        let http: &[(&str, &str)] = &[("AWS_ENDPOINT_URL", "http://minio:9000")];
        let allowed: &[(&str, &str)] = &[("AWS_ALLOW_HTTP", "true")];
        refused("s3://b", &[KEYS], "AWS_REGION is not set");
        refused("s3://b", &[http, allowed], "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");
        refused("s3://b", &[http, allowed, &KEYS[..1]], "AWS_SECRET_ACCESS_KEY is not");
        refused("s3://b", &[http, allowed, &KEYS[1..]], "AWS_ACCESS_KEY_ID is not");
        refused("s3://b", &[http, KEYS], "AWS_ALLOW_HTTP=true");
        refused(
            "s3://b",
            &[KEYS, &[("AWS_ENDPOINT_URL", "https://u:hunter2@host")]],
            "no user and no password",
        );
        refused("s3://b", &[KEYS, &[("AWS_ENDPOINT_URL", "minio:9000")]], "must start with https://");
        refused("s3://AKIA:hunter2@b", &[KEYS], "credentials have no place in it");
        refused("az://c", &[&[("AZURE_STORAGE_ACCOUNT_NAME", "")]], "AZURE_STORAGE_ACCOUNT_NAME is not set");
        refused("gs://b", &[&[("GOOGLE_BASE_URL", "http://gcs:4443")]], "GOOGLE_ALLOW_HTTP=true");
        open("s3://b", &[http, allowed, KEYS]).unwrap();
    }
}
