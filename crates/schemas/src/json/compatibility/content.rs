//! What is in objects and arrays.

use std::collections::BTreeSet;

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::{Comparison, Side};
use crate::limits::{Budget, PATTERN_COST};

/// What an object does with a property that it does not name.
enum Unnamed<'a> {
    /// Takes it, whatever it is.
    Open,
    /// Takes it if it is like this.
    Like(&'a Value),
    Closed,
}

/// What an object does with a property of this name that it does not list.
fn unnamed<'a>(side: Side<'a>, name: &str, budget: &mut Budget) -> Result<Unnamed<'a>, String> {
    for (pattern, schema) in side.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
        budget.spend(PATTERN_COST)?;
        // A pattern that we cannot read matches nothing that we know of.
        let pattern = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        if pattern.is_ok_and(|pattern| pattern.is_match(name)) {
            return Ok(Unnamed::Like(schema));
        }
    }
    Ok(match side.get("additionalProperties") {
        Some(Value::Bool(false)) => Unnamed::Closed,
        Some(schema @ Value::Object(object)) if !object.is_empty() => Unnamed::Like(schema),
        // Patterns without more leave the object partly open: other names are taken as well.
        _ => Unnamed::Open,
    })
}

/// Bytes of a regular expression in memory.
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// What it costs to look through the required properties.
fn required_cost(side: Side<'_>) -> usize {
    side.list("required").map_or(0, Vec::len)
}

fn properties(side: Side<'_>) -> Option<&Map<String, Value>> {
    side.get("properties").and_then(Value::as_object)
}

fn is_required(side: Side<'_>, name: &str) -> bool {
    side.list("required").is_some_and(|list| list.iter().any(|item| item.as_str() == Some(name)))
}

impl<'a> Comparison<'a> {
    pub(super) fn objects(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = self.at_most(old, new, "maxProperties", "MAX_PROPERTIES", at)?;
        takes &= self.at_least(old, new, "minProperties", "MIN_PROPERTIES", at)?;
        let names: BTreeSet<&'a String> = [old, new].into_iter().filter_map(properties).flat_map(Map::keys).collect();
        let cost = required_cost(old) + required_cost(new);
        for name in names {
            self.budget.spend(cost)?;
            let at = format!("{at}/properties/{name}");
            let (before, now) =
                (properties(old).and_then(|all| all.get(name)), properties(new).and_then(|all| all.get(name)));
            takes &= match (before, now) {
                (Some(before), Some(now)) => {
                    let fits = self.compare(old.at(before), new.at(now), &at)?;
                    fits & self.required(old, new, name, now, &at)?
                }
                (Some(before), None) => self.removed(old.at(before), new, name, &at)?,
                (None, Some(now)) => self.added(old, new, name, now, &at)?,
                (None, None) => true,
            };
        }
        takes &= self.required_unnamed(old, new, at)?;
        takes &= self.additional(old, new, "additionalProperties", "ADDITIONAL_PROPERTIES", at)?;
        takes &= self.patterns(old, new, at)?;
        takes &= self.dependencies(old, new, at)?;
        Ok(takes)
    }

    fn required(&mut self, old: Side<'a>, new: Side<'a>, name: &str, now: &Value, at: &str) -> Result<bool, String> {
        if !is_required(new, name) || is_required(old, name) || now.get("default").is_some() {
            return Ok(true);
        }
        self.refuse("REQUIRED_ATTRIBUTE_ADDED", at, &format!("\"{name}\" was optional, is required and has no default"))
    }

    /// Names that are required without being properties.
    fn required_unnamed(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = true;
        for name in new.list("required").into_iter().flatten().filter_map(Value::as_str) {
            self.budget.spend(required_cost(old))?;
            let is_property = properties(new).is_some_and(|all| all.contains_key(name));
            if !is_property && !is_required(old, name) {
                let why = format!("\"{name}\" is required, and was not");
                takes = self.refuse("REQUIRED_ATTRIBUTE_ADDED", &format!("{at}/required"), &why)?;
            }
        }
        Ok(takes)
    }

    fn removed(&mut self, before: Side<'a>, new: Side<'a>, name: &str, at: &str) -> Result<bool, String> {
        match unnamed(new, name, &mut self.budget)? {
            Unnamed::Open => Ok(true),
            Unnamed::Like(schema) => {
                if self.compare_silently(before, new.at(schema), at)? {
                    return Ok(true);
                }
                let why = format!("\"{name}\" is no property any more, and not covered by those that are unnamed");
                self.refuse("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", at, &why)
            }
            Unnamed::Closed if before.takes_nothing() => Ok(true),
            Unnamed::Closed => {
                let why = format!("\"{name}\" is no property any more, and the object takes no others");
                self.refuse("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", at, &why)
            }
        }
    }

