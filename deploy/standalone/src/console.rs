//! The console: one page at the admin port that shows what came in, how far the lake is behind, and the newest rows.
//!
//! Responsible for its routes. Promises that nothing a user sent is ever taken for markup: the page is static, what
//! changes comes as JSON and is put in as text, and the content policy allows no other script. Needs nothing from outside
//! this process.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use operator::admin::{self, Reply, Routes};
use prometheus_client::registry::Registry;
use serde::Serialize;
use sink::{Lag, Store};

/// What came in, from the metrics.
mod ledger;
/// The newest rows, from the lake's files.
mod newest;

use ledger::Ledger;
use newest::{Newest, Row};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The state behind the page.
#[derive(Debug)]
pub(crate) struct Console {
    registry: Arc<Registry>,
    lag: Lag,
    newest: Newest,
    lake: String,
}

/// What the page shows.
#[derive(Debug, Serialize)]
struct View {
    lake: String,
    ledger: Ledger,
    partitions: Vec<Partition>,
    rows: Vec<Row>,
    /// Why the newest rows are not there.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Partition {
    partition: u32,
    lag_seconds: f64,
    lag_records: u64,
}

impl Console {
    pub(crate) fn new(registry: Arc<Registry>, lag: Lag, store: Store, topic: &str) -> Console {
        let lake = store.url().to_owned();
        Console { registry, lag, newest: Newest::new(store, topic), lake }
    }

    pub(crate) fn routes(self) -> Routes {
        let console = Arc::new(self);
        Routes::new(move |path| {
            let console = Arc::clone(&console);
            async move { console.route(&path).await }
        })
    }

    async fn route(&self, path: &str) -> Option<Reply> {
        Some(match path {
            "/" => page("text/html; charset=utf-8", include_str!("console/page.html")),
            "/console.css" => page("text/css; charset=utf-8", include_str!("console/page.css")),
            "/console.js" => page("text/javascript; charset=utf-8", include_str!("console/page.js")),
            "/console.json" => with_policy(admin::reply(StatusCode::OK, "application/json", self.json().await)),
            _ => return None,
        })
    }

    async fn json(&self) -> String {
        let (rows, problem) = match self.newest.rows().await {
            Ok(rows) => (rows, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let readings = self.lag.read().into_iter();
        let partitions = readings.map(|reading| Partition {
            partition: reading.partition,
            lag_seconds: reading.seconds,
            lag_records: reading.messages,
        });
        let ledger = Ledger::read(&self.registry);
        let view = View { lake: self.lake.clone(), ledger, partitions: partitions.collect(), rows, problem };
        let json = serde_json::to_string(&view).expect("numbers and text serialise");
        // Only ever data; but whoever opens it as a page in an old browser must not run what users sent either.
        json.replace('<', "\\u003c")
    }
}

fn page(content_type: &'static str, body: &'static str) -> Reply {
    with_policy(admin::reply(StatusCode::OK, content_type, body))
}

fn with_policy(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    reply
}
