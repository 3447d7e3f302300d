//! Whole directories: good ones, and all that can be wrong at once.

use super::*;

#[test]
fn without_files_the_environment_and_defaults_hold() {
    let env = |name: &str| (name == "NSTORE_REDIS_URL").then(|| "redis://queue:6379".to_owned());
    let options = LoadOptions { env: &env, timezone: None };
    let services = load_services(Path::new("no/such/directory"), &options).unwrap();
    assert_eq!(services.redis_url, "redis://queue:6379");
    assert_eq!(services.storage_url, "file:./storage");
}
