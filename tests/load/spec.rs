//! The description of the source that tests load from; nothing of it is asked.

use std::{collections::BTreeMap, time::Duration};

use nstore_shared::{
    config::spec::{
        ApiSpec, Auth, Bounds, ExtractSpec, NoList, Paginator, Records, RequestLimits, RequestRetry,
        RequestSpec, SourceSpec, TimeFormat, Window,
    },
    retry::Backoff,
};

/// An API that is never asked.
pub(crate) fn spec() -> SourceSpec {
    let second = Duration::from_secs(1);
    let backoff = Backoff { base: second, ceiling: second };
    SourceSpec {
        about: String::new(),
        timezone: chrono_tz::Asia::Kolkata,
        width: None,
        chunk_attempts: 1,
        chunk_backoff: backoff,
        stop_on_discard: false,
        require_evidence: false,
        allow_cascade: false,
        extract: ExtractSpec::Api(Box::new(ApiSpec {
            base_url: "http://127.0.0.1:1".into(),
            auth: Auth::None,
            request: RequestSpec { path: "/".into(), params: BTreeMap::new(), headers: BTreeMap::new() },
            window: Window {
                params: BTreeMap::new(),
                format: TimeFormat::Date,
                bounds: Bounds::HalfOpen,
                granularity: second,
                filtered: false,
            },
            paginator: Paginator::None { total_path: None, has_more_path: None },
            records: Records::default(),
            empty_body: NoList::Fail,
            tls_ca: None,
            budget: None,
            retry: RequestRetry { attempts: 1, backoff },
            error_handlers: vec![],
            limits: RequestLimits {
                connect_timeout: second,
                read_timeout: second,
                total_timeout: second,
                chunk_timeout: None,
                max_body_bytes: 1,
                max_pages: 1,
                max_records: None,
            },
        })),
    }
}
