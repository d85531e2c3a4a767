//! How the values of an Avro type lie in bytes.
//!
//! Responsible for walking over a value of any type, and for reading the few types that a field of an event can be made
//! of. Leaves names, aliases and defaults to the resolver.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value as Json;

use super::{ResolveError, parts, text};
use crate::codec::{DecodeError, rest::Rest};

/// The form of a type.
#[derive(Debug)]
pub(super) struct Shape {
    form: Form,
    /// Levels of types inside of it, so that walking over it needs little of the stack.
    depth: usize,
    /// Do its values take no bytes at all?
    is_empty: bool,
}

#[derive(Debug)]
enum Form {
    Null,
    Long(Unit),
    Text,
    /// A length and bytes that are no text.
    Opaque,
    /// So many bytes.
    Fixed(usize),
    Union(Vec<Arc<Shape>>),
    Record(Vec<Arc<Shape>>),
    /// Blocks of so many values.
    Array(Arc<Shape>),
    /// Blocks of so many texts with values.
    Map(Arc<Shape>),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Micros,
    Millis,
    Nanos,
    /// No points in time.
    Other,
}

const DEPTH_MAX: usize = 64;

impl Shape {
    /// Passes over a value.
    pub(super) fn skip(&self, rest: &mut Rest<'_>) -> Result<(), DecodeError> {
        match &self.form {
            Form::Null => Ok(()),
            Form::Long(_) => rest.long().map(drop),
            Form::Text | Form::Opaque => rest.bytes().map(drop),
            Form::Fixed(bytes) => rest.take(*bytes).map(drop),
            Form::Union(branches) => branch(branches, rest)?.skip(rest),
            Form::Record(_) if self.is_empty => Ok(()),
            Form::Record(fields) => fields.iter().try_for_each(|field| field.skip(rest)),
            Form::Array(items) => blocks(rest, items.is_empty, |rest| items.skip(rest)),
            Form::Map(values) => blocks(rest, false, |rest| {
                rest.bytes()?;
                values.skip(rest)
            }),
        }
    }

    /// Reads a text, or null.
    pub(super) fn text<'a>(&self, rest: &mut Rest<'a>) -> Result<Option<&'a str>, DecodeError> {
        match &self.form {
            Form::Null => Ok(None),
            Form::Text => rest.text().map(Some),
            Form::Union(branches) => branch(branches, rest)?.text(rest),
            _ => Err(DecodeError::InvalidAvro),
        }
    }

    /// Reads a time as microseconds.
    pub(super) fn micros(&self, rest: &mut Rest<'_>) -> Result<i64, DecodeError> {
        match &self.form {
            Form::Long(Unit::Micros) => rest.long(),
            Form::Long(Unit::Millis) => rest.long()?.checked_mul(1000).ok_or(DecodeError::InvalidAvro),
            Form::Long(Unit::Nanos) => Ok(rest.long()?.div_euclid(1000)),
            Form::Union(branches) => branch(branches, rest)?.micros(rest),
            _ => Err(DecodeError::InvalidAvro),
        }
    }

    pub(super) fn may_be_text(&self) -> bool {
        self.any(&|form| matches!(form, Form::Text))
    }

    pub(super) fn may_be_null(&self) -> bool {
        self.any(&|form| matches!(form, Form::Null))
    }

    pub(super) fn may_be_time(&self) -> bool {
        self.any(&|form| matches!(form, Form::Long(unit) if *unit != Unit::Other))
    }

    fn any(&self, fits: &impl Fn(&Form) -> bool) -> bool {
        match &self.form {
            Form::Union(branches) => branches.iter().any(|branch| branch.any(fits)),
            form => fits(form),
        }
    }
}

fn branch<'s>(branches: &'s [Arc<Shape>], rest: &mut Rest<'_>) -> Result<&'s Shape, DecodeError> {
    let index = usize::try_from(rest.long()?).map_err(|_| DecodeError::InvalidAvro)?;
    branches.get(index).map(AsRef::as_ref).ok_or(DecodeError::InvalidAvro)
}

