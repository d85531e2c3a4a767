//! This process as a member of its group.
//!
//! Responsible for how it presents itself to the group, and for the words when the group does not want it.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    config::{GroupProtocol, KafkaSettings},
    source::SourceError,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Member {
    group: String,
    instance: Option<String>,
    /// The group does not tell a member without partitions that it has none.
    pub(super) is_untold: bool,
    /// So long a partition that goes to another member may still be written.
    pub(super) revoke_timeout: Duration,
}

/// Members learn from the answer to a heartbeat that partitions move. Each of the two rounds of a move waits for the last
/// of them, however long a session may be.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How the client joins the group.
pub(super) fn configure(config: &mut ClientConfig, settings: &KafkaSettings) {
    config.set("group.id", &settings.group);
    match settings.group_protocol {
        GroupProtocol::Classic => {
            let session_timeout = settings.session_timeout();
            let heartbeat = (session_timeout / 4).clamp(Duration::from_millis(1), HEARTBEAT);
            config
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", session_timeout.as_millis().to_string())
                .set("heartbeat.interval.ms", heartbeat.as_millis().to_string());
        }
        // Timeouts and assignment are the broker's.
        GroupProtocol::Consumer => drop(config.set("group.protocol", "consumer")),
    }
    if let Some(instance) = &settings.group_instance_id {
        config.set("group.instance.id", instance);
    }
}

impl Member {
    pub(super) fn new(settings: &KafkaSettings) -> Member {
        Member {
            group: settings.group.clone(),
            instance: settings.group_instance_id.clone(),
            is_untold: settings.group_protocol == GroupProtocol::Consumer,
            revoke_timeout: settings.revoke_timeout,
        }
    }

    /// Does the error say that the group does not take this member, or does no longer?
    pub(super) fn refused(&self, code: RDKafkaErrorCode, error: &KafkaError) -> Option<SourceError> {
        use RDKafkaErrorCode as Code;
        let (group, instance) = (self.group.clone(), self.instance.clone().unwrap_or_default());
        match code {
            Code::FencedInstanceId => Some(SourceError::Fenced { group, instance }),
            Code::UnreleasedInstanceId => Some(SourceError::Unreleased { group, instance }),
            Code::InvalidSessionTimeout
            | Code::InconsistentGroupProtocol
            | Code::GroupAuthorizationFailed
            | Code::GroupMaxSizeReached
            | Code::UnsupportedAssignor
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature => Some(SourceError::Refused { group, reason: error.to_string() }),
            _ => None,
        }
    }
}
