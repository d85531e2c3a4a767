//! Why a source cannot go on.
//!
//! Responsible for the words in which the operator reads it, and for telling what can be mended outside of the process
//! from what cannot.

use std::time::Duration;

use ::journal::ReadError;
use rdkafka::error::KafkaError;

use crate::resume::ResumeError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The chain's end is not known.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The lake did not answer.
    #[error("the chain of partition {partition} in lake {lake} was not read within {timeout:?}: check the store")]
    ResumeTimeout { partition: u32, lake: String, timeout: Duration },
    /// The log has dropped what the lake still needs.
    #[error(
        "the log of partition {partition} begins at offset {start}, but lake {lake} holds it only up to {next}: the {} \
         records from offset {next} to {} are gone from the log; restore them, or use another lake, or go on without \
         them by --accept-gap, which marks the gap in the lake",
        start - next, start - 1
    )]
    Gap { partition: u32, lake: String, next: u64, start: u64 },
    /// The lake holds more than the log.
    #[error(
        "lake {lake} holds partition {partition} up to offset {next}, but the log ends at {end}: the log has lost \
         records or is another one; restore it, or use another topic name or another lake"
    )]
    Behind { partition: u32, lake: String, next: u64, end: u64 },
    /// The journal cannot be read.
    #[error("the journal's partition {partition} cannot be read ({reason}): check the data folder")]
    Journal { partition: u32, reason: ReadError },
    /// There is no broker.
    #[error("no Kafka broker answers at {brokers} ({reason}): check --brokers and that it runs")]
    NoBroker { brokers: String, reason: KafkaError },
    /// There is no topic.
    #[error("topic {topic} does not exist at {brokers}: create it, or correct --topic")]
    NoTopic { brokers: String, topic: String },
    /// The topic keeps only the newest record of a key.
    #[error("topic {topic} has cleanup.policy=compact, which removes events: set cleanup.policy=delete")]
    Compacted { topic: String },
    /// A setting is not one of the client's.
    #[error("the Kafka client refuses its settings ({0}): check [kafka] and [kafka.properties]")]
    Settings(KafkaError),
    /// The topic was made anew while the sink ran.
    #[error("topic {topic} was deleted and created again: use another topic name or another lake")]
    Recreated { topic: String },
    /// The broker has no record at the resume point.
    #[error(
        "topic {topic} no longer holds the records that the lake needs next ({reason}): retention has passed the lake; \
         start again to see which, and whether to go on without them"
    )]
    OutOfRange { topic: String, reason: String },
    /// The broker neither gives the records nor says that there are none.
    #[error(
        "topic {topic}, partition {partition}: no record from offset {offset} on came within {waited:?}: check the broker"
    )]
    Silent { topic: String, partition: u32, offset: u64, waited: Duration },
    /// Another process took this one's place in the group.
    #[error(
        "another process has joined group {group} as {instance} and shut this one out: give each process a \
         kafka.group_instance_id of its own"
    )]
    Fenced { group: String, instance: String },
    /// Another process has this one's place in the group.
    #[error(
        "group {group} still has a member {instance}: give each process a kafka.group_instance_id of its own, or, after \
         a crash, start again when the broker's group.consumer.session.timeout.ms has passed"
    )]
    Unreleased { group: String, instance: String },
    /// The group does not take this member.
    #[error(
        "group {group} does not take this member ({reason}): check kafka.group_protocol and kafka.session_timeout \
         against the broker's version and limits, and against the group's other members"
    )]
    Refused { group: String, reason: String },
    /// The broker does not take records.
    #[error("topic {topic} does not take records ({reason}): check the broker and who may write there")]
    Unwritable { topic: String, reason: KafkaError },
    /// The journal does not take records.
    #[error("the journal does not take records ({0}): check the data folder")]
    Append(String),
    /// The client cannot go on.
    #[error("the Kafka client failed ({0}): start the sink again")]
    Kafka(KafkaError),
    /// A part of the program failed.
    #[error("the program failed while it read the log: {0}")]
    Panicked(String),
}

impl SourceError {
    /// Does it say something about the environment rather than about this run?
    pub(crate) fn is_environment(&self) -> bool {
        match self {
            SourceError::Resume(_)
            | SourceError::ResumeTimeout { .. }
            | SourceError::Gap { .. }
            | SourceError::Behind { .. }
            | SourceError::NoBroker { .. }
            | SourceError::NoTopic { .. }
            | SourceError::Compacted { .. }
            | SourceError::Recreated { .. }
            | SourceError::OutOfRange { .. }
            | SourceError::Silent { .. }
            | SourceError::Unreleased { .. }
            | SourceError::Refused { .. }
            | SourceError::Unwritable { .. }
            | SourceError::Append(_) => true,
            SourceError::Journal { .. }
            | SourceError::Settings(_)
            | SourceError::Fenced { .. }
            | SourceError::Kafka(_)
            | SourceError::Panicked(_) => false,
        }
    }
}
