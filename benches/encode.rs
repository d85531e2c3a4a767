//! An event to a record's value: [`event::encode`], beside copying the same bytes.

use std::hint::black_box;

use benches::clickstream::{Act, Clickstream};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Values of one pass: as many as one large request holds, so that they stay in the cache as they do there.
const EVENTS: usize = 100;

fn encode(criterion: &mut Criterion) {
    let acts: Vec<Act> = Clickstream::new(1).take(EVENTS).collect();
    let events: Vec<_> = acts.iter().map(Act::event).collect();
    let values: Vec<Vec<u8>> = events.iter().map(benches::value).collect();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let mut buffer = Vec::new();
    group.bench_function("event::encode", |bencher| {
        bencher.iter(|| {
            for event in &events {
                buffer.clear();
                event::encode(black_box(event), &mut buffer);
                black_box(&buffer);
            }
        });
    });
    group.bench_function("copy of the bytes", |bencher| {
        bencher.iter(|| {
            for value in &values {
                buffer.clear();
                buffer.extend_from_slice(black_box(value));
                black_box(&buffer);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