/// The blocks of an array or a map, up to the empty one.
fn blocks(
    rest: &mut Rest<'_>,
    takes_nothing: bool,
    mut skip: impl FnMut(&mut Rest<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    loop {
        match rest.long()? {
            0 => return Ok(()),
            // With the block's size in bytes.
            count if count < 0 => rest.bytes().map(drop)?,
            // However many there are.
            _ if takes_nothing => {}
            // Each takes bytes, so that a count that is a lie ends with them.
            count => (0..count).try_for_each(|_| skip(rest))?,
        }
    }
}

/// Makes shapes of one schema, and knows the types that it has named so far.
pub(super) struct Shapes {
    /// `None` while the type is being made.
    named: HashMap<String, Option<Arc<Shape>>>,
    namespace: String,
}

impl Shapes {
    /// For the fields of a record, which may not contain the record itself.
    pub(super) fn of_record(record: &Json) -> Shapes {
        let (name, namespace) = full_name(record, "");
        Shapes { named: HashMap::from([(name, None)]), namespace }
    }

    /// The shape of a field.
    pub(super) fn field(&mut self, field: &Json) -> Result<Arc<Shape>, ResolveError> {
        let namespace = self.namespace.clone();
        self.of(&field["type"], &namespace)
    }

    fn of(&mut self, schema: &Json, namespace: &str) -> Result<Arc<Shape>, ResolveError> {
        match schema {
            Json::String(name) => match primitive(name, None) {
                Some(form) => made(form, schema),
                None => self.known(name, namespace),
            },
            Json::Array(branches) => {
                let branches = branches.iter().map(|branch| self.of(branch, namespace)).collect::<Result<_, _>>()?;
                made(Form::Union(branches), schema)
            }
            Json::Object(_) => self.complex(schema, namespace),
            other => Err(ResolveError::NotAvro(format!("{other} is no type"))),
        }
    }

    fn complex(&mut self, schema: &Json, namespace: &str) -> Result<Arc<Shape>, ResolveError> {
        let kind = match &schema["type"] {
            Json::String(kind) => kind.as_str(),
            inner => return self.of(inner, namespace),
        };
        match kind {
            "array" => made(Form::Array(self.of(&schema["items"], namespace)?), schema),
            "map" => made(Form::Map(self.of(&schema["values"], namespace)?), schema),
            "record" | "error" | "enum" | "fixed" => self.named(kind, schema, namespace),
            _ => match primitive(kind, text(schema, "logicalType")) {
                Some(form) => made(form, schema),
                None => self.known(kind, namespace),
            },
        }
    }

    fn named(&mut self, kind: &str, schema: &Json, namespace: &str) -> Result<Arc<Shape>, ResolveError> {
        let (name, inner) = full_name(schema, namespace);
        self.named.insert(name.clone(), None);
        let form = match kind {
            // Its symbol's index.
            "enum" => Form::Long(Unit::Other),
            "fixed" => {
                let size = schema["size"].as_u64().and_then(|size| usize::try_from(size).ok());
                Form::Fixed(size.ok_or_else(|| ResolveError::NotAvro(format!("{name} has no size")))?)
            }
            _ => {
                let fields = parts(schema, "fields").into_iter().map(|field| self.of(&field["type"], &inner));
                Form::Record(fields.collect::<Result<_, _>>()?)
            }
        };
        let shape = made(form, schema)?;
        self.named.insert(name, Some(Arc::clone(&shape)));
        Ok(shape)
    }

    fn known(&self, name: &str, namespace: &str) -> Result<Arc<Shape>, ResolveError> {
        let qualified = format!("{namespace}.{name}");
        match self.named.get(&qualified).or_else(|| self.named.get(name)) {
            Some(Some(shape)) => Ok(Arc::clone(shape)),
            Some(None) => Err(ResolveError::TooDeep(name.to_owned())),
            None => Err(ResolveError::NotAvro(format!("{name} is no type"))),
        }
    }
}

fn primitive(name: &str, logical: Option<&str>) -> Option<Form> {
    Some(match (name, logical) {
        ("null", _) => Form::Null,
        ("boolean", _) => Form::Fixed(1),
        ("float", _) => Form::Fixed(4),
        ("double", _) => Form::Fixed(8),
        ("string", _) | ("bytes", None) => Form::Text,
        ("bytes", Some(_)) => Form::Opaque,
        ("int" | "long", None) | ("long", Some("timestamp-micros")) => Form::Long(Unit::Micros),
        ("long", Some("timestamp-millis")) => Form::Long(Unit::Millis),
        ("long", Some("timestamp-nanos")) => Form::Long(Unit::Nanos),
        ("int" | "long", Some(_)) => Form::Long(Unit::Other),
        _ => return None,
    })
}

fn made(form: Form, schema: &Json) -> Result<Arc<Shape>, ResolveError> {
    let (inside, is_empty): (&[Arc<Shape>], bool) = match &form {
        Form::Union(branches) => (branches, false),
        Form::Record(fields) => (fields, fields.iter().all(|field| field.is_empty)),
        Form::Array(items) | Form::Map(items) => (std::slice::from_ref(items), false),
        Form::Null | Form::Fixed(0) => (&[], true),
        _ => (&[], false),
    };
    let depth = 1 + inside.iter().map(|shape| shape.depth).max().unwrap_or(0);
    if depth > DEPTH_MAX {
        return Err(ResolveError::TooDeep(kind(schema)));
    }
    Ok(Arc::new(Shape { form, depth, is_empty }))
}

/// The full name of a named type, and the namespace of what lies inside of it.
fn full_name(schema: &Json, namespace: &str) -> (String, String) {
    let name = text(schema, "name").unwrap_or_default();
    match name.rsplit_once('.') {
        Some((namespace, _)) => (name.to_owned(), namespace.to_owned()),
        None => match text(schema, "namespace").unwrap_or(namespace) {
            "" => (name.to_owned(), String::new()),
            namespace => (format!("{namespace}.{name}"), namespace.to_owned()),
        },
    }
}

/// The type in a word, for people.
pub(super) fn kind(schema: &Json) -> String {
    match schema {
        Json::String(name) => name.clone(),
        Json::Array(_) => "union".to_owned(),
        Json::Object(object) => match (object.get("logicalType").and_then(Json::as_str), object.get("type")) {
            (Some(logical), _) => logical.to_owned(),
            (None, Some(inner)) => kind(inner),
            (None, None) => "thing without a type".to_owned(),
        },
        _ => "thing without a type".to_owned(),
    }
}
