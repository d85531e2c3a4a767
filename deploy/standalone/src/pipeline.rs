//! Responsible for the life of the process: open, start, announce when ready, drain in the order of the path.
//!
//! Promises: an address is printed when requests to it are served and the lake takes files; on SIGTERM the gateway answers
//! what it has taken, then the sink writes what the journal holds, then the admin port closes. When one part ends, the
//! others drain too, and the process ends with that part's failure.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gateway::{Log, Reload, config::Serving};
use journal::Journal;
use operator::admin::{self, Admin};
use operator::{Condition, Failure, Health, bind, cli, process, shutdown};
use sink::{Source, Store};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::console::Console;
use crate::data::{self, Data};
use crate::metrics::JournalMetrics;

/// Conditions that the parts register when they have come so far. Named here from the start, because the admin port
/// answers earlier, and the gateway waits for those of the sink.
const GATEWAY_CONDITIONS: [&str; 2] = ["gateway", "log"];
const SINK_CONDITIONS: [&str; 2] = ["sink_log", "sink_lake"];

/// How often conditions are looked at during the start.
const READY_POLL: Duration = Duration::from_millis(10);

/// Runs until SIGTERM or SIGINT, or until a part fails.
///
/// # Errors
/// Exit code 64 or 69 at boot, else the failure of the part that ended.
pub async fn run(settings: Settings, reload: Reload) -> Result<(), Failure> {
    // First, so that a signal during a slow start drains as well.
    let stop = shutdown::on_signal();
    gateway::check(&settings.gateway)?;
    // Ports before data: nothing is written where the process cannot serve.
    let (listener, admin_listener) = (bind(&*settings.gateway.listen)?, bind(&*settings.admin.listen)?);
    let Data { journal, store } = data::open(&settings)?;
    let addresses = Addresses::of(&listener, &admin_listener, &settings)?;

    let health = Health::default();
    let sink_ready = SINK_CONDITIONS.map(|name| health.register(name));
    GATEWAY_CONDITIONS.iter().for_each(|name| drop(health.register(name)));
    let mut registry = process::registry("footfall");
    let gateway_metrics = gateway::Metrics::register(&mut registry);
    let sink_metrics = Arc::new(sink::Metrics::register(&mut registry));
    registry.register_collector(Box::new(JournalMetrics(journal.clone())));
    let registry = Arc::new(registry);

    let console = Console::new(Arc::clone(&registry), sink_metrics.lag().clone(), store.clone(), &settings.sink.topic);
    let admin = Admin { health: health.clone(), registry, routes: Some(console.routes()) };
    let (admin_stop, sink_stop) = (CancellationToken::new(), CancellationToken::new());
    let admin = tokio::spawn(admin::serve(admin_listener, admin, admin_stop.clone()));
    let lake = Lake { settings: settings.sink(), store, metrics: sink_metrics };
    let sink = spawn(&stop, sink(lake, journal.clone(), health.clone(), sink_stop.clone()));
    let door = Door { settings: settings.serving(), reload, listener, metrics: gateway_metrics, opens: sink_ready };
    let gateway = spawn(&stop, gateway(door, journal, health.clone(), stop.clone()));

    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = until(|| health.ready().is_ok()) => addresses.announce(),
    }
    stop.cancelled().await;
    let gateway = ended(gateway).await;
    sink_stop.cancel();
    let sink = ended(sink).await;
    admin_stop.cancel();
    let _ = admin.await;
    gateway.and(sink)
}

/// What the gateway needs besides the journal.
struct Door {
    settings: Serving,
    reload: Reload,
    listener: TcpListener,
    metrics: gateway::Metrics,
    /// Taking events only makes sense where they can be brought into the lake.
    opens: [Condition; 2],
}

/// What the sink needs besides the journal.
struct Lake {
    settings: sink::Settings,
    store: Store,
    metrics: Arc<sink::Metrics>,
}

async fn gateway(door: Door, journal: Journal, health: Health, stop: CancellationToken) -> Result<(), Failure> {
    let Door { settings, reload, listener, metrics, opens } = door;
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        () = until(|| opens.iter().all(Condition::holds)) => {}
    }
    gateway::run(&settings, Some(reload), Log::journal(journal), listener, metrics, &health, stop).await
}

async fn sink(lake: Lake, journal: Journal, health: Health, stop: CancellationToken) -> Result<(), Failure> {
    let Lake { settings, store, metrics } = lake;
    sink::run(settings, Source::journal(journal), store, metrics, &health, stop).await
}

/// A part of the process: when it ends, for whatever reason, the process drains.
fn spawn(
    stop: &CancellationToken,
    part: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> JoinHandle<Result<(), Failure>> {
    let stop = stop.clone().drop_guard();
    tokio::spawn(async move {
        let _stop = stop;
        part.await
    })
}

async fn ended(part: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    part.await.unwrap_or_else(|error| Err(Failure::internal(format!("the program failed: {error}: start it again"))))
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(READY_POLL).await;
    }
}

/// What is printed when everything serves.
struct Addresses {
    scheme: &'static str,
    gateway: SocketAddr,
    admin: SocketAddr,
    lake: PathBuf,
}

impl Addresses {
    fn of(gateway: &TcpListener, admin: &TcpListener, settings: &Settings) -> Result<Addresses, Failure> {
        let of = |listener: &TcpListener| listener.local_addr().map_err(Failure::environment);
        Ok(Addresses {
            scheme: settings.gateway.scheme(),
            gateway: of(gateway)?,
            admin: of(admin)?,
            lake: settings.sink().lake.into(),
        })
    }

    fn announce(&self) {
        cli::announce(format_args!("gateway {}://{}", self.scheme, self.gateway));
        cli::announce(format_args!("admin http://{}", self.admin));
        cli::announce(format_args!("lake {}", self.lake.display()));
    }
}
