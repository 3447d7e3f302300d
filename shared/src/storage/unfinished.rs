//! Uploads that were begun and neither finished nor given up: a killed writer leaves them, no listing shows them, and on
//! an object store they cost money until they are aborted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use object_store::{
    Error as StoreError,
    aws::{AmazonS3, AwsAuthorizer},
    client::{HttpClient, HttpRequest, HttpRequestBody},
    multipart::MultipartStore as _,
    path::Path,
    signer::{Method, Signer as _},
};
use serde::Deserialize;

use super::{Storage, StorageError, paths};
use crate::chunk::{RunId, SourceId};

/// No address that is signed on the way to the bucket's own lives longer.
const BRIEF: Duration = Duration::from_secs(60);

/// An upload that does not go on, or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The file that it would become.
    pub key: String,
    /// When it was begun; of a local one, when it was last written to.
    pub began: DateTime<Utc>,
    /// What its store calls it.
    id: String,
}

/// The uploads of an S3 bucket.
#[derive(Debug)]
pub(super) struct Uploads {
    pub(super) store: AmazonS3,
    pub(super) http: HttpClient,
    pub(super) region: String,
    pub(super) prefix: Path,
}

/// What S3 answers to `ListMultipartUploads`, a page of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default, rename = "Upload")]
    uploads: Vec<Listed>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key: String,
    upload_id: String,
    initiated: DateTime<Utc>,
}

impl Storage {
    /// The unfinished uploads of a source's part of a run: its files, failure bundles, aggregated file, and in a folder
    /// those of the run's own documents. Those of Google and Azure are not seen: their own rules end them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unfinished(&self, source: &SourceId, run: &RunId) -> Result<Vec<Unfinished>, StorageError> {
        let processed = paths::processed(source, run);
        let beside = processed.parts().take(2).collect();
        let mut folders = vec![paths::chunks(source, run), beside];
        if self.root.is_some() {
            // small files, which an object store takes in one request
            folders.extend([paths::failures(source, run), paths::run(run)]);
        }
        let mut found = Vec::new();
        for folder in folders {
            found.extend(self.unfinished_below(&folder).await?);
        }
        // the folder of aggregated files is that of other runs too
        let others = |upload: &Unfinished| {
            upload.key.starts_with("processed/") && upload.key.as_str() != processed.as_ref()
        };
        found.retain(|upload| !others(upload));
        found.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        Ok(found)
    }

    async fn unfinished_below(&self, folder: &Path) -> Result<Vec<Unfinished>, StorageError> {
        if let Some(root) = &self.root {
            let mut found = Vec::new();
            staged(root, &root.join(folder.as_ref()), &mut found)
                .map_err(|e| StorageError::Io { url: self.url.clone(), source: e })?;
            return Ok(found);
        }
        let Some(uploads) = &self.uploads else { return Ok(vec![]) };
        uploads.below(folder).await.map_err(|e| self.failed(folder.as_ref(), e))
    }

    /// Gives an unfinished upload up for its writer, which fails should it still live.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn abort(&self, upload: &Unfinished) -> Result<(), StorageError> {
        if let Some(root) = &self.root {
            return match std::fs::remove_file(root.join(&upload.id)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Err(StorageError::Io { url: self.url.clone(), source: e })
                }
                _ => Ok(()),
            };
        }
        let Some(uploads) = &self.uploads else { return Ok(()) };
        let key: Path = uploads.prefix.parts().chain(Path::from(upload.key.as_str()).parts()).collect();
        match uploads.store.abort_multipart(&key, &upload.id).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed(&upload.key, e)),
        }
    }
}

/// Files that a killed writer left beside the ones that it would have made: the same name, `#` and a number.
fn staged(
    root: &std::path::Path,
    folder: &std::path::Path,
    found: &mut Vec<Unfinished>,
) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            staged(root, &path, found)?;
            continue;
        }
        let Some(id) = path.strip_prefix(root).ok().and_then(|path| path.to_str()) else { continue };
        let Some((key, number)) = id.rsplit_once('#') else { continue };
        if number.bytes().all(|b| b.is_ascii_digit()) {
            let began = match std::fs::metadata(&path) {
                // it was finished meanwhile
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                metadata => metadata?.modified()?.into(),
            };
            found.push(Unfinished { key: key.to_owned(), began, id: id.to_owned() });
        }
    }
    Ok(())
}

