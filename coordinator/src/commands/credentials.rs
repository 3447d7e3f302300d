//! Secrets that private workers need: with `--local` the worker's host is this one, so a lack is a mistake.

use std::collections::BTreeMap;

use nstore_shared::{
    config::secrets::Secrets,
    storage::{
        Storage,
        manifest::{Manifest, SourcePlan},
        marker::Marker,
    },
};

use super::{
    exit::{Exit, Refusal},
    runs, settings,
};
use crate::cli::Global;

/// Refuses a run with `--local` whose sources need secrets that this host does not have. Elsewhere workers hold
/// them, each on a host of its own.
pub(super) fn demand<'a>(
    global: &Global,
    plans: impl IntoIterator<Item = &'a SourcePlan>,
) -> anyhow::Result<()> {
    if !global.local {
        return Ok(());
    }
    let secrets = settings::secrets(global)?;
    let file = Secrets::file(&global.config, &settings::env);
    match missing(plans, &secrets, &file.display().to_string()) {
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

/// The same for those sources of a run that are still to be extracted; `open` tells it by a chunk's outcome.
pub(super) async fn demand_for_open(
    global: &Global,
    storage: &Storage,
    manifest: &Manifest,
    open: impl Fn(Option<&Marker>) -> bool,
) -> anyhow::Result<()> {
    demand(global, runs::open_plans(storage, manifest, open).await?)
}

fn missing<'a>(
    plans: impl IntoIterator<Item = &'a SourcePlan>,
    secrets: &Secrets,
    file: &str,
) -> Option<Refusal> {
    let mut said = Vec::new();
    let mut hints = BTreeMap::new();
    for plan in plans {
        for name in plan.spec.secrets().into_iter().filter(|name| secrets.get(name).is_none()) {
            said.push(format!("`{}` of {}", name.0, plan.source));
            let variable = Secrets::variable(name);
            hints.insert(&name.0, format!("set {variable}, or add `{}` to {file}", name.0));
        }
    }
    let text = format!("missing credential: this host does not have the secret {}", said.join(", "));
    let hint = hints.into_values().collect::<Vec<_>>().join("\n");
    (!said.is_empty()).then(|| Refusal::new(Exit::Usage, text, hint))
}

#[cfg(test)]
mod tests {
    use nstore_shared::config::spec::{Auth, ExtractSpec, SecretRef};

    use super::*;
    use crate::plan::{self, tests};

    #[test]
    fn each_absent_secret_is_named_with_its_variable_and_its_source() {
        let config = tests::config(&["a"], chrono_tz::UTC);
        let request = tests::request("2025-08-01", "2025-08-02", &["a"]);
        let mut plan = plan::plan(&request, &config).unwrap().sources.remove(0);
        let ExtractSpec::Api(api) = &mut plan.spec.extract else { panic!("an api") };
        let [username, password] = ["pay.key_id", "pay.key_secret"].map(|name| SecretRef(name.into()));
        api.auth = Auth::Basic { username, password };
        let one = Secrets::of([("pay.key_id".to_owned(), "x".to_owned())]);
        let refusal = missing([&plan], &one, "config/credentials.yaml").unwrap();
        assert_eq!(refusal.exit, Exit::Usage);
        assert!(refusal.text.ends_with(&format!("the secret `pay.key_secret` of {}", plan.source)));
        let hint = refusal.hint.unwrap();
        assert_eq!(
            hint,
            "set NSTORE_SECRET_PAY_KEY_SECRET, or add `pay.key_secret` to config/credentials.yaml"
        );
        let both = ["pay.key_id", "pay.key_secret"].map(|name| (name.to_owned(), "x".to_owned()));
        assert!(missing([&plan], &Secrets::of(both), "f").is_none());
    }
}
