//! One data file, read whole.
//!
//! Responsible for holding a file against its own footer: count, order and hash of its rows, what was derived from them
//! (user key, promoted columns), and its dead letters. Reads the file once, keeps a batch of rows at a time.

use arrow::datatypes::Schema;
use bytes::Bytes;
use event::Version;
use object_store::{Error, ObjectStoreExt, path::Path};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{finding::Kind, rows::Rows};
use crate::{
    dead_letter,
    footer::{self, Footer, FooterError},
    object_path::Chain,
    promote::{Promoted, Promotion},
    row_hash::{self, RowHasher, chained},
    schema::columns,
    store::Store,
};

/// What a data file turned out to be.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What it says about itself, if that can be read.
    pub(super) footer: Option<Footer>,
    /// Hash of the set of its rows below the limit.
    pub(super) rows_hash: u64,
    /// Rows below the limit.
    pub(super) rows: u64,
    /// What is wrong with it.
    pub(super) problems: Vec<(Kind, String)>,
}

/// Rows that are looked at together.
const BATCH_ROWS: usize = 8 * 1024;
/// A file is damaged in one way or in every row: a few problems tell which.
const PROBLEMS_MAX: usize = 5;
const GONE: &str = "it was listed and is not there";

/// Looks at the file that starts at an offset: at its footer only, or at its rows too.
pub(super) async fn look(store: &Store, chain: &Chain, start: u64, with_rows: bool, until: u64) -> Result<Seen, Error> {
    let path = chain.file(store.root(), start);
    let (footer, bytes) = if with_rows {
        match get(store, &path).await? {
            Some(bytes) => (footer::parse(&bytes).map_err(|error| error.to_string()), Some(bytes)),
            None => (Err(GONE.to_owned()), None),
        }
    } else {
        match footer::read(store.objects().as_ref(), &path).await {
            Ok(Some(footer)) => (Ok(footer), None),
            Ok(None) => (Err(GONE.to_owned()), None),
            Err(FooterError::Corrupt(reason)) => (Err(reason), None),
            Err(FooterError::Store(error)) => return Err(error),
        }
    };
    let footer = match footer {
        Ok(footer) => footer,
        Err(reason) => return Ok(Seen::damaged(reason)),
    };
    let mut seen = Seen { footer: Some(footer.clone()), rows: footer.rows, ..Seen::default() };
    if (footer.topic.as_str(), footer.partition, footer.start_offset) != (chain.topic.as_str(), chain.partition, start)
    {
        seen.problem(Kind::Damaged, "its footer does not match its name".to_owned());
        return Ok(seen);
    }
    check_dead_letters(store, chain, &footer, &mut seen).await?;
    if let Some(bytes) = bytes {
        let reading = tokio::task::spawn_blocking(move || {
            check_rows(bytes, &footer, until, &mut seen);
            seen
        });
        // The Parquet reader checks what it reads, but not against everything that damage can do.
        seen = reading.await.unwrap_or_else(|_| Seen::damaged("reading its rows fails".to_owned()));
    }
    Ok(seen)
}

async fn check_dead_letters(store: &Store, chain: &Chain, footer: &Footer, seen: &mut Seen) -> Result<(), Error> {
    if footer.dead_letters == 0 {
        return Ok(());
    }
    let path = chain.dead_letters(store.root(), footer.start_offset, footer.next_offset);
    let said = format!("its footer counts {} dead letters", footer.dead_letters);
    let found = match get(store, &path).await? {
        Some(bytes) => dead_letter::offsets(bytes),
        None => Err("it is not there".to_owned()),
    };
    let problem = match found {
        Err(reason) => format!("{said}, but {path} cannot be read: {reason}"),
        Ok(offsets) if offsets.len() as u64 != footer.dead_letters => {
            format!("{said}, but {path} holds {}", offsets.len())
        }
        Ok(offsets) if offsets.iter().any(|offset| !(footer.start_offset..footer.next_offset).contains(offset)) => {
            format!("{path} holds a record that is not in the file's range")
        }
        Ok(_) => return Ok(()),
    };
    seen.problem(Kind::DeadLetters, problem);
    Ok(())
}

async fn get(store: &Store, path: &Path) -> Result<Option<Bytes>, Error> {
    match async { store.objects().get(path).await?.bytes().await }.await {
        Err(Error::NotFound { .. }) => Ok(None),
        result => result.map(Some),
    }
}

impl Seen {
    fn damaged(reason: String) -> Seen {
        Seen { problems: vec![(Kind::Damaged, reason)], ..Seen::default() }
    }

    fn problem(&mut self, kind: Kind, message: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push((kind, message));
        }
    }
}

