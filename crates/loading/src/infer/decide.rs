//! From evidence to a type, and the words that say why.

use arrow::datatypes::DataType;

use crate::names::counted;

use super::cell::{DOUBLE_DIGITS, NAN_WORDS, NULL_WORDS};
use super::dates::DateOrder;
use super::evidence::{Evidence, First, Kinds, OrderEvidence};
use super::types::{self, DECIMAL_DIGITS_MAX, TEXT, TIMESTAMP, timestamptz, to_sql};

const NUMBERS: Kinds = Kinds::INT.and(Kinds::LONG).and(Kinds::DOUBLE).and(MARKED);
const NOTHING: Kinds = Kinds::EMPTY.and(Kinds::NULL);
/// Numbers with a mark that may separate thousands or a fraction.
const MARKED: Kinds = Kinds::COMMA.and(Kinds::POINT_GROUPS).and(Kinds::COMMA_GROUPS);
/// Beside these a comma alone is no decimal sign.
const NO_DECIMAL_COMMA: Kinds = Kinds::DOUBLE.and(Kinds::POINT_GROUPS).and(Kinds::COMMA_GROUPS);
const MOMENTS: Kinds = Kinds::DATE.and(Kinds::STAMP).and(Kinds::STAMP_ZONE);

/// How a cell of a decided column is to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CellForm {
    /// Bit `n`: `NULL_WORDS[n]` means missing.
    pub null_words: u16,
    pub order: DateOrder,
    /// `12,5` is twelve and a half.
    pub comma: bool,
    /// What sets thousands apart.
    pub thousands: Option<u8>,
    /// `20150131` is a date.
    pub compact: bool,
}

/// A column's type, how its cells are read, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    pub data_type: DataType,
    pub form: CellForm,
    pub remarks: Vec<String>,
}

/// What the columns of one file say together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Surroundings {
    /// The order taken where a column alone does not say, and the reason in words.
    pub order: DateOrder,
    pub order_reason: &'static str,
    /// The user listed the words that mean missing, so none is known beside them.
    pub own_nulls: bool,
    /// The comma is the decimal sign in a column, beyond doubt.
    pub commas: bool,
}

impl Surroundings {
    /// Looks at all columns of a table for one that shows the order of day and month.
    pub(crate) fn of<'a>(columns: impl Iterator<Item = &'a Evidence> + Clone, own_nulls: bool) -> Self {
        let shown: Vec<DateOrder> = columns.clone().filter_map(|column| shown_order(&column.order)).collect();
        let any = |order: DateOrder| shown.contains(&order);
        let (order, order_reason) = match (any(DateOrder::DayFirst), any(DateOrder::MonthFirst)) {
            (true, false) => (DateOrder::DayFirst, "as in another column of this table"),
            (false, true) => (DateOrder::MonthFirst, "as in another column of this table"),
            _ if columns.clone().any(|column| column.order.half_days) => {
                (DateOrder::MonthFirst, "because its times have AM and PM, though no date proves it")
            }
            _ => (DateOrder::DayFirst, "which is the more common order, though no date proves it"),
        };
        // A number within texts says nothing of the others.
        let is_of_numbers = |column: &&Evidence| column.kinds.without(NOTHING).within(NUMBERS);
        let commas = columns.into_iter().filter(is_of_numbers).filter_map(Marks::of).any(|marks| marks.comma);
        Self { order, order_reason, own_nulls, commas }
    }
}

/// The order that a column shows by itself.
fn shown_order(order: &OrderEvidence) -> Option<DateOrder> {
    match (&order.day_first, &order.month_first) {
        (Some(_), None) => Some(DateOrder::DayFirst),
        (None, Some(_)) => Some(DateOrder::MonthFirst),
        (Some(_), Some(_)) => None,
        // Always the first of a month is far likelier than always January, on many days.
        (None, None) if order.first_numbers == 1 << 1 && order.second_numbers.count_ones() > 2 => {
            Some(DateOrder::DayFirst)
        }
        (None, None) if order.second_numbers == 1 << 1 && order.first_numbers.count_ones() > 2 => {
            Some(DateOrder::MonthFirst)
        }
        (None, None) => None,
    }
}

fn is_contradictory(order: &OrderEvidence) -> bool {
    order.day_first.is_some() && order.month_first.is_some()
}

