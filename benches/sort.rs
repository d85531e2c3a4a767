//! A file's rows in user order: the sink's sort, beside Arrow's.
//!
//! The sink sorts places of records and builds the columns in that order; Arrow sorts the user column of a batch and
//! would still have to take every column in that order, which is not measured here.

use benches::{columns, file};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sink::sort::by_user;

fn sort(criterion: &mut Criterion) {
    let (buffer, rows) = file::buffered();
    let batch = file::batch().expect("the events are well-formed");
    let mut group = criterion.benchmark_group("sort");
    group.throughput(Throughput::Elements(file::ROWS as u64)).sample_size(20);
    group.bench_function("sink::sort::by_user", |bencher| {
        bencher.iter_batched_ref(|| rows.clone(), |rows| by_user(rows, &buffer), BatchSize::LargeInput);
    });
    group.bench_function("arrow lexsort_to_indices", |bencher| {
        bencher.iter(|| columns::order(&batch).expect("the user key can be sorted"));
    });
    group.finish();
}

criterion_group!(benches, sort);
criterion_main!(benches);
