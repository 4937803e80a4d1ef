//! Whether one schema takes what another takes: the rules that Confluent documents for JSON Schema ("Schema Evolution and
//! Compatibility", "JSON Schema Compatibility Rules").
//!
//! An object is *open* if it takes properties that it does not name. A property that is added to an open object may have been
//! there before, as anything: so that is a difference. In one that is closed it is none, as long as it is not required.

mod content;
mod facets;

use std::collections::HashMap;

use serde_json::Value;

use super::{Document, JsonSchema};
use crate::limits::Budget;

/// What `old` takes and `new` does not; nothing, if there is no such thing. An error if it would take too long to say.
pub(crate) fn differences(new: &JsonSchema, old: &JsonSchema) -> Result<Vec<String>, String> {
    let mut comparison = Comparison { old, new, known: HashMap::new(), found: Vec::new(), budget: Budget::default() };
    let from = Side { schema: &old.root.value, document: &old.root };
    let to = Side { schema: &new.root.value, document: &new.root };
    comparison.compare(from, to, "#")?;
    Ok(comparison.found)
}

/// A schema, and the document that its references are looked for in.
#[derive(Debug, Clone, Copy)]
struct Side<'a> {
    schema: &'a Value,
    document: &'a Document,
}

impl<'a> Side<'a> {
    fn get(self, key: &str) -> Option<&'a Value> {
        self.schema.get(key)
    }

    /// Another schema of the same document.
    fn at(self, schema: &'a Value) -> Self {
        Self { schema, ..self }
    }

    fn list(self, key: &str) -> Option<&'a Vec<Value>> {
        self.get(key).and_then(Value::as_array)
    }

    /// It takes everything: nothing is said that counts.
    fn takes_all(self) -> bool {
        match self.schema {
            Value::Bool(takes) => *takes,
            Value::Object(object) => object.keys().all(|key| IGNORED.contains(&key.as_str())),
            _ => false,
        }
    }

    fn takes_nothing(self) -> bool {
        self.schema.as_bool() == Some(false) || self.get("not").is_some_and(|not| self.at(not).takes_all())
    }
}

/// Keywords that restrict nothing.
const IGNORED: [&str; 13] = [
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

struct Comparison<'a> {
    old: &'a JsonSchema,
    new: &'a JsonSchema,
    /// What has been compared, or is being compared, by its places in memory: schemas that contain themselves are met again.
    known: HashMap<(usize, usize), bool>,
    found: Vec<String>,
    budget: Budget,
}