/// Decides the type of a column from all its cells. `name` is the one in the table.
pub(crate) fn decide(name: &str, evidence: &Evidence, around: &Surroundings) -> Decision {
    let seen = evidence.kinds.without(NOTHING);
    let words_are_text = around.own_nulls && evidence.null_words & !NAN_WORDS != 0;
    if seen.is_empty() || words_are_text {
        let remarks = if seen.is_empty() && evidence.null_cells == 0 {
            vec!["no cell has a value".into()]
        } else {
            kept_words(evidence).into_iter().collect()
        };
        return Decision { data_type: TEXT, form: CellForm::default(), remarks };
    }
    let mut form = CellForm::default();
    let mut remarks = Vec::new();
    let data_type = if seen.within(NUMBERS) {
        number(name, seen, evidence, around, &mut form, &mut remarks)
    } else if seen.within(Kinds::BOOL) {
        DataType::Boolean
    } else if seen.within(MOMENTS) {
        moment(seen, evidence, around, &mut form, &mut remarks)
    } else {
        remarks.extend(text_reason(seen, evidence));
        TEXT
    };
    let data_type = match data_type {
        DataType::Int64 if around.own_nulls && evidence.null_words != 0 => DataType::Float64,
        other => other,
    };
    if data_type == TEXT {
        remarks.extend(kept_words(evidence));
    } else if !around.own_nulls {
        form.null_words = missing_words(&data_type, evidence);
        remarks.extend(missing_remark(form.null_words, evidence));
    }
    Decision { data_type, form, remarks }
}

/// How cells are read when the type is given: by the user, or by the table that they are added to.
pub(crate) fn form_for(data_type: &DataType, evidence: &Evidence, around: &Surroundings) -> CellForm {
    let every_word = u16::MAX >> (16 - NULL_WORDS.len());
    let null_words = match data_type {
        _ if around.own_nulls || types::is_text(data_type) => 0,
        DataType::Float32 | DataType::Float64 => every_word & !NAN_WORDS,
        _ => every_word,
    };
    let whole = data_type.is_integer() || matches!(data_type, DataType::Decimal128(_, 0));
    let marks = match Marks::of(evidence) {
        // As a whole number `1.250` can be one thing only.
        None if may_be_thousands(evidence) && (around.commas || whole) => Marks::POINTS,
        found => found.unwrap_or_default(),
    };
    CellForm {
        null_words,
        order: shown_order(&evidence.order).unwrap_or(around.order),
        comma: marks.comma,
        thousands: marks.thousands,
        compact: true,
    }
}

/// Whether each number with a point is one such as `1.250`: a quarter more than one, or than a thousand.
fn may_be_thousands(evidence: &Evidence) -> bool {
    evidence.kinds.has(Kinds::DOUBLE) && !evidence.loose_double && evidence.comma_is_free
}

fn number(
    name: &str,
    seen: Kinds,
    evidence: &Evidence,
    around: &Surroundings,
    form: &mut CellForm,
    remarks: &mut Vec<String>,
) -> DataType {
    if seen.has(MARKED) {
        let Some(marks) = Marks::of(evidence).filter(|marks| marks.thousands.is_none() || !is_code_name(name)) else {
            remarks.extend(text_reason(seen, evidence));
            return TEXT;
        };
        (form.comma, form.thousands) = (marks.comma, marks.thousands);
        remarks.push(marks.remark().into());
        let is_whole = marks.thousands == Some(b',') && !evidence.grouped_fraction && !seen.has(Kinds::DOUBLE);
        return if is_whole && !seen.has(Kinds::LONG) { DataType::Int64 } else { DataType::Float64 };
    }
    if may_be_thousands(evidence) && around.commas && !seen.has(Kinds::LONG) {
        (form.comma, form.thousands) = (Marks::POINTS.comma, Marks::POINTS.thousands);
        remarks.push("points set thousands apart, since the comma is the decimal sign in another column".into());
        return DataType::Int64;
    }
    if seen.has(Kinds::DOUBLE) {
        if let Some(first) = evidence.first(Kinds::DOUBLE).filter(|_| may_be_thousands(evidence)) {
            remarks.push(format!(
                "the point of `{}` in line {} is read as the decimal sign, as are all; \
                 bigint, said with --type, reads points that set thousands apart",
                first.text, first.line
            ));
        }
        remarks.extend(lost_digits(evidence));
        return DataType::Float64;
    }
    if is_code_name(name) {
        remarks.push("text, because a column of this name holds codes, not quantities".into());
        return TEXT;
    }
    if seen.has(Kinds::LONG) {
        remarks.push(format!("has numbers of {} digits", evidence.long_digits_max));
        return if evidence.long_digits_max <= usize::from(DECIMAL_DIGITS_MAX) {
            DataType::Decimal128(DECIMAL_DIGITS_MAX, 0)
        } else {
            TEXT
        };
    }
    if !evidence.loose_int && name.split('_').any(|word| word == "date") {
        form.compact = true;
        remarks.push(
            "numbers such as 20150131 are dates here, because of the name and because all of them are valid".into(),
        );
        return DataType::Date32;
    }
    DataType::Int64
}

