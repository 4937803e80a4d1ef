//! Types, constants, texts and numbers.

use serde_json::Value;

use super::{Comparison, Side};

impl<'a> Comparison<'a> {
    pub(super) fn types(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let Some(now) = types_of(new) else { return Ok(true) };
        // Alternatives of before are compared one by one where they are.
        let before = types_of(old).or_else(|| types_of_choices(old));
        let Some(before) = before else {
            return self.refuse("TYPE_NARROWED", &format!("{at}/type"), "anything was taken, and not all is");
        };
        let missing: Vec<&str> = before
            .into_iter()
            .filter(|kind| !(now.contains(kind) || *kind == "integer" && now.contains(&"number")))
            .collect();
        if missing.is_empty() {
            return Ok(true);
        }
        let rule = if missing == ["number"] && now.contains(&"integer") { "TYPE_NARROWED" } else { "TYPE_CHANGED" };
        self.refuse(rule, &format!("{at}/type"), &format!("{} was taken, and is not", missing.join(", ")))
    }

    pub(super) fn constants(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let values = |side: Side<'a>| match (side.get("const"), side.list("enum")) {
            (Some(value), _) => Some(vec![value]),
            (None, Some(list)) => Some(list.iter().collect::<Vec<_>>()),
            (None, None) => None,
        };
        let Some(now) = values(new) else { return Ok(true) };
        let Some(before) = values(old) else {
            // Alternatives may be constants as well.
            let choices = old.list("oneOf").or_else(|| old.list("anyOf"));
            self.budget.spend(choices.map_or(0, Vec::len) * now.len())?;
            if choices.is_some_and(|choices| choices.iter().all(|choice| is_constant_of(choice, &now))) {
                return Ok(true);
            }
            return self.refuse("ENUM_ARRAY_CHANGED", &format!("{at}/enum"), "only some values are taken any more");
        };
        self.budget.spend(before.len() * now.len())?;
        match before.into_iter().find(|value| !now.contains(value)) {
            None => Ok(true),
            Some(value) => {
                self.refuse("ENUM_ARRAY_NARROWED", &format!("{at}/enum"), &format!("{value} is not taken any more"))
            }
        }
    }

    pub(super) fn strings(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = self.at_most(old, new, "maxLength", "MAX_LENGTH", at)?;
        takes &= self.at_least(old, new, "minLength", "MIN_LENGTH", at)?;
        match (old.get("pattern"), new.get("pattern")) {
            (None, Some(_)) => takes = self.refuse("PATTERN_ADDED", &format!("{at}/pattern"), "the pattern is new")?,
            (Some(before), Some(now)) if before != now => {
                takes = self.refuse("PATTERN_CHANGED", &format!("{at}/pattern"), "the pattern is another one")?;
            }
            _ => {}
        }
        Ok(takes)
    }

    pub(super) fn numbers(&mut self, old: Side<'a>, new: Side<'a>, at: &str) -> Result<bool, String> {
        let mut takes = self.at_most(old, new, "maximum", "MAXIMUM", at)?;
        takes &= self.at_least(old, new, "minimum", "MINIMUM", at)?;
        takes &= self.at_most(old, new, "exclusiveMaximum", "MAXIMUM_EXCLUSIVE", at)?;
        takes &= self.at_least(old, new, "exclusiveMinimum", "MINIMUM_EXCLUSIVE", at)?;
        // The fourth draft says whether the bound itself is out.
        for key in ["exclusiveMaximum", "exclusiveMinimum"] {
            let is_out = |side: Side<'a>| side.get(key).and_then(Value::as_bool).unwrap_or(false);
            if is_out(new) && !is_out(old) {
                takes = self.refuse("BOUND_EXCLUDED", &format!("{at}/{key}"), "the bound is not taken any more")?;
            }
        }
        let step = |side: Side<'a>| side.get("multipleOf").and_then(Value::as_f64);
        match (step(old), step(new)) {
            (None, Some(_)) => {
                takes = self.refuse("MULTIPLE_OF_ADDED", &format!("{at}/multipleOf"), "only multiples are taken")?;
            }
            (Some(before), Some(now)) if (before / now).fract() != 0.0 => {
                let why = format!("multiples of {before} are not all multiples of {now}");
                takes = self.refuse("MULTIPLE_OF_CHANGED", &format!("{at}/multipleOf"), &why)?;
            }
            _ => {}
        }
        Ok(takes)
    }

    /// An upper bound may go, or rise.
    pub(super) fn at_most(
        &mut self,
        old: Side<'a>,
        new: Side<'a>,
        key: &str,
        rule: &str,
        at: &str,
    ) -> Result<bool, String> {
        let Some(now) = new.get(key).and_then(Value::as_f64) else { return Ok(true) };
        let at = format!("{at}/{key}");
        match old.get(key).and_then(Value::as_f64) {
            None => self.refuse(&format!("{rule}_ADDED"), &at, &format!("at most {now} is new")),
            Some(before) if before > now => {
                self.refuse(&format!("{rule}_DECREASED"), &at, &format!("at most {before} was taken, and now {now}"))
            }
            Some(_) => Ok(true),
        }
    }

    /// A lower bound may go, or fall.
    pub(super) fn at_least(
        &mut self,
        old: Side<'a>,
        new: Side<'a>,
        key: &str,
        rule: &str,
        at: &str,
    ) -> Result<bool, String> {
        let Some(now) = new.get(key).and_then(Value::as_f64) else { return Ok(true) };
        let at = format!("{at}/{key}");
        match old.get(key).and_then(Value::as_f64) {
            None => self.refuse(&format!("{rule}_ADDED"), &at, &format!("at least {now} is new")),
            Some(before) if before < now => {
                self.refuse(&format!("{rule}_INCREASED"), &at, &format!("at least {before} was taken, and now {now}"))
            }
            Some(_) => Ok(true),
        }
    }
}

