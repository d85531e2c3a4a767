//! `footfall-sink dead-letters`: what could not become rows, and its way back.
//!
//! Responsible for flags and for how letters are shown. What leaves a lake unchanged needs the lake only.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Subcommand;
use operator::{
    Failure,
    cli::{CommonArgs, announce},
};
use serde_json::json;
use sink::{
    Store,
    dead_letter::{Filter, Judge, Letter, Shelf, Tray, retry},
    source::Append,
};

use super::{Config, LogArgs, audit::Format, block_on, time, time_text};

pub(crate) const EXAMPLES: &str = "Examples:
  footfall-sink dead-letters list --lake s3://bucket/lake --reason unknown_schema --since 2026-01-31T00:00:00Z
  footfall-sink dead-letters show --lake file:///srv/lake --partition 3 --offset 1234 --raw -o letter.bin
  footfall-sink dead-letters retry --lake file:///srv/lake --brokers 127.0.0.1:9092 --reason unknown_schema --dry-run

These are records of the log that the sink could not read. Events that the gateway refused are in its own topic.";

/// What is done with the letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List them, a line for each data file that has some
    List {
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        filter: FilterArgs,
        /// Form of the lines on stdout
        #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
        format: Format,
    },
    /// Show one letter: why, when, whose, and its bytes
    Show(ShowArgs),
    /// Send letters to the log again, as new records with the same key, bytes and headers, if they would be rows now
    Retry(RetryArgs),
}

/// Where the letters are.
#[derive(Debug, clap::Args)]
pub(crate) struct LakeArgs {
    /// Folder or URL of the lake: file:///..., s3://bucket/prefix, gs://, az://
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
    /// Topic in the log [default: events]
    #[arg(long)]
    topic: Option<String>,
}

/// Which letters are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Letters of one partition
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    /// The letter at one offset (with --partition)
    #[arg(long, value_name = "OFFSET", requires = "partition")]
    offset: Option<u64>,
    /// Letters for one reason, such as unknown_schema
    #[arg(long, value_name = "WORD")]
    reason: Option<String>,
    /// Letters whose record is not older, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
}

/// Flags of `show`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    lake: LakeArgs,
    /// Partition of the letter
    #[arg(long, value_name = "N")]
    partition: u32,
    /// Offset of the letter
    #[arg(long, value_name = "OFFSET")]
    offset: u64,
    /// Write the record's value and nothing else
    #[arg(long, requires = "output")]
    raw: bool,
    /// File for --raw; it must not exist
    #[arg(short, long, value_name = "FILE", requires = "raw")]
    output: Option<PathBuf>,
    /// Form of the letter on stdout
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Flags of `retry`.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    lake: LakeArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Send also letters that would be dead letters again
    #[arg(long)]
    force: bool,
}

impl LakeArgs {
    fn settings(&self, log: Option<&LogArgs>) -> serde_json::Value {
        json!({
            "sink": { "topic": self.topic, "lake": self.lake },
            "kafka": { "brokers": log.and_then(|log| log.brokers.clone()) },
        })
    }
}

impl From<FilterArgs> for Filter {
    fn from(args: FilterArgs) -> Filter {
        Filter { partition: args.partition, offset: args.offset, reason: args.reason, since_us: args.since }
    }
}

impl DeadLetters {
    /// Does it, and ends.
    pub(crate) fn start(self, common: &CommonArgs) -> Result<(), Failure> {
        let config = Config::load(
            common,
            match &self {
                DeadLetters::List { lake, .. } => lake.settings(None),
                DeadLetters::Show(args) => args.lake.settings(None),
                DeadLetters::Retry(args) => args.lake.settings(Some(&args.log)),
            },
        )?;
        if let DeadLetters::Retry(args) = &self
            && args.log.is_missing(&config)
            && !args.dry_run
        {
            return Err(Failure::config("retry needs the log: add --brokers or --journal"));
        }
        if common.check_only() {
            return Ok(());
        }
        block_on(common, async {
            let store = Store::open_existing(&config.sink.lake)?;
            match self {
                DeadLetters::List { filter, format, .. } => list(&config, &store, &filter.into(), format).await,
                DeadLetters::Show(args) => args.show(&config, &store).await,
                DeadLetters::Retry(args) => args.retry(&config, &store).await,
            }
        })
    }
}

async fn list(config: &Config, store: &Store, filter: &Filter, format: Format) -> Result<(), Failure> {
    let shelf = Shelf::new(store, &config.sink.topic);
    let (mut files, mut total) = (0, 0);
    for object in shelf.objects(filter.partition).await.map_err(Failure::environment)? {
        let Some(tray) = shelf.tray(object).await.map_err(Failure::environment)? else { continue };
        let letters: Vec<_> = tray.letters.iter().filter(|letter| filter.takes(letter)).collect();
        if letters.is_empty() {
            continue;
        }
        files += 1;
        total += letters.len();
        print_tray(&tray, &letters, format);
    }
    if format == Format::Text {
        announce(format!("{total} dead letters of {files} files"));
    }
    Ok(())
}

fn print_tray(tray: &Tray, letters: &[&Letter], format: Format) {
    let mut reasons = BTreeMap::new();
    letters.iter().for_each(|letter| *reasons.entry(letter.reason.as_str()).or_insert(0) += 1);
    let retried = letters.iter().filter(|letter| tray.retried.contains(&letter.offset)).count();
    let times = letters.iter().map(|letter| letter.timestamp_us);
    let (first, last) = (times.clone().min().unwrap_or_default(), times.max().unwrap_or_default());
    let (first_offset, last_offset) = (letters[0].offset, letters[letters.len() - 1].offset);
    if format == Format::Json {
        announce(json!({
            "partition": tray.partition,
            "first_offset": first_offset,
            "last_offset": last_offset,
            "letters": letters.len(),
            "reasons": reasons,
            "first_time": time_text(first),
            "last_time": time_text(last),
            "retried": retried,
        }));
        return;
    }
    let reasons: Vec<_> = reasons.iter().map(|(reason, letters)| format!("{letters} {reason}")).collect();
    announce(format!(
        "partition {} offsets {first_offset} to {last_offset}: {} ({} to {}), {retried} retried",
        tray.partition,
        reasons.join(", "),
        time_text(first),
        time_text(last)
    ));
}

