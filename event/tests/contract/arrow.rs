//! Arrow's Avro decoder, which analysts' engines use, reads our framed records as columns.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
};
use arrow_avro::{
    reader::{Decoder, ReaderBuilder},
    schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore},
};
use event::{Version, encode};
use proptest::{collection::vec, prelude::*};

use crate::fields::{Field, any_values, fields};

fn decoder() -> Decoder {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    let (id, schema) = (Version::NEWEST.schema_id(), Version::NEWEST.schema());
    store.set(Fingerprint::Id(id), AvroSchema::new(schema.to_owned())).expect("the schema file is Avro");
    ReaderBuilder::new().with_writer_schema_store(store).build_decoder().expect("the schema has Arrow types")
}

fn cell<'a>(batch: &'a RecordBatch, name: &str, row: usize) -> Field<'a> {
    let column = batch.column_by_name(name).expect("every field is a column");
    let nullable = batch.schema_ref().field_with_name(name).expect("every field is a column").is_nullable();
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) if !nullable => {
            Field::Time(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Utf8 if nullable => {
            Field::Optional(column.is_valid(row).then(|| column.as_string::<i32>().value(row)))
        }
        DataType::Utf8 => Field::Text(column.as_string::<i32>().value(row)),
        other => panic!("{name} has the type {other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For all logs: the rows that arrow-avro makes of them are their events, in their order.
    #[test]
    fn arrow_avro_reads_what_we_write(log in vec(any_values(), 1..8)) {
        let mut decoder = decoder();
        for values in &log {
            let mut value = Vec::new();
            encode(&values.event(), &mut value);
            prop_assert_eq!(decoder.decode(&value)?, value.len());
        }
        let batch = decoder.flush()?.expect("records were decoded");
        prop_assert_eq!(batch.num_rows(), log.len());
        for (row, values) in log.iter().enumerate() {
            let expected = fields(&values.event());
            prop_assert_eq!(batch.num_columns(), expected.len());
            for (name, field) in expected {
                prop_assert_eq!(cell(&batch, name, row), field, "{} of row {}", name, row);
            }
        }
    }
}
