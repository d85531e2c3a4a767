//! `footfall-gateway`: HTTP to Kafka.

use std::{process::ExitCode, sync::Arc};

use gateway::{Log, Metrics, Reload, config::Settings, log::KafkaError};
use operator::{
    Failure, Health,
    admin::{self, Admin},
    cli, exit, logging, process, shutdown,
};
use registry::Learned;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod args;

fn main() -> ExitCode {
    exit::finish("footfall-gateway", start())
}

fn start() -> Result<(), Failure> {
    let args: args::Args = cli::parse()?;
    let settings = args.settings()?;
    if args.common.check_only() {
        return Ok(());
    }
    logging::init(args.common.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(format!("cannot start worker threads: {error}")))?;
    runtime.block_on(serve(args, settings))
}

async fn serve(args: args::Args, settings: Settings) -> Result<(), Failure> {
    let shutdown = shutdown::on_signal();
    let reload = Reload::new(args.common.config.clone(), move || {
        let settings = args.settings()?;
        Ok((settings.serving(), settings))
    });
    gateway::check(&settings.gateway)?;
    let listener = operator::bind(settings.gateway.listen.as_str())?;
    let admin_listener = operator::bind(settings.admin.listen.as_str())?;
    let mut registry = process::registry("footfall-gateway");
    let metrics = Metrics::register(&mut registry);
    let (asked, counted) = (settings.clone(), metrics.clone());
    let log = tokio::task::spawn_blocking(move || {
        let log = Log::kafka_with_spool(&asked.kafka, &asked.routes, &asked.spool)?;
        log.with_dead_letters(&asked.kafka, &asked.dead_letters, &counted)
    });
    let log = log.await.expect("connecting does not panic").map_err(failure)?;
    let log = log.with_schema(settings.schema.version(), schema_id(&settings, &metrics).await?);
    let health = Health::default();
    announce("gateway", settings.gateway.scheme(), &listener);
    announce("admin", "http", &admin_listener);
    let admin = Admin { health: health.clone(), registry: Arc::new(registry), routes: None };
    // It outlives the drain, which an operator may want to watch.
    let served = CancellationToken::new();
    let admin = tokio::spawn(admin::serve(admin_listener, admin, served.clone()));
    if settings.keys.is_empty() {
        tracing::warn!("no write key is configured, so anyone may send events: add [[keys]]");
    }
    let ended = gateway::run(&settings.serving(), Some(reload), log, listener, metrics, &health, shutdown).await;
    served.cancel();
    let _ = admin.await;
    ended
}

/// The id that records carry: the registry's, or without one the built-in id.
async fn schema_id(settings: &Settings, metrics: &Metrics) -> Result<u32, Failure> {
    let version = settings.schema.version();
    let Some(registry) = &settings.schema.registry else {
        metrics.schema_learned(version.schema_id(), false);
        return Ok(version.schema_id());
    };
    let learned = registry::writer_id(registry, &settings.kafka.topic, version.schema()).await;
    let Learned { id, from_cache } = learned.map_err(Failure::environment)?;
    if let Some(error) = &from_cache {
        tracing::warn!(%error, id, "the schema registry was not heard, going on with the id learned before");
    }
    metrics.schema_learned(id, from_cache.is_some());
    Ok(id)
}

fn announce(name: &str, scheme: &str, listener: &TcpListener) {
    let address = listener.local_addr().expect("a bound socket has an address");
    cli::announce(format_args!("{name} {scheme}://{address}"));
}

fn failure(error: KafkaError) -> Failure {
    if error.is_config() { Failure::config(error) } else { Failure::environment(error) }
}