/// That a double has not all digits of a fraction, and what type has.
fn lost_digits(evidence: &Evidence) -> Option<String> {
    let long = &evidence.long_fractions;
    let first = long.lossy.as_ref()?;
    let fits = long.whole_digits_max + long.fraction_digits_max <= usize::from(DECIMAL_DIGITS_MAX);
    let type_name = if fits {
        to_sql(&DataType::Decimal128(DECIMAL_DIGITS_MAX, i8::try_from(long.fraction_digits_max).unwrap_or_default()))
    } else {
        to_sql(&TEXT)
    };
    Some(format!(
        "a double keeps {DOUBLE_DIGITS} of the digits of `{}` in line {}; {type_name}, said with --type, keeps all",
        first.text, first.line
    ))
}

/// What the commas and points of a column's numbers separate.
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    comma: bool,
    thousands: Option<u8>,
}

impl Marks {
    const POINTS: Self = Self { comma: true, thousands: Some(b'.') };

    /// `None` if the cells do not say, or contradict each other: `1,250` is one and a quarter, or more than a thousand.
    fn of(evidence: &Evidence) -> Option<Self> {
        let seen = evidence.kinds;
        // `212,646,917` may be a list, and `1,250` beside `0.5` a slip where the comma is the decimal sign.
        let commas_are_thousands = (seen.has(Kinds::COMMA_GROUPS)
            && (evidence.short_group || evidence.grouped_fraction))
            || (seen.has(Kinds::COMMA) && evidence.loose_point && !evidence.comma_is_free);
        // Points alone may also be those of an address.
        let points_are_thousands = seen.has(Kinds::POINT_GROUPS)
            && (evidence.grouped_fraction || (evidence.loose_comma && evidence.comma_is_free));
        let is_contradicted = seen.has(Kinds::POINT_GROUPS) && seen.has(Kinds::COMMA_GROUPS);
        match (commas_are_thousands, points_are_thousands) {
            _ if is_contradicted => None,
            (true, _) if !evidence.loose_comma && !seen.has(Kinds::POINT_GROUPS) => {
                Some(Self { comma: false, thousands: Some(b',') })
            }
            (false, true) if !evidence.loose_point => Some(Self { comma: true, thousands: Some(b'.') }),
            (false, false) if evidence.comma_is_free && evidence.loose_comma && !seen.has(NO_DECIMAL_COMMA) => {
                Some(Self { comma: true, thousands: None })
            }
            _ => None,
        }
    }

    const fn remark(self) -> &'static str {
        match (self.comma, self.thousands) {
            (true, Some(_)) => "points set thousands apart, and the comma is the decimal sign",
            (_, Some(_)) => "commas set thousands apart",
            _ => "the comma is the decimal sign",
        }
    }
}

/// Codes that are made of digits and must keep leading zeros, though this file may have none.
fn is_code_name(name: &str) -> bool {
    const CODES: [&str; 12] = [
        "zip",
        "zipcode",
        "zip_code",
        "postcode",
        "postal_code",
        "postalcode",
        "phone",
        "phonenumber",
        "phone_number",
        "telephone",
        "fax",
        "mobile_number",
    ];
    CODES.contains(&name)
}

fn moment(
    seen: Kinds,
    evidence: &Evidence,
    around: &Surroundings,
    form: &mut CellForm,
    remarks: &mut Vec<String>,
) -> DataType {
    if is_contradictory(&evidence.order) {
        if let (Some(day), Some(month)) = (&evidence.order.day_first, &evidence.order.month_first) {
            remarks.push(format!(
                "text, because `{}` in line {} is day first and `{}` in line {} is month first",
                day.text, day.line, month.text, month.line
            ));
        }
        return TEXT;
    }
    if seen.has(Kinds::STAMP_ZONE) && seen.has(Kinds::DATE.and(Kinds::STAMP)) {
        remarks.push("text, because some times have a zone and some have none".into());
        return TEXT;
    }
    form.order = shown_order(&evidence.order).unwrap_or(around.order);
    remarks.extend(order_remark(evidence, around));
    if evidence.finer {
        remarks.push("times are cut to microseconds".into());
    }
    if seen.has(Kinds::STAMP_ZONE) {
        timestamptz()
    } else if seen.has(Kinds::STAMP) {
        TIMESTAMP
    } else {
        DataType::Date32
    }
}

