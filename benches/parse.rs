//! A request's body to encoded records: the gateway's native dialect, beside the least that could be done.
//!
//! The gateway parses, fills what is missing, validates and encodes in one pass, so the floor's parse is measured alone
//! and with its encode.

use std::hint::black_box;

use benches::{
    borrowed::Borrowed,
    clickstream::{Clickstream, RECEIVED_AT},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway::stage::Stage;

/// Events of the body.
const EVENTS: usize = 100;

fn parse(criterion: &mut Criterion) {
    let body = Clickstream::new(1).body(EVENTS);
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let mut stage = Stage::default();
    group.bench_function("gateway: parse, validate, encode", |bencher| {
        bencher.iter(|| {
            let records = stage.take(black_box(body.as_bytes()), RECEIVED_AT);
            assert_eq!(records, Some(EVENTS), "every event is good");
        });
    });
    group.bench_function("sonic-rs, borrowed", |bencher| {
        bencher.iter(|| -> Vec<Borrowed<'_>> {
            sonic_rs::from_slice(black_box(body.as_bytes())).expect("the body is JSON")
        });
    });
    let mut value = Vec::new();
    group.bench_function("sonic-rs, borrowed, encode", |bencher| {
        bencher.iter(|| {
            let events: Vec<Borrowed<'_>> = sonic_rs::from_slice(black_box(body.as_bytes())).expect("the body is JSON");
            for event in &events {
                value.clear();
                event::encode(&event.event(RECEIVED_AT).expect("the time has the one form"), &mut value);
                black_box(&value);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