/// Keywords by which a schema that names no type is of one.
const TELLING: [(&str, &[&str]); 4] = [
    (
        "object",
        &[
            "additionalProperties",
            "dependencies",
            "maxProperties",
            "minProperties",
            "patternProperties",
            "properties",
            "propertyNames",
            "required",
        ],
    ),
    ("array", &["additionalItems", "contains", "items", "maxItems", "minItems", "prefixItems", "uniqueItems"]),
    ("string", &["maxLength", "minLength", "pattern"]),
    ("number", &["exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"]),
];

/// The types that a schema takes. `None`: any.
fn types_of(side: Side<'_>) -> Option<Vec<&str>> {
    match side.get("type") {
        Some(Value::String(kind)) => Some(vec![kind]),
        Some(Value::Array(kinds)) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => {
            let has = |keys: &&[&str]| keys.iter().any(|key| side.get(key).is_some());
            let told: Vec<&str> = TELLING.iter().filter(|(_, keys)| has(keys)).map(|(kind, _)| *kind).collect();
            match side.get("const").map(std::slice::from_ref).or(side.list("enum").map(Vec::as_slice)) {
                Some(values) => Some(values.iter().map(type_of).collect()),
                None => (!told.is_empty()).then_some(told),
            }
        }
    }
}

/// Those of its alternatives, if each of them has some.
fn types_of_choices(side: Side<'_>) -> Option<Vec<&str>> {
    let choices = side.list("anyOf").or_else(|| side.list("oneOf"))?;
    let mut all = Vec::new();
    for choice in choices {
        all.extend(types_of(side.at(choice))?);
    }
    Some(all)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_constant_of(schema: &Value, values: &[&Value]) -> bool {
    let list = schema.get("const").map(std::slice::from_ref);
    let list = list.or_else(|| schema.get("enum").and_then(Value::as_array).map(Vec::as_slice));
    list.is_some_and(|list| list.iter().all(|value| values.contains(&value)))
}