/// Reads all rows.
fn check_rows(file: Bytes, footer: &Footer, until: u64, seen: &mut Seen) {
    let Some(promotion) = Promotion::from_text(footer.version(), &footer.columns) else {
        return seen.problem(Kind::Damaged, format!("its footer has footfall.columns = {:?}", footer.columns));
    };
    let mut walk = Walk {
        footer,
        until,
        seen,
        promotion: &promotion,
        promoted: Promoted::new(&promotion),
        hasher: RowHasher::default(),
        file_hash: promotion.row_hash_start(),
        rows: 0,
        last: None,
    };
    walk.seen.rows = 0;
    let result = walk.file(file);
    let (rows, file_hash) = (walk.rows, walk.file_hash);
    match result {
        Err(reason) => seen.problem(Kind::Damaged, format!("its rows cannot be read: {reason}")),
        Ok(()) if rows != footer.rows => {
            seen.problem(Kind::Damaged, format!("it has {rows} rows, its footer says {}", footer.rows));
        }
        Ok(()) if file_hash != footer.row_hash => seen.problem(
            Kind::Damaged,
            format!("its rows have the hash {file_hash:016x}, its footer says {:016x}", footer.row_hash),
        ),
        Ok(()) => {}
    }
}

/// A walk over the rows of a file.
struct Walk<'a> {
    footer: &'a Footer,
    /// Rows from this offset on do not count.
    until: u64,
    seen: &'a mut Seen,
    promotion: &'a Promotion,
    promoted: Promoted<'a>,
    hasher: RowHasher,
    file_hash: u64,
    rows: u64,
    /// User and offset of the row before.
    last: Option<(String, u64)>,
}

impl Walk<'_> {
    fn file(&mut self, file: Bytes) -> Result<(), String> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
        self.check_columns(builder.schema());
        let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| error.to_string())?;
        for batch in reader {
            let batch = batch.map_err(|error| error.to_string())?;
            self.batch(&Rows::of(&batch, self.footer.version())?);
        }
        Ok(())
    }

    /// An older file may lack columns; none may have one that its writer did not know.
    fn check_columns(&mut self, schema: &Schema) {
        let known = self.promotion.schema();
        let is_newer = self.footer.schema_id > Version::NEWEST.number();
        for field in schema.fields() {
            let is_known = match known.field_with_name(field.name()) {
                // A column of nulls has no value that would tell its type.
                Ok(known) => known.is_nullable() == field.is_nullable() && known.data_type() == field.data_type(),
                Err(_) => is_newer,
            };
            if !is_known {
                self.seen.problem(Kind::Damaged, format!("its column {} is none that the sink writes", field.name()));
            }
        }
    }

    fn batch(&mut self, rows: &Rows<'_>) {
        for row in 0..rows.len() {
            let (event, offset) = (rows.event(row), rows.offset(row));
            let hash = self.hasher.event(offset, &event);
            self.file_hash = chained(self.file_hash, hash);
            self.rows += 1;
            if offset < self.until {
                self.seen.rows += 1;
                self.seen.rows_hash = row_hash::with(self.seen.rows_hash, hash);
            }
            self.promoted.append(event.properties);
            let user_key = rows.user_key(row);
            if event.user_key() != Some(user_key) {
                self.seen.problem(Kind::Damaged, format!("the row of offset {offset} has the user key of another"));
            }
            if i64::from(rows.partition(row)) != i64::from(self.footer.partition) {
                self.seen.problem(Kind::Damaged, format!("the row of offset {offset} is of another partition"));
            }
            self.order(user_key, offset);
        }
        self.check_promoted(rows);
    }

    fn order(&mut self, user_key: &str, offset: u64) {
        if !(self.footer.start_offset..self.footer.next_offset).contains(&offset) {
            self.seen.problem(Kind::Order, format!("offset {offset} is not in the file's range"));
        }
        match &mut self.last {
            Some((user, before)) => {
                if (user.as_str(), *before) >= (user_key, offset) {
                    let message = format!("offset {offset} of {user_key:?} stands behind {before} of {user:?}");
                    self.seen.problem(Kind::Order, message);
                }
                if user != user_key {
                    user_key.clone_into(user);
                }
                *before = offset;
            }
            last => *last = Some((user_key.to_owned(), offset)),
        }
    }

    /// Promoted columns are made again from the rows' properties.
    fn check_promoted(&mut self, rows: &Rows<'_>) {
        let mut expected = Vec::new();
        self.promoted.finish(&mut expected);
        let fixed = columns(self.promotion.version()).len();
        for (field, expected) in self.promotion.schema().fields()[fixed..].iter().zip(&expected) {
            if rows.column(field.name()) != Some(expected) {
                let message = format!("its column {} does not hold what its properties hold", field.name());
                self.seen.problem(Kind::Damaged, message);
            }
        }
    }
}