impl ShowArgs {
    async fn show(self, config: &Config, store: &Store) -> Result<(), Failure> {
        let shelf = Shelf::new(store, &config.sink.topic);
        let objects = shelf.objects(Some(self.partition)).await.map_err(Failure::environment)?;
        for object in objects.into_iter().filter(|(_, start, next)| (*start..*next).contains(&self.offset)) {
            let Some(tray) = shelf.tray(object).await.map_err(Failure::environment)? else { continue };
            if let Some(letter) = tray.letters.iter().find(|letter| letter.offset == self.offset) {
                return match &self.output {
                    Some(file) => write_raw(file, letter),
                    None => {
                        let judge = Judge::new(&config.sink).await?;
                        let now = tokio::task::block_in_place(|| judge.verdict(letter));
                        let now = now.map_or_else(|| "it would be a row now".to_owned(), |reason| reason.to_string());
                        self.print(letter, tray.retried.contains(&letter.offset), &now);
                        Ok(())
                    }
                };
            }
        }
        Err(Failure::new(
            1,
            format!(
                "there is no dead letter at offset {} of partition {}: see dead-letters list",
                self.offset, self.partition
            ),
        ))
    }

    fn print(&self, letter: &Letter, is_retried: bool, now: &str) {
        let (key, value) = (letter.key.as_deref(), letter.value.as_deref());
        if self.format == Format::Json {
            announce(json!({
                "partition": self.partition,
                "offset": letter.offset,
                "time": time_text(letter.timestamp_us),
                "reason": letter.reason,
                "message": letter.message,
                "now": now,
                "retried": is_retried,
                "schema_id": letter.schema_id(),
                "key": key.map(|key| String::from_utf8_lossy(key)),
                "key_base64": key.map(|key| STANDARD.encode(key)),
                "value_base64": value.map(|value| STANDARD.encode(value)),
                "headers": letter.headers.iter().map(|(name, value)| json!({
                    "name": name,
                    "value_base64": value.as_ref().map(|value| STANDARD.encode(value)),
                })).collect::<Vec<_>>(),
            }));
            return;
        }
        let bytes = |bytes: Option<&[u8]>| bytes.map_or("none".to_owned(), |bytes| format!("{} bytes", bytes.len()));
        announce(format!("partition {} offset {}", self.partition, letter.offset));
        announce(format!("time      {}", time_text(letter.timestamp_us)));
        announce(format!("reason    {}: {}", letter.reason, letter.message));
        announce(format!("now       {now}"));
        announce(format!("retried   {}", if is_retried { "yes" } else { "no" }));
        announce(format!("schema id {}", letter.schema_id().map_or("none".to_owned(), |id| id.to_string())));
        announce(format!("key       {}: {:?}", bytes(key), String::from_utf8_lossy(key.unwrap_or_default())));
        for (name, value) in &letter.headers {
            let value = value.as_deref().unwrap_or_default();
            announce(format!("header    {name}: {:?}", String::from_utf8_lossy(value)));
        }
        announce(format!("value     {}", bytes(value)));
        hex_lines(value.unwrap_or_default()).for_each(announce);
    }
}

/// Sixteen bytes a line, as numbers and as characters.
fn hex_lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.chunks(16).enumerate().map(|(line, bytes)| {
        let numbers: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        let shown = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        format!("{:08x}  {numbers:<48} {}", line * 16, bytes.iter().map(shown).collect::<String>())
    })
}

fn write_raw(path: &Path, letter: &Letter) -> Result<(), Failure> {
    let value = letter.value.as_deref().unwrap_or_default();
    let failed = |error| Failure::environment(format!("{} cannot be written ({error})", path.display()));
    File::create_new(path).and_then(|mut file| file.write_all(value)).map_err(failed)?;
    announce(format!("wrote {} bytes to {}", value.len(), path.display()));
    Ok(())
}

impl RetryArgs {
    async fn retry(self, config: &Config, store: &Store) -> Result<(), Failure> {
        let mut log = if self.dry_run { None } else { Some(self.log.appender(config)?) };
        let action = if self.force { "sent all the same" } else { "skipped" };
        let mut report = |partition: u32, letter: &Letter, reason: &_| {
            announce(format!(
                "partition {partition} offset {}: it would be a dead letter again ({reason}): {action}",
                letter.offset
            ));
        };
        let filter = self.filter.into();
        let done = retry(&config.sink, store, &filter, log.as_mut(), self.force, &mut report).await?;
        let sent = if self.dry_run { "would be sent" } else { "sent" };
        announce(format!(
            "{} letters {sent}, {} skipped, {} had been sent before",
            done.sent, done.hopeless, done.already
        ));
        Ok(())
    }
}

impl LogArgs {
    fn appender(&self, config: &Config) -> Result<Append, Failure> {
        // The log is asked first: a topic that is not there must not be made by sending to it.
        let log =
            self.open(config)?.ok_or_else(|| Failure::config("the log is missing: add --brokers or --journal"))?;
        match log {
            sink::source::Replay::Journal(journal) => Ok(Append::journal(journal)),
            sink::source::Replay::Kafka(_) => {
                Append::kafka(&config.kafka, &config.sink.topic).map_err(Failure::environment)
            }
        }
    }
}
