//! The physical form of a data file: what each choice of the sink's writer costs, and what it saves on disk.
//!
//! The same sorted rows as finished columns, written by Arrow's writer with the sink's properties and with one of them
//! changed. Each line's name ends with the bytes an event takes on disk. ADR 0013 says what was chosen.

use arrow::array::RecordBatch;
use benches::{columns, file};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{WriterPropertiesBuilder, WriterVersion},
};
use sink::writer::properties;

/// What a partition gathers in a roll interval at 200 events a second.
const SMALL_FILE_ROWS: usize = 2_000;

type Change = fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder;

/// What is changed, one thing at a time.
const CHANGES: [(&str, Change); 15] = [
    ("as the sink writes", |form| form),
    ("uncompressed", |form| form.set_compression(Compression::UNCOMPRESSED)),
    ("zstd(3)", |form| form.set_compression(zstd(3))),
    ("zstd(6)", |form| form.set_compression(zstd(6))),
    ("zstd(9)", |form| form.set_compression(zstd(9))),
    ("row groups of 10,000", |form| form.set_max_row_group_row_count(Some(10_000))),
    ("row groups of 25,000", |form| form.set_max_row_group_row_count(Some(25_000))),
    ("event_id with a dictionary", |form| form.set_column_dictionary_enabled("event_id".into(), true)),
    ("event_id plain", |form| encoded(form, "event_id", Encoding::PLAIN)),
    ("properties as delta lengths", |form| encoded(form, "properties", Encoding::DELTA_LENGTH_BYTE_ARRAY)),
    ("user_key as delta bytes", |form| encoded(form, "user_key", Encoding::DELTA_BYTE_ARRAY)),
    ("_offset plain", |form| encoded(form, "_offset", Encoding::PLAIN)),
    ("pages of version 2", |form| form.set_writer_version(WriterVersion::PARQUET_2_0)),
    ("bloom filters for a million values", |form| {
        ["user_id", "event_id"]
            .into_iter()
            .fold(form, |form, name| form.set_column_bloom_filter_max_ndv(name.into(), 1_000_000))
    }),
    ("no bloom filters", |form| {
        ["user_id", "event_id"]
            .into_iter()
            .fold(form, |form, name| form.set_column_bloom_filter_enabled(name.into(), false))
    }),
];

fn format(criterion: &mut Criterion) {
    let rows = file::batch().and_then(|batch| Ok(columns::sort(&batch)?)).expect("the events are well-formed");
    for count in [file::ROWS, SMALL_FILE_ROWS] {
        let rows = rows.slice(0, count);
        let mut group = criterion.benchmark_group(format!("format, {count} rows"));
        group.throughput(Throughput::Elements(count as u64)).sample_size(10);
        for (name, change) in CHANGES {
            let bytes = written(&rows, change);
            #[expect(clippy::cast_precision_loss, reason = "a file is far below 2^52 bytes")]
            let name = format!("{name}: {:.1} bytes", bytes as f64 / count as f64);
            group.bench_function(name, |bencher| bencher.iter(|| written(&rows, change)));
        }
    }
}

/// Bytes of the file.
fn written(rows: &RecordBatch, change: Change) -> usize {
    let form = change(properties(rows.num_rows())).build();
    let mut writer =
        ArrowWriter::try_new(Vec::with_capacity(16 << 20), rows.schema(), Some(form)).expect("the properties fit");
    writer.write(rows).expect("writing to memory does not fail");
    writer.into_inner().expect("writing to memory does not fail").len()
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).expect("a level of zstd"))
}

fn encoded(form: WriterPropertiesBuilder, name: &str, encoding: Encoding) -> WriterPropertiesBuilder {
    form.set_column_dictionary_enabled(name.into(), false).set_column_encoding(name.into(), encoding)
}

criterion_group!(benches, format);
criterion_main!(benches);
