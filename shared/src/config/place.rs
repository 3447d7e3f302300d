//! Where storage is, by its URL: a folder, or a bucket of an object store. Pure.

/// What a storage URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A local folder, `file:./storage`.
    Folder(String),
    /// A part of an object store, `s3://bucket/prefix`.
    Bucket {
        /// Whose.
        provider: Provider,
        /// The bucket; on Azure the container, with `@` and the account's host where the URL names it.
        bucket: String,
        /// What all keys start with, without slashes at its ends; may be empty.
        prefix: String,
    },
}

/// Who runs an object store, or whose protocol it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// `s3://`: Amazon S3 and all that speak its protocol.
    S3,
    /// `gs://`: Google Cloud Storage.
    Gcs,
    /// `az://` and `abfss://`: Azure Blob Storage.
    Azure,
}

impl Place {
    /// Reads a storage URL.
    ///
    /// # Errors
    /// What is wrong with it. The text shows nothing of the URL, which may hold a secret.
    pub fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { wrong("it names no folder") } else { Ok(Self::Folder(path.into())) };
        }
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let provider = match scheme {
            "s3" => Provider::S3,
            "gs" => Provider::Gcs,
            "az" | "abfss" => Provider::Azure,
            _ => return wrong("it must start with file:, s3://, gs://, az:// or abfss://"),
        };
        if rest.contains(['?', '#']) {
            return wrong(
                "it must end before `?` and `#`: settings and credentials come from the environment",
            );
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // on Azure a container may name its account: container@account.dfs.core.windows.net
        if bucket.contains(':') || provider != Provider::Azure && rest.contains('@') {
            return wrong("credentials have no place in it: they come from the environment");
        }
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let named = |part: &str| !part.is_empty() && part.bytes().all(fits);
        if bucket.is_empty() {
            return wrong("it names no bucket");
        }
        if !bucket.split('@').all(named) || bucket.split('@').count() > 2 {
            return wrong(
                "the name of its bucket has other characters than letters, digits, `-`, `_` and `.`",
            );
        }
        let prefix = prefix.trim_end_matches('/');
        let part = |part: &str| named(part) && part != "." && part != "..";
        if !prefix.is_empty() && !prefix.split('/').all(part) {
            return wrong("what follows its bucket is no prefix, as `team/nstore` is one");
        }
        Ok(Self::Bucket { provider, bucket: bucket.into(), prefix: prefix.into() })
    }
}

fn wrong<T>(reason: &str) -> Result<T, String> {
    Err(reason.to_owned())
}

/// A storage URL as it may be shown: what could be a login, a query or a fragment is left out.
pub fn shown(url: &str) -> String {
    let kept = url.find(['?', '#']).map_or(url.to_owned(), |end| format!("{}…", &url[..end]));
    match (kept.find("://"), kept.rfind('@')) {
        (Some(scheme), Some(at)) if !kept.starts_with("file:") => {
            // no bucket has a colon in its name: what follows one is a login as well
            let place = kept[at..].split(':').next().unwrap_or_default();
            format!("{}://***{place}", &kept[..scheme])
        }
        _ => kept,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(provider: Provider, bucket: &str, prefix: &str) -> Result<Place, String> {
        Ok(Place::Bucket { provider, bucket: bucket.into(), prefix: prefix.into() })
    }

    #[test]
    fn folders_and_buckets() {
        assert_eq!(Place::parse("file:./storage"), Ok(Place::Folder("./storage".into())));
        assert_eq!(Place::parse("file:///srv/a@b?c"), Ok(Place::Folder("/srv/a@b?c".into())));
        assert_eq!(Place::parse("s3://b"), bucket(Provider::S3, "b", ""));
        assert_eq!(
            Place::parse("s3://my.bucket-1/team/nstore/"),
            bucket(Provider::S3, "my.bucket-1", "team/nstore")
        );
        assert_eq!(Place::parse("gs://b/p"), bucket(Provider::Gcs, "b", "p"));
        assert_eq!(Place::parse("az://c/p"), bucket(Provider::Azure, "c", "p"));
        let whole = "c@account.dfs.core.windows.net";
        assert_eq!(Place::parse(&format!("abfss://{whole}/p")), bucket(Provider::Azure, whole, "p"));
        for bad in [
            "",
            "file:",
            "file://",
            "s3:b",
            "s3://",
            "s3:///p",
            "ftp://b",
            "s3://b//p",
            "s3://b/../p",
            "s3://b/a b",
            "az://a@b@c",
            "s3://ü",
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_with_credentials_is_refused_and_never_shown() {
        for url in [
            "s3://AKIA:hunter2@bucket/p",
            "s3://AKIA:hun/hunter2@bucket",
            "s3://hunter2@bucket",
            "gs://user:hunter2@bucket",
            "az://container@account:hunter2",
            "az://container:hunter2@account",
            "s3://bucket?secret=hunter2",
            "abfss://c@account.dfs.core.windows.net/p?sig=hunter2",
            "s3://bucket#hunter2",
            "ftp://user:hunter2@host",
        ] {
            let reason = Place::parse(url).unwrap_err();
            assert!(!reason.contains("hunter2"), "{url}: {reason}");
            assert!(!shown(url).contains("hunter2"), "{}", shown(url));
        }
        assert_eq!(shown("s3://AKIA:x@bucket/p?q"), "s3://***@bucket/p…");
        assert_eq!(shown("file:/srv/a@b"), "file:/srv/a@b");
    }

    proptest! {
        #[test]
        fn no_prefix_leaves_its_bucket(text in "[a-z./@:?# -]{0,20}") {
            if let Ok(Place::Bucket { bucket, prefix, .. }) = Place::parse(&format!("s3://b{text}")) {
                prop_assert!(!bucket.contains('/') && !bucket.contains('@'));
                prop_assert!(prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
