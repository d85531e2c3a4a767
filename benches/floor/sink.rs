//! The sink's floor: the least a program can do that turns the log into sorted Parquet files.
//!
//! Responsible for an honest measure: consume, arrow-avro decode with string views, stable sort by user, Parquet with
//! zstd(1), the product's columns, one program. Leaves out everything that makes the files trustworthy: no commits, no
//! duplicates removed, no bad records, no order of files, no hashes, no bloom filters, no limits to memory.

use std::{error::Error, fs, path::Path, sync::Arc, time::Duration};

use arrow::{
    array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, UInt32Array},
    compute::{SortColumn, is_not_null, kernels::zip::zip, lexsort_to_indices, take_record_batch},
    datatypes::{DataType, Field, Schema},
};
use arrow_avro::{
    reader::{Decoder, ReaderBuilder},
    schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
};

/// Rows of one file, as many as a partition has in the bench's default.
const FILE_ROWS: usize = 100_000;

/// Consumes `events` records of the topic into files in `folder`.
pub(crate) fn run(brokers: &str, topic: &str, events: usize, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let consumer = consumer(brokers, topic)?;
    let mut decoder = decoder()?;
    let (mut partitions, mut offsets) = (Vec::with_capacity(FILE_ROWS), Vec::with_capacity(FILE_ROWS));
    let (mut seen, mut files) = (0, 0);
    while seen < events {
        let record = consumer.poll(Duration::from_secs(60)).ok_or("no record in 60 s")??;
        let value = record.payload().ok_or("a record without a value")?;
        let mut done = 0;
        while done < value.len() {
            done += decoder.decode(&value[done..])?;
        }
        partitions.push(record.partition());
        offsets.push(record.offset());
        seen += 1;
        if decoder.batch_is_full() || seen == events {
            let rows = decoder.flush()?.ok_or("a full decoder holds rows")?;
            let rows = with_place(&rows, std::mem::take(&mut partitions), std::mem::take(&mut offsets))?;
            fs::write(folder.join(format!("{files:05}.parquet")), encode(&sort(&rows)?)?)?;
            files += 1;
        }
    }
    Ok(())
}

fn consumer(brokers: &str, topic: &str) -> Result<BaseConsumer, Box<dyn Error>> {
    let group = format!("floor-{}", std::process::id());
    let mut config = ClientConfig::new();
    for (key, value) in [
        ("bootstrap.servers", brokers),
        ("group.id", group.as_str()),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("queued.max.messages.kbytes", "65536"),
        ("check.crcs", "false"),
    ] {
        config.set(key, value);
    }
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}

fn decoder() -> Result<Decoder, Box<dyn Error>> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(event::SCHEMA_ID), AvroSchema::new(event::SCHEMA_V1.to_owned()))?;
    let builder = ReaderBuilder::new().with_writer_schema_store(store).with_batch_size(FILE_ROWS).with_utf8_view(true);
    Ok(builder.build_decoder()?)
}

/// Adds the columns that the log's record does not carry in its value: the user key and where the record lay.
fn with_place(rows: &RecordBatch, partitions: Vec<i32>, offsets: Vec<i64>) -> Result<RecordBatch, Box<dyn Error>> {
    let column = |name: &str| rows.column_by_name(name).ok_or_else(|| format!("the schema has no {name}"));
    let (user_id, anonymous_id) = (column("user_id")?, column("anonymous_id")?);
    let user_key = zip(&is_not_null(user_id)?, user_id, anonymous_id)?;
    let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
    let mut columns = rows.columns().to_vec();
    let place: [(&str, DataType, ArrayRef); 3] = [
        ("user_key", user_key.data_type().clone(), user_key),
        ("_partition", DataType::Int32, Arc::new(Int32Array::from(partitions))),
        ("_offset", DataType::Int64, Arc::new(Int64Array::from(offsets))),
    ];
    for (name, kind, values) in place {
        fields.push(Arc::new(Field::new(name, kind, false)));
        columns.push(values);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// By user key; rows of one user stay in the order in which they were consumed.
fn sort(rows: &RecordBatch) -> Result<RecordBatch, Box<dyn Error>> {
    let users = rows.column_by_name("user_key").ok_or("the user key was added")?.clone();
    let arrival: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..u32::try_from(rows.num_rows())?));
    let by = [users, arrival].map(|values| SortColumn { values, options: None });
    Ok(take_record_batch(rows, &lexsort_to_indices(&by, None)?)?)
}

fn encode(rows: &RecordBatch) -> Result<Vec<u8>, Box<dyn Error>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_column_dictionary_enabled("event_id".into(), false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::with_capacity(16 << 20), rows.schema(), Some(properties))?;
    writer.write(rows)?;
    Ok(writer.into_inner()?)
}