/// Which order was taken and why, if any cell leaves a choice.
pub(crate) fn order_remark(evidence: &Evidence, around: &Surroundings) -> Option<String> {
    let order = &evidence.order;
    let example = order.example.as_ref()?;
    let proof = order.day_first.as_ref().or(order.month_first.as_ref());
    let shown = shown_order(order);
    let first = match shown.unwrap_or(around.order) {
        DateOrder::DayFirst => "day",
        DateOrder::MonthFirst => "month",
    };
    let reason = match (shown, proof) {
        (Some(_), Some(proof)) => format!("because {} is in line {}", proof.text, proof.line),
        (Some(shown), None) => {
            let place = if shown == DateOrder::DayFirst { "first" } else { "second" };
            format!("because the {place} number is always 1, as in {}, and the other varies", example.text)
        }
        (None, _) => format!("{}: {} is in line {}", around.order_reason, example.text, example.line),
    };
    Some(format!("dates are {first} first, {reason}"))
}

fn missing_words(data_type: &DataType, evidence: &Evidence) -> u16 {
    match data_type {
        DataType::Float64 => evidence.null_words & !NAN_WORDS,
        _ => evidence.null_words,
    }
}

fn missing_remark(mask: u16, evidence: &Evidence) -> Option<String> {
    let words: Vec<String> = NULL_WORDS
        .iter()
        .enumerate()
        .filter(|(place, _)| mask & (1 << place) != 0)
        .map(|(_, word)| format!("`{word}`"))
        .collect();
    let (last, rest) = words.split_last()?;
    let verb = if rest.is_empty() { "means" } else { "mean" };
    let list = if rest.is_empty() { last.clone() } else { format!("{} and {last}", rest.join(", ")) };
    Some(match evidence.null_words & !mask {
        0 => format!("{list} {verb} missing ({})", counted(evidence.null_cells, "cell")),
        _ => format!("{list} {verb} missing"),
    })
}

/// Words that hardly stand for themselves, and are kept in a column of text all the same.
fn kept_words(evidence: &Evidence) -> Option<String> {
    // `-`, `?` and `None` are values to many, and `NaN` is a number.
    const HARDLY_MEANT: [&str; 8] = ["NA", "N/A", "n/a", "null", "NULL", "Null", "\\N", "#N/A"];
    let kept = || {
        let words = NULL_WORDS.iter().zip(evidence.words);
        words.filter(|(word, count)| *count > 0 && HARDLY_MEANT.contains(word))
    };
    let words: Vec<String> = kept().map(|(word, _)| format!("`{word}`")).collect();
    let (last, rest) = words.split_last()?;
    let cells = counted(kept().map(|(_, count)| count).sum(), "cell");
    let list: Vec<&str> = kept().map(|(word, _)| *word).collect();
    let list = list.join(",");
    Some(match rest {
        [] => format!("{last} is kept as text ({cells}); --nulls {list} makes it NULL"),
        _ => format!("{} and {last} are kept as text ({cells}); --nulls {list} makes them NULL", rest.join(", ")),
    })
}

/// Why a column that is partly numbers, dates or truth values became text.
fn text_reason(seen: Kinds, evidence: &Evidence) -> Option<String> {
    let at = |first: &First| format!("`{}` in line {}", first.text, first.line);
    if let Some(first) = evidence.first(Kinds::PADDED)
        && !seen.has(Kinds::TEXT)
    {
        return Some(format!("text, because leading zeros and signs belong to it: {}", at(first)));
    }
    if seen.has(Kinds::TEXT) {
        // A few numbers among words are no surprise to anybody.
        let first = evidence.first(Kinds::TEXT)?;
        return (seen != Kinds::TEXT && evidence.cells > 50).then(|| format!("text, because of {}", at(first)));
    }
    let firsts: Vec<String> = [
        Kinds::BOOL,
        Kinds::INT,
        Kinds::LONG,
        Kinds::DOUBLE,
        Kinds::COMMA,
        Kinds::POINT_GROUPS,
        Kinds::COMMA_GROUPS,
        Kinds::DATE,
        Kinds::STAMP,
    ]
    .into_iter()
    .filter(|kind| seen.has(*kind))
    .filter_map(|kind| evidence.first(kind).map(at))
    .take(2)
    .collect();
    Some(match firsts.as_slice() {
        [only] => format!("text, because {only} can be read in more than one way"),
        _ => format!("text, because it holds both {}", firsts.join(" and ")),
    })
}
