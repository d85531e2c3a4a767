//! The topic's id: which incarnation of the topic this is.
//!
//! Responsible for one question that the `rdkafka` crate does not wrap, DescribeTopics, asked through librdkafka's C
//! interface (rdkafka.h, "rd_kafka_DescribeTopics"). Promises: everything taken from librdkafka is given back, and no
//! pointer outlives what it points into.

use std::{
    ffi::{CStr, CString},
    ptr,
    time::Duration,
};

use rdkafka::{
    bindings as c,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

/// Asks the broker for the id of a topic, as Kafka's own tools print it (base64).
pub(super) fn topic_id<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<String> {
    let name = CString::new(topic).map_err(KafkaError::Nul)?;
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    describe(consumer.client().native_ptr(), &name, timeout_ms).map_err(|code| KafkaError::MetadataFetch(code.into()))
}

#[expect(unsafe_code, reason = "rdkafka has no DescribeTopics")]
fn describe(client: *mut c::rd_kafka_t, topic: &CStr, timeout_ms: i32) -> Result<String, c::rd_kafka_resp_err_t> {
    let mut names = [topic.as_ptr()];
    // SAFETY: `client` is the live handle of a consumer that the caller borrows. `names` and `topic` outlive the call that
    // reads them. The four objects made here are used only between their making and their destruction below.
    unsafe {
        let topics = c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let options = c::rd_kafka_AdminOptions_new(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let queue = c::rd_kafka_queue_new(client);
        c::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ptr::null_mut(), 0);
        c::rd_kafka_DescribeTopics(client, topics, options, queue);
        let event = c::rd_kafka_queue_poll(queue, timeout_ms);
        let id = answer(event);
        if !event.is_null() {
            c::rd_kafka_event_destroy(event);
        }
        c::rd_kafka_queue_destroy(queue);
        c::rd_kafka_AdminOptions_destroy(options);
        c::rd_kafka_TopicCollection_destroy(topics);
        id
    }
}

/// Copies the id out of the answer to a question about one topic.
///
/// # Safety
/// `event` is null or a live event.
#[expect(unsafe_code, reason = "rdkafka has no DescribeTopics")]
unsafe fn answer(event: *mut c::rd_kafka_event_t) -> Result<String, c::rd_kafka_resp_err_t> {
    use c::rd_kafka_resp_err_t::{RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR_NO_ERROR};
    if event.is_null() {
        return Err(RD_KAFKA_RESP_ERR__TIMED_OUT);
    }
    // SAFETY: the event is live by this function's contract, and all that is reached from it lives as long as it does; each
    // pointer is checked for null before it is read.
    unsafe {
        let error = c::rd_kafka_event_error(event);
        let result = c::rd_kafka_event_DescribeTopics_result(event);
        if error != RD_KAFKA_RESP_ERR_NO_ERROR || result.is_null() {
            return Err(error);
        }
        let mut count = 0;
        let topics = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count != 1 {
            return Err(RD_KAFKA_RESP_ERR__TIMED_OUT);
        }
        let error = c::rd_kafka_error_code(c::rd_kafka_TopicDescription_error(*topics));
        let id = c::rd_kafka_TopicDescription_topic_id(*topics);
        if error != RD_KAFKA_RESP_ERR_NO_ERROR || id.is_null() {
            return Err(error);
        }
        Ok(CStr::from_ptr(c::rd_kafka_Uuid_base64str(id)).to_string_lossy().into_owned())
    }
}

/// Does the error say that the topic is not there, rather than that nobody answered?
pub(super) fn is_unknown_topic(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition)
}
