//! A Kafka topic, read between two offsets.
//!
//! Responsible for a consumer that joins no group and commits nothing. Promises: what it hands over begins at the offset
//! that was asked for, or behind it where the log has a hole; going on where the last chunk ended costs no new fetch.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{BOOT_TIMEOUT, check_topic, client_config, copy_message};
use crate::{
    config::{GroupProtocol, KafkaSettings},
    source::{CHUNK_BYTES, Chunk, SourceError},
};

/// See the module.
pub struct KafkaReplay {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    log_id: String,
    partitions: u32,
    /// The partition that is assigned, and the offset of its next message.
    at: Option<(u32, u64)>,
}

impl std::fmt::Debug for KafkaReplay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaReplay").field("topic", &self.topic).field("at", &self.at).finish_non_exhaustive()
    }
}

/// A command ends with one line that says what was wrong: the client's own many would hide it.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "the Kafka client says");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the Kafka client has a problem");
    }
}

impl ConsumerContext for Quiet {}

/// So long a broker may give nothing.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The client may hold so much.
const QUEUE_BYTES: usize = 32 << 20;

impl KafkaReplay {
    pub(crate) fn open(settings: &KafkaSettings, topic: &str) -> Result<KafkaReplay, SourceError> {
        let settings =
            KafkaSettings { group_instance_id: None, group_protocol: GroupProtocol::Classic, ..settings.clone() };
        let mut config = client_config(&settings, QUEUE_BYTES);
        config.set("enable.partition.eof", "true");
        // At the end of the log a fetch waits for more, and what is asked meanwhile waits behind it.
        config.set("fetch.wait.max.ms", "10");
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet).map_err(SourceError::Settings)?;
        let log_id = check_topic(&consumer, &settings.brokers, topic)?;
        let metadata = consumer.fetch_metadata(Some(topic), BOOT_TIMEOUT).map_err(SourceError::Kafka)?;
        let partitions = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
        let partitions = u32::try_from(partitions).expect("Kafka counts partitions in 31 bits");
        Ok(KafkaReplay { consumer, topic: topic.to_owned(), log_id, partitions, at: None })
    }

    pub(crate) fn log_id(&self) -> &str {
        &self.log_id
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.partitions
    }

    pub(crate) fn range(&self, partition: u32) -> Result<Range<u64>, SourceError> {
        let range = self.consumer.fetch_watermarks(&self.topic, partition.cast_signed(), BOOT_TIMEOUT);
        let (low, high) = range.map_err(SourceError::Kafka)?;
        Ok(low.cast_unsigned()..high.cast_unsigned())
    }

    pub(crate) fn chunk(&mut self, partition: u32, from: u64, until: u64) -> Result<Chunk, SourceError> {
        let mut chunk = Chunk::new(0);
        if from >= until {
            return Ok(chunk);
        }
        if self.at != Some((partition, from)) {
            self.assign(partition, from)?;
        }
        let (mut position, mut heard) = (from, Instant::now());
        while position < until && chunk.bytes() < CHUNK_BYTES {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let offset = message.offset().cast_unsigned();
                    if message.partition().cast_unsigned() != partition || offset < position {
                        continue;
                    }
                    if offset >= until {
                        // It is the next chunk's.
                        self.at = None;
                        return Ok(chunk);
                    }
                    copy_message(&message, &mut chunk);
                    position = offset + 1;
                    heard = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => self.judge(error)?,
                None if heard.elapsed() > SILENCE_MAX => {
                    let topic = self.topic.clone();
                    return Err(SourceError::Silent { topic, partition, offset: position, waited: SILENCE_MAX });
                }
                None => {}
            }
        }
        self.at = Some((partition, position));
        Ok(chunk)
    }

    fn assign(&mut self, partition: u32, from: u64) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(from.cast_signed());
        list.add_partition_offset(&self.topic, partition.cast_signed(), offset).map_err(SourceError::Kafka)?;
        self.consumer.assign(&list).map_err(SourceError::Kafka)
    }

    /// Errors that no waiting mends.
    fn judge(&self, error: KafkaError) -> Result<(), SourceError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(SourceError::OutOfRange { topic: self.topic.clone(), reason: error.to_string() })
            }
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Err(SourceError::Kafka(error)),
            _ => {
                tracing::warn!(topic = self.topic, %error, "the Kafka client reports an error and goes on");
                Ok(())
            }
        }
    }
}