impl Uploads {
    async fn below(&self, folder: &Path) -> Result<Vec<Unfinished>, StoreError> {
        let whole: Path = self.prefix.parts().chain(folder.parts()).collect();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(&format!("{whole}/"), after.take()).await?;
            for upload in page.uploads {
                let own = Path::from(upload.key.as_str());
                let own: Path = own.prefix_match(&self.prefix).into_iter().flatten().collect();
                found.push(Unfinished { key: own.into(), began: upload.initiated, id: upload.upload_id });
            }
            if !page.is_truncated {
                return Ok(found);
            }
            after = Some((page.next_key_marker, page.next_upload_id_marker));
        }
    }

    /// One page of the bucket's list of uploads, which the client of the store itself does not ask for.
    async fn page(&self, prefix: &str, after: Option<(String, String)>) -> Result<Page, StoreError> {
        let mut url = self.store.signed_url(Method::GET, &Path::default(), BRIEF).await?;
        url.query_pairs_mut().clear().append_pair("prefix", prefix).append_pair("uploads", "");
        if let Some((key, id)) = after {
            url.query_pairs_mut().append_pair("key-marker", &key).append_pair("upload-id-marker", &id);
        }
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.as_str().parse().map_err(|e| generic(Box::new(e)))?;
        let credential = self.store.credentials().get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut request, None)?;
        let answer = self.http.execute(request).await.map_err(|e| generic(Box::new(e)))?;
        if !answer.status().is_success() {
            return Err(generic(format!("its list of uploads is not to be had: {}", answer.status()).into()));
        }
        let body = answer.into_body().bytes().await.map_err(|e| generic(Box::new(e)))?;
        quick_xml::de::from_reader(&body[..]).map_err(|e| generic(Box::new(e)))
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Generic { store: "S3", source }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{chunk::Chunk, storage::ArtifactKind};

    #[test]
    fn a_page_of_uploads_is_read() {
        let page = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket>
  <KeyMarker/><UploadIdMarker/><NextKeyMarker>a&amp;b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker>
  <MaxUploads>1</MaxUploads><IsTruncated>true</IsTruncated>
  <Upload><Key>a&amp;b</Key><UploadId>2</UploadId><Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass>
    <Initiated>2010-11-10T20:48:33.000Z</Initiated></Upload>
</ListMultipartUploadsResult>"#;
        let page: Page = quick_xml::de::from_reader(page.as_bytes()).unwrap();
        assert_eq!((page.next_key_marker.as_str(), page.is_truncated), ("a&b", true));
        let upload = &page.uploads[0];
        assert_eq!((upload.key.as_str(), upload.upload_id.as_str()), ("a&b", "2"));
        assert_eq!(upload.initiated, "2010-11-10T20:48:33Z".parse::<DateTime<Utc>>().unwrap());
        let none =
            "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
        assert!(quick_xml::de::from_reader::<_, Page>(none.as_bytes()).unwrap().uploads.is_empty());
    }

    #[tokio::test]
    async fn what_a_killed_writer_left_is_found_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file:{}", folder.path().display())).unwrap();
        let chunk = Chunk {
            source: "s".parse().unwrap(),
            run: "r".parse().unwrap(),
            range: "2025-08-01_2025-08-02".parse().unwrap(),
        };
        assert_eq!(storage.unfinished(&chunk.source, &chunk.run).await.unwrap(), []);
        let mut writer = storage.artifact_writer(&chunk, 1, &"w".parse().unwrap(), 1, ArtifactKind::Rows);
        writer.write(Bytes::from(vec![b'x'; 6 << 20])).await.unwrap();
        let found = storage.unfinished(&chunk.source, &chunk.run).await.unwrap();
        let keys: Vec<&str> = found.iter().map(|upload| upload.key.as_str()).collect();
        assert_eq!(keys, ["chunks/s/r/2025-08-01_2025-08-02.g1.w-1.csv"]);
        assert_eq!(storage.usage().await.unwrap().len(), 0, "no listing shows it");
        storage.abort(&found[0]).await.unwrap();
        storage.abort(&found[0]).await.unwrap();
        let left = [
            "processed/s/r.csv#1",
            "processed/s/other.csv#1",
            "failures/s/r/b/page.html#2",
            "runs/r/x.json#3",
        ];
        for file in left {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let found = storage.unfinished(&chunk.source, &chunk.run).await.unwrap();
        let keys: Vec<&str> = found.iter().map(|upload| upload.key.as_str()).collect();
        assert_eq!(keys, ["failures/s/r/b/page.html", "processed/s/r.csv", "runs/r/x.json"]);
        for upload in &found {
            storage.abort(upload).await.unwrap();
        }
        assert!(folder.path().join(left[1]).exists(), "that is another run's");
        assert_eq!(storage.unfinished(&chunk.source, &chunk.run).await.unwrap(), []);
        drop(writer);
    }
}
