//! A file's sorted rows to Parquet bytes: the sink's builders and writer, beside a plain writer of an equal batch.
//!
//! The sink begins with records and ends with a file that has bloom filters, a page index and a row hash; the plain
//! writer begins with finished columns.

use benches::{columns, file};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sink::{ColumnSettings, config::ColumnType, promote::Promotion, sort::by_user, writer};

fn write(criterion: &mut Criterion) {
    let (buffer, mut rows) = file::buffered();
    by_user(&mut rows, &buffer);
    let batch = file::batch().and_then(|batch| Ok(columns::sort(&batch)?)).expect("the events are well-formed");
    let promotion = Promotion::none();
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(file::ROWS as u64)).sample_size(20);
    group.bench_function("sink::writer::write", |bencher| {
        bencher.iter(|| writer::write(&buffer, &rows, file::footer(), &promotion));
    });
    let promotion = Promotion::new(event::Version::NEWEST, &promoted());
    group.bench_function("sink::writer::write, three promoted columns", |bencher| {
        bencher.iter(|| writer::write(&buffer, &rows, file::footer(), &promotion));
    });
    group.bench_function("ArrowWriter, finished columns", |bencher| {
        bencher.iter(|| columns::parquet(&batch).expect("writing to memory does not fail"));
    });
    group.finish();
}

/// One that clicks have and two that no event has.
fn promoted() -> [ColumnSettings; 3] {
    [("price", ColumnType::Double), ("plan", ColumnType::String), ("seats", ColumnType::Long)]
        .map(|(name, kind)| ColumnSettings { name: name.to_owned(), from: format!("properties.{name}"), kind })
}

criterion_group!(benches, write);
criterion_main!(benches);
