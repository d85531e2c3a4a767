//! Responsible for the settings of the one-process form: those of its parts, its own, and the defaults that differ here.
//! Leaves rules inside a part to the part.

use std::path::PathBuf;

use gateway::config::{AdminSettings, GatewaySettings, KeySettings, RouteSettings, Serving};
use operator::Failure;
use serde::{Deserialize, Serialize};

/// All settings of `footfall`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Folder that holds everything: `journal/` and `lake/`.
    pub data: PathBuf,
    pub gateway: GatewaySettings,
    /// Who may send. Anyone, if there are none.
    pub keys: Vec<KeySettings>,
    pub sink: sink::Settings,
    /// Properties with a column of their own.
    pub columns: Vec<sink::ColumnSettings>,
    /// Events that are sent again.
    pub duplicates: sink::DuplicatesSettings,
    pub journal: JournalSettings,
    pub admin: AdminSettings,
    /// Refused: the journal is a log of one topic.
    pub routes: Vec<RouteSettings>,
}

/// `[journal]`: the log in this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalSettings {
    /// Partitions of the journal, and chains of files in the lake. Fixed when the data folder is first used.
    pub partitions: u32,
    /// Requests that may wait for the disk; above it they are refused with 503.
    pub queue_bytes_max: usize,
}

/// More partitions mean more, smaller files; one process gains nothing from many.
const PARTITIONS: u32 = 4;
const PARTITIONS_MAX: u32 = 1024;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            data: PathBuf::from("./footfall-data"),
            gateway: GatewaySettings::default(),
            keys: Vec::new(),
            sink: sink::Settings::default(),
            columns: Vec::new(),
            duplicates: sink::DuplicatesSettings::default(),
            journal: JournalSettings::default(),
            admin: AdminSettings::default(),
            routes: Vec::new(),
        }
    }
}

impl Default for JournalSettings {
    fn default() -> JournalSettings {
        let journal = journal::Options::new(PARTITIONS);
        JournalSettings { partitions: journal.partitions, queue_bytes_max: journal.queue_bytes_max }
    }
}

/// See [`Settings::defaults`].
#[derive(Debug, Serialize)]
pub struct Defaults {
    sink: SinkDefaults,
}

#[derive(Debug, Serialize)]
struct SinkDefaults {
    roll_interval: &'static str,
}

impl Settings {
    /// Defaults that differ from those of the parts: who tries Footfall on one machine wants to see rows soon.
    pub fn defaults() -> Defaults {
        Defaults { sink: SinkDefaults { roll_interval: "2s" } }
    }

    /// Checks what can be checked without looking outside.
    ///
    /// # Errors
    /// Exit code 64 with the first contradiction.
    pub fn check(&self) -> Result<(), Failure> {
        if !(1..=PARTITIONS_MAX).contains(&self.journal.partitions) {
            let partitions = self.journal.partitions;
            return Err(Failure::config(format!("journal.partitions is {partitions}: choose 1 to {PARTITIONS_MAX}")));
        }
        if !self.routes.is_empty() {
            let line = "routes send events to other topics, and the journal of one process is a single topic: leave out \
                        [[routes]], or run footfall-gateway with Kafka";
            return Err(Failure::config(line));
        }
        self.serving().check().map_err(Failure::config)?;
        self.sink().check().map_err(Failure::config)
    }

    /// The sink's settings; its lake is `lake/` in the data folder unless it was set to another place.
    pub fn sink(&self) -> sink::Settings {
        let mut sink = self.sink.clone();
        sink.columns.clone_from(&self.columns);
        sink.duplicates.clone_from(&self.duplicates);
        if sink.lake.is_empty() {
            sink.lake = self.data.join("lake").to_string_lossy().into_owned();
        }
        sink
    }

    /// The part that serves requests.
    pub fn serving(&self) -> Serving {
        Serving { gateway: self.gateway.clone(), keys: self.keys.clone() }
    }

    pub fn journal_options(&self) -> journal::Options {
        let JournalSettings { partitions, queue_bytes_max } = self.journal;
        journal::Options { queue_bytes_max, ..journal::Options::new(partitions) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(environment: &[(&str, &str)]) -> Result<Settings, Failure> {
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings: Settings = operator::settings::load_with(Settings::defaults(), environment, None, ())?;
        settings.check().map(|()| settings)
    }

    #[test]
    fn the_lake_is_in_the_data_folder_and_rolls_fast() {
        let settings = check(&[("FOOTFALL__DATA", "/d"), ("FOOTFALL__SINK__TOPIC", "events")]).expect("valid settings");
        assert_eq!(settings.sink().lake, "/d/lake");
        assert_eq!(settings.sink().roll_interval, std::time::Duration::from_secs(2));
        let elsewhere = check(&[("FOOTFALL__SINK__LAKE", "s3://bucket/lake")]).expect("valid settings");
        assert_eq!(elsewhere.sink().lake, "s3://bucket/lake");
    }

    #[test]
    fn what_cannot_be_is_named() {
        #[track_caller]
        fn refused(key: &str, value: &str, line: &str) {
            let failure = check(&[(key, value)]).expect_err("must be refused");
            assert_eq!(failure.code(), 64);
            assert!(failure.to_string().contains(line), "{failure}");
        }
        refused("FOOTFALL__JOURNAL__PARTITIONS", "0", "journal.partitions is 0: choose 1 to 1024");
        refused("FOOTFALL__SINK__ROLL_INTERVAL", "0s", "sink.roll_interval must be longer than 0");
        refused("FOOTFALL__GATEWAY__SOURCE", "", "gateway.source is empty");
        refused("FOOTFALL__KAFKA__BROKERS", "x", "unknown key `FOOTFALL__KAFKA` in the environment");
    }
}