    fn added(&mut self, old: Side<'a>, new: Side<'a>, name: &str, now: &'a Value, at: &str) -> Result<bool, String> {
        match unnamed(old, name, &mut self.budget)? {
            Unnamed::Open if new.at(now).takes_all() => {}
            Unnamed::Open => {
                let why = format!("\"{name}\" may have been anything before, since the object took any property");
                return self.refuse("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", at, &why);
            }
            Unnamed::Like(schema) => {
                if !self.compare_silently(old.at(schema), new.at(now), at)? {
                    let why = format!("\"{name}\" may have been something else before");
                    return self.refuse("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", at, &why);
                }
            }
            Unnamed::Closed => {}
        }
        if is_required(new, name) && !is_required(old, name) && now.get("default").is_none() {
            let why = format!("\"{name}\" is new, required and has no default");
            return self.refuse("REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", at, &why);
        }
        Ok(true)
    }

    /// `additionalProperties` or `additionalItems`.
    fn additional(&mut self, old: Side<'a>, new: Side<'a>, key: &str, rule: &str, at: &str) -> Result<bool, String> {
        const ALL: &Value = &Value::Bool(true);
        let at = format!("{at}/{key}");
        let (before, now) = (old.get(key).unwrap_or(ALL), new.get(key).unwrap_or(ALL));
        let (before, now) = (old.at(before), new.at(now));
        if now.takes_all() || before.takes_nothing() {
            return Ok(true);
        }
        if now.takes_nothing() {
            return self.refuse(&format!("{rule}_REMOVED"), &at, "what is not named is not taken any more");
        }
        if before.takes_all() {
            return self.refuse(&format!("{rule}_NARROWED"), &at, "not all that is not named is taken any more");
        }
        self.compare(before, now, &at)
    }

    fn patterns(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = true;
        let all = |side: Side<'a>| side.get("patternProperties").and_then(Value::as_object);
        for (pattern, now) in all(new).into_iter().flatten() {
            let at = format!("{at}/patternProperties/{pattern}");
            takes &= match all(old).and_then(|all| all.get(pattern)) {
                Some(before) => self.compare(old.at(before), new.at(now), &at)?,
                None if new.at(now).takes_all() => true,
                None if matches!(old.get("additionalProperties"), Some(Value::Bool(false))) => true,
                None => self.refuse("PATTERN_PROPERTY_ADDED", &at, "the pattern is new, and such names were taken")?,
            };
        }
        Ok(takes)
    }

    fn dependencies(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = true;
        for key in ["dependencies", "dependentRequired", "dependentSchemas"] {
            for (name, now) in new.get(key).and_then(Value::as_object).into_iter().flatten() {
                let at = format!("{at}/{key}/{name}");
                let before = old.get(key).and_then(|all| all.get(name));
                takes &= match (before, now) {
                    (Some(Value::Array(before)), Value::Array(now)) => {
                        if now.iter().all(|name| before.contains(name)) {
                            true
                        } else {
                            self.refuse("DEPENDENCY_ARRAY_EXTENDED", &at, "more properties are asked for")?
                        }
                    }
                    (Some(before), now) => self.compare(old.at(before), new.at(now), &at)?,
                    (None, _) => self.refuse("DEPENDENCY_ADDED", &at, "the dependency is new")?,
                };
            }
        }
        Ok(takes)
    }

    pub(super) fn arrays(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = self.at_most(old, new, "maxItems", "MAX_ITEMS", at)?;
        takes &= self.at_least(old, new, "minItems", "MIN_ITEMS", at)?;
        let is_unique = |side: Side<'a>| side.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false);
        if is_unique(new) && !is_unique(old) {
            takes = self.refuse("UNIQUE_ITEMS_ADDED", &format!("{at}/uniqueItems"), "items must be unique now")?;
        }
        Ok(takes & self.items(old, new, at)?)
    }

    /// Items one by one where they have schemas of their own, and the rest by the one schema of all.
    fn items(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = true;
        let (named_before, named_now) = (tuple(old), tuple(new));
        for number in 0..named_before.len().max(named_now.len()) {
            let at = format!("{at}/items/{number}");
            let one = |named: &'a [Value], side: Side<'a>| named.get(number).or_else(|| rest(side));
            takes &= match (one(named_before, old), one(named_now, new)) {
                (_, None) => true,
                (None, Some(now)) if new.at(now).takes_all() => true,
                (None, Some(_)) => {
                    self.refuse("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", &at, "the item may have been anything")?
                }
                (Some(before), Some(now)) => self.compare(old.at(before), new.at(now), &at)?,
            };
        }
        let at = format!("{at}/items");
        takes &= match (rest(old), rest(new)) {
            (_, None) => true,
            (Some(before), Some(now)) => self.compare(old.at(before), new.at(now), &at)?,
            (None, Some(now)) if new.at(now).takes_all() => true,
            (None, Some(_)) => self.refuse("SCHEMA_ADDED", &at, "items may have been anything")?,
        };
        Ok(takes)
    }
}

/// The schemas of the first items.
fn tuple(side: Side<'_>) -> &[Value] {
    side.list("prefixItems").or_else(|| side.list("items")).map(Vec::as_slice).unwrap_or_default()
}

/// The schema of all items, or of those behind the first.
fn rest(side: Side<'_>) -> Option<&Value> {
    match side.get("items") {
        Some(Value::Array(_)) => side.get("additionalItems"),
        items => items,
    }
}
