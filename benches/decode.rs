//! A record's value to an event: [`event::decode`], beside arrow-avro's decoder with string views.
//!
//! They do not end at the same place: the first gives a borrowed event, the second has filled columns. What the columns
//! cost the sink is part of the bench `write`.

use std::hint::black_box;

use benches::{clickstream::Clickstream, columns};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Values of one pass, and rows of one batch of arrow-avro's.
const EVENTS: usize = 10_000;

fn decode(criterion: &mut Criterion) {
    let values: Vec<Vec<u8>> = Clickstream::new(1).take(EVENTS).map(|act| benches::value(&act.event())).collect();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("event::decode", |bencher| {
        bencher.iter(|| {
            for value in &values {
                black_box(event::decode(black_box(value)).expect("it was encoded by the same crate"));
            }
        });
    });
    let mut decoder = columns::decoder(EVENTS).expect("the schema is one that arrow-avro reads");
    group.bench_function("arrow-avro, string views", |bencher| {
        bencher.iter(|| {
            for value in &values {
                columns::decode(&mut decoder, black_box(value)).expect("the schema is the value's");
            }
            black_box(decoder.flush().expect("the values are whole"))
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
