//! Goal: each event is in the topic that its route names, in order and in its user's partition. Method: real Kafka, read
//! back.

use gateway::{Log, config::RouteSettings};

use crate::{
    harness::{Gateway, array, kafka_settings},
    order::consume,
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
    let error = Log::kafka(&settings, &routes).expect_err("the topics of the routes are missing").to_string();
    assert!(error.contains(&clicks) && error.contains("--create-topics"), "{error}");

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
