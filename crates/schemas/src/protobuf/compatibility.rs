//! Whether messages of one file are read as those of another: the rules that Confluent documents for Protobuf ("Schema Evolution
//! and Compatibility", "Protobuf Compatibility Rules").

use std::collections::{HashMap, HashSet};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::ProtobufFile;
use crate::limits::Budget;

/// What of `old` the `new` file cannot read; nothing, if there is no such thing. An error if it would take too long to say.
pub(crate) fn differences(new: &ProtobufFile, old: &ProtobufFile) -> Result<Vec<String>, String> {
    let (Some(new), Some(old)) = (new.descriptor(), old.descriptor()) else {
        return Err("a file is not among those that were read".to_owned());
    };
    let mut comparison = Comparison { known: HashSet::new(), found: Vec::new(), budget: Budget::default() };
    comparison.among(&old.messages().collect::<Vec<_>>(), &new.messages().collect::<Vec<_>>())?;
    Ok(comparison.found)
}

struct Comparison {
    /// Pairs of messages, by their full names.
    known: HashSet<(String, String)>,
    found: Vec<String>,
    budget: Budget,
}

/// Forms on the wire: within one, a reader makes of a value what it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Varint,
    Zigzag,
    Fixed32,
    Fixed64,
    Float,
    Double,
    Bytes,
    Message,
    Group,
}

fn wire(field: &FieldDescriptor) -> Wire {
    match field.kind() {
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => Wire::Varint,
        Kind::Sint32 | Kind::Sint64 => Wire::Zigzag,
        Kind::Fixed32 | Kind::Sfixed32 => Wire::Fixed32,
        Kind::Fixed64 | Kind::Sfixed64 => Wire::Fixed64,
        Kind::Float => Wire::Float,
        Kind::Double => Wire::Double,
        Kind::String | Kind::Bytes => Wire::Bytes,
        Kind::Message(_) if field.is_group() => Wire::Group,
        Kind::Message(_) => Wire::Message,
    }
}

impl Comparison {
    fn refuse(&mut self, rule: &str, at: &str, why: &str) {
        self.found.push(format!("{rule} at {at}: {why}"));
    }

    /// Messages next to each other, by their own names: the package may change.
    fn among(&mut self, old: &[MessageDescriptor], new: &[MessageDescriptor]) -> Result<(), String> {
        let by_name: HashMap<&str, &MessageDescriptor> = new.iter().map(|message| (message.name(), message)).collect();
        for message in old.iter().filter(|message| !message.is_map_entry()) {
            match by_name.get(message.name()) {
                Some(now) => self.messages(message, now)?,
                None => self.refuse("MESSAGE_REMOVED", message.full_name(), "the message is not there any more"),
            }
        }
        Ok(())
    }

    fn messages(&mut self, old: &MessageDescriptor, new: &MessageDescriptor) -> Result<(), String> {
        if !self.known.insert((old.full_name().to_owned(), new.full_name().to_owned())) {
            return Ok(());
        }
        self.budget.enter()?;
        for field in old.fields() {
            match new.get_field(field.number()) {
                Some(now) => self.fields(&field, &now)?,
                None if field.is_required() => {
                    self.refuse("REQUIRED_FIELD_REMOVED", field.full_name(), "a required field is not there any more");
                }
                None if in_real_oneof(&field) => {
                    self.refuse("ONEOF_FIELD_REMOVED", field.full_name(), "a field of a oneof is not there any more");
                }
                None => {}
            }
        }
        for field in new.fields().filter(|field| field.is_required() && old.get_field(field.number()).is_none()) {
            self.refuse("REQUIRED_FIELD_ADDED", field.full_name(), "a required field is new");
        }
        self.oneofs(old, new);
        self.among(&old.child_messages().collect::<Vec<_>>(), &new.child_messages().collect::<Vec<_>>())?;
        self.budget.leave();
        Ok(())
    }

    fn fields(&mut self, old: &FieldDescriptor, new: &FieldDescriptor) -> Result<(), String> {
        let (at, before, now) = (old.full_name().to_owned(), wire(old), wire(new));
        if before != now || old.is_map() != new.is_map() {
            let (was, is) = (described(old), described(new));
            let rule = match (old.kind(), new.kind()) {
                (Kind::Message(_), Kind::Message(_)) => "FIELD_KIND_CHANGED",
                (Kind::Message(_), _) | (_, Kind::Message(_)) => "FIELD_KIND_CHANGED",
                _ => "FIELD_SCALAR_KIND_CHANGED",
            };
            self.refuse(rule, &at, &format!("the field was {was} and is {is}"));
            return Ok(());
        }
        if old.is_list() != new.is_list() && !old.is_map() && !matches!(now, Wire::Bytes | Wire::Message) {
            let (was, is) = (described(old), described(new));
            self.refuse("FIELD_NUMERIC_LABEL_CHANGED", &at, &format!("the field was {was} and is {is}"));
        }
        if old.is_required() != new.is_required() {
            let rule = if new.is_required() { "REQUIRED_FIELD_ADDED" } else { "REQUIRED_FIELD_REMOVED" };
            self.refuse(rule, &at, "a field that is required must be so from the first to the last");
        }
        let (Kind::Message(before), Kind::Message(now)) = (old.kind(), new.kind()) else { return Ok(()) };
        if before.name() != now.name() && !old.is_map() {
            let why = format!("the field was {} and is {}", before.full_name(), now.full_name());
            self.refuse("FIELD_NAMED_TYPE_CHANGED", &at, &why);
            return Ok(());
        }
        self.messages(&before, &now)
    }

    /// A field may move into a oneof that is new, but no two of them may: a reader keeps only one.
    fn oneofs(&mut self, old: &MessageDescriptor, new: &MessageDescriptor) {
        for oneof in new.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let moved: Vec<FieldDescriptor> = oneof
                .fields()
                .filter(|field| old.get_field(field.number()).is_some_and(|before| !in_real_oneof(&before)))
                .collect();
            let was_there =
                oneof.fields().any(|field| old.get_field(field.number()).is_some_and(|before| in_real_oneof(&before)));
            match moved.as_slice() {
                [] => {}
                [field] if was_there => {
                    self.refuse("FIELD_MOVED_TO_EXISTING_ONEOF", field.full_name(), "the oneof was there before");
                }
                [_] => {}
                _ => self.refuse(
                    "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
                    oneof.full_name(),
                    "several fields that went together are in one oneof now",
                ),
            }
        }
    }
}

/// Optional fields of the third version are in a oneof of their own, which is none.
fn in_real_oneof(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic())
}

fn described(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(_) if field.is_map() => return "a map".to_owned(),
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(of) => of.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    if field.is_list() { format!("repeated {kind}") } else { kind }
}
