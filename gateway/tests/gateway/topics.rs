//! Goal: each event is in the topic that its route names, in order and in its user's partition, and each refused one in the
//! dead-letter topic as it was sent. Method: real Kafka, read back.

use gateway::{
    Log,
    config::{DeadLetterSettings, KafkaSettings, RouteSettings},
};
use rdkafka::Message;
use serde_json::{Value, json};

use crate::{
    harness::{Gateway, array, event, kafka_settings, mock, request, until},
    order::{consume, read_topic},
};

fn route(source: Option<&str>, kind: Option<&str>, topic: &str) -> RouteSettings {
    RouteSettings { source: source.map(str::to_owned), kind: kind.map(str::to_owned), topic: topic.to_owned() }
}

#[test]
fn routes_send_events_to_other_topics() {
    if kafka::left_out() {
        return;
    }
    const PARTITIONS: i32 = 5;
    let broker = kafka::Broker::shared();
    let topic = broker.fresh_topic("gateway-routed", PARTITIONS as u32);
    let [clicks, mail] = ["clicks", "mail"].map(|name| format!("{topic}-{name}"));
    let routes = [route(Some("web"), Some("click"), &clicks), route(Some("mail"), None, &mail)];
    let mut settings = kafka_settings(broker.brokers(), &topic);
    // A topic that was made a moment ago may not be known to the broker's metadata yet.
    until("only the topics of the routes are missing", || {
        let error = Log::kafka(&settings, &routes).expect_err("topics are missing").to_string();
        error.contains(&clicks) && error.contains("--create-topics")
    });

    settings.create_topics = true;
    let log = Log::kafka(&settings, &routes).unwrap();
    let gateway = Gateway::start(log, |settings| settings.source = "web".to_owned());
    let kind = |n: usize| if n.is_multiple_of(3) { "click" } else { "page_view" };
    let events: Vec<String> =
        (0..300).map(|n| format!(r#"{{"event_id":"{n}","type":"{}","user_id":"u{}"}}"#, kind(n), n % 7)).collect();
    assert_eq!(gateway.post(array(&events)).body, r#"{"accepted":300}"#);
    gateway.stop();

    for (topic, wanted) in [(&topic, "page_view"), (&clicks, "click"), (&mail, "")] {
        let found = consume(broker.brokers(), topic, PARTITIONS);
        for user in 0..7 {
            let ids = |n: &usize| kind(*n) == wanted && n % 7 == user;
            let expected: Vec<String> = (0..300).filter(ids).map(|n| n.to_string()).collect();
            let of_user = found.iter().filter(|record| record.key == format!("u{user}"));
            let found: Vec<String> = of_user
                .inspect(|record| {
                    let partition = event::partition(record.key.as_bytes(), PARTITIONS as u32);
                    assert_eq!(record.partition as u32, partition, "made with as many partitions as the main topic");
                })
                .map(|record| record.event_id.clone())
                .collect();
            assert_eq!(found, expected, "user {user} in {topic}");
        }
        assert_eq!(found.is_empty(), wanted.is_empty());
    }
}

fn with_letters(kafka: &KafkaSettings, letters: &DeadLetterSettings) -> Gateway {
    let log = |metrics: &_| Log::kafka(kafka, &[])?.with_dead_letters(kafka, letters, metrics);
    Gateway::start_on(|metrics| log(metrics).unwrap(), |settings| settings.source = "web".to_owned())
}

fn outcomes(gateway: &Gateway) -> [u64; 3] {
    ["sent", "failed", "skipped"]
        .map(|outcome| gateway.metric(&format!("gateway_dead_letters_total{{outcome=\"{outcome}\"}}")))
}

#[test]
fn refused_events_are_in_the_dead_letter_topic_with_their_bytes() {
    if kafka::left_out() {
        return;
    }
    let broker = kafka::Broker::shared();
    let topic = broker.fresh_topic("gateway-refused", 2);
    let settings = KafkaSettings { create_topics: true, ..kafka_settings(broker.brokers(), &topic) };
    let gateway = with_letters(&settings, &DeadLetterSettings { raw_bytes_max: 60, ..DeadLetterSettings::default() });
    let mut client = gateway.connect();
    let nobody = r#"{"type":"click","properties":{"note":"é\n"}}"#;
    let long = format!(r#"{{"type":"click","user_id":7,"title":"{}"}}"#, "ü".repeat(40));
    assert_eq!(client.post(array(&[event("u", 1), nobody.to_owned(), event("u", 2), long.clone()])).status, 200);
    assert_eq!(client.post(format!("{}\n oops \n[1]\n", event("u", 3))).status, 200);
    assert_eq!(client.post("[{]").code().as_deref(), Some("malformed_json"));
    assert_eq!(client.post(b"\xff\xfe").code().as_deref(), Some("invalid_utf8"));
    let batch = r#"{"writeKey":"k","batch":[{"type":"track","event":"a","userId":"u"},{"type":"track","event":"b"}]}"#;
    let segment = String::from_utf8(request("", batch.as_bytes())).unwrap().replace("/v1/events", "/v1/batch");
    client.send(segment.as_bytes());
    assert_eq!(client.reply().rejected(), [(1, "no_user_key".to_owned())].into());
    assert_eq!(client.post(event("u", 4)).status, 200);
    gateway.check_ledger();
    until("all letters are there", || outcomes(&gateway) == [7, 0, 0]);
    gateway.stop();

    let dead = format!("{topic}.dead-letter");
    let letters = read_topic(broker.brokers(), &dead, 1, |record| {
        assert!(record.key().is_none());
        serde_json::from_slice::<Value>(record.payload().unwrap()).unwrap()
    });
    let summary: Vec<Value> = letters
        .iter()
        .map(|it| json!([it["code"], it["index"], it["raw"], it["raw_base64"], it["raw_bytes"], it["truncated"]]))
        .collect();
    // Byte 60 is in the middle of a character.
    let cut = &long[..59];
    let expected = [
        json!(["no_user_key", 1, nobody, null, nobody.len(), false]),
        json!(["invalid_type", 3, cut, null, long.len(), true]),
        json!(["malformed_json", 1, "oops", null, 4, false]),
        json!(["not_an_object", 2, "[1]", null, 3, false]),
        json!(["malformed_json", null, "[{]", null, 3, false]),
        json!(["invalid_utf8", null, null, "//4=", 2, false]),
        json!(["no_user_key", 1, r#"{"type":"track","event":"b"}"#, null, 28, false]),
    ];
    assert_eq!(summary, expected);
    for letter in &letters {
        assert_eq!(letter["source"], "web");
        assert!(letter["message"].as_str().is_some_and(|message| !message.is_empty()), "{letter}");
        assert!(event::parse_time(letter["received_at"].as_str().unwrap()).is_some(), "{letter}");
    }
    // Good events only.
    assert_eq!(consume(broker.brokers(), &topic, 2).len(), 5);
}

#[test]
fn no_request_suffers_from_dead_letters() {
    let cluster = mock("events", 2);
    let bad = array(&(0..8).map(|_| r#"{"type":"click"}"#.to_owned()).collect::<Vec<_>>());
    // The topic is not there and nobody asked for it.
    let settings = kafka_settings(&cluster.bootstrap_servers(), "events");
    let gateway = with_letters(&settings, &DeadLetterSettings::default());
    assert_eq!((gateway.post(&bad).status, gateway.post(event("u", 1)).status), (400, 200));
    assert_eq!(outcomes(&gateway), [0, 0, 0]);
    gateway.stop();

    // Named, so that it has to be there.
    let named = DeadLetterSettings { topic: Some("refused".to_owned()), ..DeadLetterSettings::default() };
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = gateway::Metrics::register(&mut registry);
    let log = Log::kafka(&settings, &[]).unwrap();
    let error = log.with_dead_letters(&settings, &named, &metrics).expect_err("it is missing").to_string();
    assert!(error.contains("refused") && error.contains("--create-topics"), "{error}");

    // Its queue is full.
    cluster.create_topic("refused", 1, 1).unwrap();
    let full =
        KafkaSettings { properties: [("queue.buffering.max.messages".to_owned(), "5".to_owned())].into(), ..settings };
    let gateway = with_letters(&full, &named);
    assert_eq!((gateway.post(&bad).status, gateway.post(event("u", 1)).status), (400, 200));
    until("what fits is there", || outcomes(&gateway) == [5, 0, 3]);
    gateway.stop();
}
