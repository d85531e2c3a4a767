//! The group's committed offsets are set back while sinks work, and forgotten altogether: the lake does not change.
//!
//! Goal: nobody can make a sink write anything twice by moving what Kafka keeps for the group. Method: offsets are reset
//! under load and at rest; afterwards every file, and every row hash, is what it was.
use std::time::{Duration, Instant, SystemTime};

use kafka::Broker;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

use crate::audit;
use crate::lake::{chain_ends, footers, log_ends};
use crate::load::{Load, Offer};
use crate::service::{PARTITIONS, Service, folder, free_port, start_gateway, stopped_sink};

/// Where the group's offsets go.
#[derive(Clone, Copy, Debug)]
enum Rewind {
    ToTheBeginning,
    ToYesterday,
    ByRandomAmounts,
    /// The group is deleted.
    Forgotten,
}

const REWINDS: [Rewind; 4] = [Rewind::ToTheBeginning, Rewind::ToYesterday, Rewind::ByRandomAmounts, Rewind::Forgotten];

#[test]
fn moving_the_groups_offsets_changes_nothing_in_the_lake() {
    if kafka::left_out() {
        return;
    }
    let seed = rand::rng().random_range(0..1_000_000);
    eprintln!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let (folder, broker, port) = (folder("rewinds"), Broker::shared(), free_port());
    let topic = broker.fresh_topic("rewinds", PARTITIONS);
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).expect("the test's folder is writable");
    let mut gateway = start_gateway(broker, &topic, port, folder.path());
    let group = Group::new(broker.brokers(), &topic);
    let mut sinks = ["sink-a", "sink-b"].map(|name| stopped_sink(name, broker, &topic, &lake, folder.path()));
    for sink in &mut sinks {
        sink.set("FOOTFALL__KAFKA__SESSION_TIMEOUT", "6s");
        sink.restart();
    }
    let offer = Offer::or_from_environment(6_000, 500);
    let mut load = Load::start(&offer, port, &lake, folder.path());
    for rewind in REWINDS {
        std::thread::sleep(offer.duration().mul_f64(0.8) / 4);
        // While the group has members, the broker takes offsets from nobody else.
        assert!(group.reset(rewind, &mut dice).is_err(), "{rewind:?}");
        sinks.iter_mut().for_each(Service::terminate);
        group.must_reset(rewind, &mut dice);
        sinks.iter_mut().for_each(Service::restart);
    }
    load.must_pass().must_hold(offer.events);
    load.must_verify();
    assert_eq!(chain_ends(&lake, &topic), log_ends(broker.brokers(), &topic), "the chains cover the log");

    let before = footers(&lake, &topic);
    for rewind in [Rewind::ToTheBeginning, Rewind::ByRandomAmounts] {
        sinks.iter_mut().for_each(Service::terminate);
        group.must_reset(rewind, &mut dice);
        sinks.iter_mut().for_each(Service::restart);
        wait_until_all_is_assigned(&sinks);
        // Longer than a roll: what was read again would be a file by now.
        std::thread::sleep(Duration::from_millis(2_500));
        assert!(footers(&lake, &topic) == before, "{rewind:?} changed the lake {}", lake.display());
    }
    gateway.terminate();
    sinks.iter_mut().for_each(Service::terminate);
    load.must_verify();
    let audit = audit::must_be_clean(broker, &topic, &lake, &[]);
    eprintln!("{} files and their row hashes are what they were; {audit:?}", before.len());
}

fn wait_until_all_is_assigned(sinks: &[Service]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while sinks.iter().map(|sink| sink.series("footfall_sink_lag_seconds")).sum::<usize>() != PARTITIONS as usize {
        let logs: Vec<String> = sinks.iter().map(Service::logged).collect();
        assert!(Instant::now() < deadline, "the sinks do not have all partitions: {}", logs.join("\n"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The sinks' consumer group, as an operator gets at it.
struct Group {
    config: ClientConfig,
    topic: String,
}

const TIMEOUT: Duration = Duration::from_secs(20);

impl Group {
    fn new(brokers: &str, topic: &str) -> Group {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", topic).set("enable.auto.commit", "false");
        Group { config, topic: topic.to_owned() }
    }

    /// The broker may still be seeing the last member off.
    fn must_reset(&self, rewind: Rewind, dice: &mut StdRng) {
        let started = Instant::now();
        while let Err(error) = self.reset(rewind, dice) {
            assert!(started.elapsed() < TIMEOUT, "{rewind:?}: {error}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn reset(&self, rewind: Rewind, dice: &mut StdRng) -> Result<(), String> {
        let consumer: BaseConsumer = self.config.create().expect("a consumer can be made");
        let mut offsets = TopicPartitionList::new();
        for partition in 0..PARTITIONS.cast_signed() {
            let (_, end) = consumer.fetch_watermarks(&self.topic, partition, TIMEOUT).expect("the broker answers");
            let offset = match rewind {
                Rewind::ByRandomAmounts => Offset::Offset(dice.random_range(0..=end)),
                Rewind::ToYesterday => Offset::Offset(yesterday()),
                Rewind::ToTheBeginning | Rewind::Forgotten => Offset::Offset(0),
            };
            offsets.add_partition_offset(&self.topic, partition, offset).expect("a valid offset");
        }
        if let Rewind::Forgotten = rewind {
            return self.delete();
        }
        if let Rewind::ToYesterday = rewind {
            offsets = consumer.offsets_for_times(offsets, TIMEOUT).expect("the broker answers");
        }
        consumer.commit(&offsets, CommitMode::Sync).map_err(|error| error.to_string())
    }

    fn delete(&self) -> Result<(), String> {
        let admin: AdminClient<DefaultClientContext> = self.config.create().expect("a client can be made");
        let deleting = admin.delete_groups(&[self.config.get("group.id").expect("it is set")], &AdminOptions::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        match runtime.block_on(deleting).expect("the broker answers").pop().expect("one answer") {
            Ok(_) => Ok(()),
            Err((_, code)) => Err(code.to_string()),
        }
    }
}

fn yesterday() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(now.as_millis()).expect("a date of this age") - 86_400_000
}