fn place(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

impl<'a> Comparison<'a> {
    /// Whether `new` takes all that `old` takes.
    fn compare(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let follow = |schema: &'a JsonSchema, side: Side<'a>| {
            let found = schema.follow(side.schema, side.document);
            found.map(|(schema, document)| Side { schema, document })
        };
        let (Some(old), Some(new)) = (follow(self.old, old), follow(self.new, new)) else {
            // What is not in the documents can only be compared by its name.
            return if old.get("$ref") == new.get("$ref") {
                Ok(true)
            } else {
                self.refuse("REFERENCE_CHANGED", at, "it refers to something else")
            };
        };
        let key = (place(old.schema), place(new.schema));
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        self.budget.enter()?;
        self.known.insert(key, true);
        let takes = self.compare_followed(old, new, at)?;
        self.known.insert(key, takes);
        self.budget.leave();
        Ok(takes)
    }

    /// The same, without a word about why not.
    fn compare_silently(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let before = self.found.len();
        let takes = self.compare(old, new, at);
        self.found.truncate(before);
        takes
    }

    fn refuse(&mut self, rule: &str, at: &str, why: &str) -> Result<bool, String> {
        self.found.push(format!("{rule} at {at}: {why}"));
        Ok(false)
    }

    fn compare_followed(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        if new.takes_all() || old.takes_nothing() {
            return Ok(true);
        }
        if new.takes_nothing() {
            return self.refuse("TYPE_CHANGED", at, "nothing is taken any more");
        }
        let mut takes = self.types(old, new, at)?;
        takes &= self.constants(old, new, at)?;
        for key in ["anyOf", "oneOf"] {
            takes &= self.some_of(old, new, key, at)?;
        }
        takes &= self.all_of(old, new, at)?;
        takes &= self.negated(old, new, at)?;
        takes &= self.strings(old, new, at)?;
        takes &= self.numbers(old, new, at)?;
        takes &= self.objects(old, new, at)?;
        takes &= self.arrays(old, new, at)?;
        takes &= self.conditions(old, new, at)?;
        Ok(takes)
    }

    /// Each alternative that there was must be taken by one that there is.
    fn some_of(&mut self, old: Side<'a>, new: Side<'a>, key: &str, at: &str) -> Result<bool, String> {
        let Some(choices) = new.list(key) else { return Ok(true) };
        // One of two kinds of choice may have become the other.
        let was = old.list(key).or_else(|| old.list(if key == "anyOf" { "oneOf" } else { "anyOf" }));
        let Some(alternatives) = was else {
            // What was no choice must be one of them now.
            for choice in choices {
                if self.compare_silently(old, new.at(choice), at)? {
                    return Ok(true);
                }
            }
            return self.refuse(
                "COMBINED_TYPE_CHANGED",
                &format!("{at}/{key}"),
                "none of the alternatives takes what was",
            );
        };
        let mut takes = true;
        for (number, alternative) in alternatives.iter().enumerate() {
            let mut is_taken = false;
            for choice in choices {
                is_taken = is_taken || self.compare_silently(old.at(alternative), new.at(choice), at)?;
            }
            if !is_taken {
                let why = format!("alternative {number} of before is not taken by any");
                takes = self.refuse("SUM_TYPE_NARROWED", &format!("{at}/{key}"), &why)?;
            }
        }
        Ok(takes)
    }

    /// Each part that there is must follow from what there was.
    fn all_of(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = true;
        for (number, part) in new.list("allOf").into_iter().flatten().enumerate() {
            let before = old.list("allOf").into_iter().flatten().map(|part| old.at(part)).chain([old]);
            let mut follows = false;
            for part_before in before {
                follows = follows || self.compare_silently(part_before, new.at(part), at)?;
            }
            if !follows {
                let why = format!("part {number} asks for more than before");
                takes = self.refuse("PRODUCT_TYPE_EXTENDED", &format!("{at}/allOf"), &why)?;
            }
        }
        Ok(takes)
    }

    /// What is not taken may only become less.
    fn negated(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let at = format!("{at}/not");
        match (old.get("not"), new.get("not")) {
            (_, None) => Ok(true),
            (None, Some(_)) => self.refuse("NOT_TYPE_EXTENDED", &at, "something is not taken any more"),
            (Some(before), Some(now)) if before == now => Ok(true),
            (Some(before), Some(now)) => {
                // The other way around: all that is refused now must have been refused before.
                let mut turned = Comparison {
                    old: self.new,
                    new: self.old,
                    known: HashMap::new(),
                    found: Vec::new(),
                    budget: std::mem::take(&mut self.budget),
                };
                let is_less = turned.compare(new.at(now), old.at(before), &at)?;
                self.budget = turned.budget;
                if is_less { Ok(true) } else { self.refuse("NOT_TYPE_EXTENDED", &at, "more is refused than before") }
            }
        }
    }

    /// Conditions are not taken apart: one that changes is a difference.
    fn conditions(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = true;
        let has_condition = new.get("if").is_some();
        for key in ["if", "then", "else"] {
            if has_condition && new.get(key) != old.get(key) {
                takes = self.refuse("CONDITION_CHANGED", &format!("{at}/{key}"), "the condition is another one")?;
            }
        }
        for key in
            ["contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "minContains", "maxContains"]
        {
            if new.get(key).is_some_and(|now| old.get(key) != Some(now)) {
                takes = self.refuse("KEYWORD_CHANGED", &format!("{at}/{key}"), "the keyword is new or another one")?;
            }
        }
        Ok(takes)
    }
}
