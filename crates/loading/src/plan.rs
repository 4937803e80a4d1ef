//! From what the columns of several files have shown to the columns of one table.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use polder_capability::{ColumnChoice, LoadOptions};
use polder_types::limits::COLUMNS_MAX;
use polder_types::{Error, Result};

use crate::error;
use crate::format::json::evidence::JsonEvidence;
use crate::format::{ColumnEvidence, GuessedColumn, Origin, Target};
use crate::infer::dates::DateOrder;
use crate::infer::decide::{CellForm, Surroundings, decide, form_for, order_remark};
use crate::infer::evidence::{Evidence, Kinds};
use crate::infer::types::{self, wider};
use crate::names;
use crate::text::column::ColumnPlan;

/// Renamed columns that are told one by one.
const RENAMED_SHOWN: usize = 20;

const OVERRULED: &str = "it is in the file and in the name of its folder, whose value is taken";

/// A table's columns, and for each file where they come from.
#[derive(Debug)]
pub(crate) struct TablePlan {
    pub schema: SchemaRef,
    pub columns: Vec<ColumnPlan>,
    /// For each file, in order: the place of each column in it.
    places: Vec<Vec<Option<usize>>>,
    /// Words about single columns: the name in the table, and what was decided.
    pub column_remarks: Vec<(String, String)>,
    pub remarks: Vec<String>,
}

impl TablePlan {
    pub(crate) fn targets(&self, file: usize) -> Vec<Target> {
        let places = self.places.get(file).map_or(&[][..], Vec::as_slice);
        let place = |column: usize| places.get(column).copied().flatten();
        self.columns
            .iter()
            .enumerate()
            .map(|(column, plan)| Target { plan: plan.clone(), place: place(column) })
            .collect()
    }

    /// The places of the columns that a file has not.
    pub(crate) fn lacking(&self, file: usize) -> Vec<usize> {
        let places = self.places.get(file).map_or(&[][..], Vec::as_slice);
        (0..self.columns.len()).filter(|column| places.get(*column).copied().flatten().is_none()).collect()
    }

    /// Takes over the types as the table keeps them.
    pub(crate) fn adopt(&mut self, schema: &SchemaRef) {
        for (column, field) in self.columns.iter_mut().zip(schema.fields()) {
            column.data_type = field.data_type().clone();
            column.required = !field.is_nullable();
        }
        self.schema = schema.clone();
    }

    /// All remarks as one list.
    pub(crate) fn all_remarks(&self) -> Vec<String> {
        let about = self.column_remarks.iter().map(|(column, remark)| format!("`{column}`: {remark}"));
        self.remarks.iter().cloned().chain(about).collect()
    }
}

/// A type that the user wants, with the order of day and month if it was said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WantedType {
    pub data_type: DataType,
    pub order: Option<DateOrder>,
}

/// Reads `bigint`, `date`, `date dmy`, `timestamp mdy`, ….
pub(crate) fn wanted_type(text: &str) -> Result<WantedType> {
    let lower = text.trim().to_ascii_lowercase();
    let (name, order) = match lower.rsplit_once([' ', '_']) {
        Some((name, "dmy")) => (name, Some(DateOrder::DayFirst)),
        Some((name, "mdy")) => (name, Some(DateOrder::MonthFirst)),
        _ => (lower.as_str(), None),
    };
    Ok(WantedType { data_type: types::from_sql(name)?, order })
}

/// The zone of times that name none.
struct Zone<'a> {
    name: &'a str,
    /// `None`: UTC.
    clocks: Option<Tz>,
}

impl<'a> Zone<'a> {
    /// # Errors
    /// `InvalidInput` (22023) for a name of none.
    fn of(options: &'a LoadOptions) -> Result<Self> {
        let name = options.copy.as_ref().and_then(|copy| copy.time_zone.as_deref()).unwrap_or("UTC");
        if name == "UTC" {
            return Ok(Self { name, clocks: None });
        }
        let clocks = name.parse::<Tz>().map_err(|error| {
            Error::invalid(format!("time zone {name:?} not recognized")).with_code("22023").with_source(error)
        })?;
        Ok(Self { name, clocks: Some(clocks) })
    }
}

/// A column under one name, from all files that have it.
struct Gathered {
    name: String,
    source: String,
    wanted: Option<WantedType>,
    /// The user has named it; what the file calls it counts no more.
    renamed: bool,
    /// No file has it itself: it is in the names of folders.
    of_folders: bool,
    /// A file has it too, and the name of its folder counts.
    overruled: bool,
    usual: Option<DataType>,
    evidence: Vec<ColumnEvidence>,
    places: Vec<Option<usize>>,
}

/// Decides the columns. `existing`: the table that the rows are added to.
pub(crate) fn plan(
    files: &[Vec<GuessedColumn>],
    options: &LoadOptions,
    existing: Option<&SchemaRef>,
    labels: &[String],
) -> Result<TablePlan> {
    let gathered = gather(files, options)?;
    let mut remarks = Vec::new();
    let own_nulls: Option<Arc<[Vec<u8>]>> =
        options.nulls.as_ref().map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect());
    let cells: Vec<Evidence> = gathered.iter().filter_map(merged_cells).collect();
    let around = Surroundings::of(cells.iter(), own_nulls.is_some());
    let zone = Zone::of(options)?;
    let mut column_remarks = Vec::new();
    let gathered = match existing {
        Some(schema) => {
            let (arranged, left_out) = arrange(gathered, schema, labels)?;
            remarks.extend(left_out);
            arranged
        }
        None => gathered.into_iter().map(|column| (column, None)).collect(),
    };
    remarks.extend(lacking_remark(gathered.iter().map(|(column, _)| column)));
    let overruled = gathered.iter().filter(|(column, _)| column.overruled);
    column_remarks.extend(overruled.map(|(column, _)| (column.name.clone(), OVERRULED.to_owned())));
    let mut columns = Vec::with_capacity(gathered.len());
    let mut fields: Vec<Field> = Vec::with_capacity(gathered.len());
    let mut places = vec![Vec::with_capacity(gathered.len()); files.len()];
    for (column, field) in gathered {
        let given = field.as_ref().map(|field: &Field| field.data_type().clone());
        let (data_type, form, about) = settle(&column, given, &around, &zone)?;
        column_remarks.extend(about.into_iter().map(|remark| (column.name.clone(), remark)));
        for (file, place) in places.iter_mut().zip(&column.places) {
            file.push(*place);
        }
        fields.push(field.clone().unwrap_or_else(|| Field::new(&column.name, data_type.clone(), true)));
        columns.push(ColumnPlan {
            name: column.name,
            source: column.source,
            data_type,
            form,
            zone: zone.clocks,
            own_nulls: own_nulls.clone(),
            empty_is_text: false,
            rounds: options.copy.is_some(),
            required: field.is_some_and(|field| !field.is_nullable()),
        });
    }
    remarks.extend(renamed_remark(&columns));
    let schema = existing.cloned().unwrap_or_else(|| Arc::new(Schema::new(fields)));
    Ok(TablePlan { schema, columns, places, column_remarks, remarks })
}

fn choice<'a>(options: &'a LoadOptions, source: &str) -> Option<&'a ColumnChoice> {
    options.columns.iter().find(|choice| choice.source == source)
}

/// Names the columns of each file and puts equal names together.
fn gather(files: &[Vec<GuessedColumn>], options: &LoadOptions) -> Result<Vec<Gathered>> {
    refuse_unknown_choices(files, options)?;
    let mut gathered: Vec<Gathered> = Vec::new();
    for (file, guessed) in files.iter().enumerate() {
        let sources: Vec<&str> = guessed.iter().map(|column| column.source.as_str()).collect();
        let mut names = names::columns(&sources);
        rename(&mut names, &sources, options)?;
        for (place, (column, name)) in guessed.iter().zip(names).enumerate() {
            let choice = choice(options, &column.source);
            if choice.is_some_and(|choice| choice.skip) || column.origin == Origin::LeftOut {
                continue;
            }
            let known = gathered.iter().position(|known| known.name == name);
            let entry = match known.and_then(|known| gathered.get_mut(known)) {
                Some(entry) => entry,
                None => {
                    let wanted = choice.and_then(|choice| choice.data_type.as_deref()).map(wanted_type).transpose()?;
                    gathered.push(Gathered {
                        name,
                        source: column.source.clone(),
                        wanted,
                        renamed: choice.is_some_and(|choice| choice.name.is_some()),
                        of_folders: true,
                        overruled: false,
                        usual: None,
                        evidence: Vec::new(),
                        places: vec![None; files.len()],
                    });
                    let last = gathered.len() - 1;
                    &mut gathered[last]
                }
            };
            entry.of_folders &= column.origin == Origin::Folder;
            entry.overruled |= column.origin == Origin::FileAndFolder;
            entry.usual = entry.usual.take().or_else(|| column.usual.clone());
            entry.evidence.push(column.evidence.clone());
            entry.places[file] = Some(place);
        }
    }
    if gathered.is_empty() {
        return Err(Error::invalid("no column is left to load").with_hint("do not skip them all"));
    }
    if gathered.len() > COLUMNS_MAX {
        return Err(error::too_large(
            format!("{} columns are more than {COLUMNS_MAX}", gathered.len()),
            "load the files apart",
        ));
    }
    Ok(gathered)
}

/// About columns that some files have, and some have not.
fn lacking_remark<'a>(columns: impl Iterator<Item = &'a Gathered>) -> Option<String> {
    let lacking: Vec<String> = columns
        .filter(|column| column.places.contains(&None) && column.places.iter().any(Option::is_some))
        .map(|column| format!("`{}`", column.name))
        .take(RENAMED_SHOWN)
        .collect();
    (!lacking.is_empty()).then(|| format!("not every file has {}: it is missing there", lacking.join(", ")))
}

fn refuse_unknown_choices(files: &[Vec<GuessedColumn>], options: &LoadOptions) -> Result<()> {
    for choice in &options.columns {
        let known = files.iter().flatten().any(|column| column.source == choice.source);
        if !known {
            let all: Vec<&str> =
                files.iter().flatten().map(|column| column.source.as_str()).take(RENAMED_SHOWN).collect();
            return Err(Error::invalid(format!("there is no column {:?} to correct", choice.source))
                .with_hint(format!("the file has {}", all.join(", "))));
        }
    }
    Ok(())
}

/// Gives columns the names that the user wants.
fn rename(names: &mut [String], sources: &[&str], options: &LoadOptions) -> Result<()> {
    for place in 0..names.len() {
        let Some(wanted) = choice(options, sources[place]).and_then(|choice| choice.name.as_deref()) else { continue };
        let safe = names::safe(wanted).ok_or_else(|| Error::invalid(format!("{wanted:?} is no name for a column")))?;
        let taken = names.iter().enumerate().any(|(other, name)| other != place && *name == safe);
        if taken {
            return Err(
                Error::invalid(format!("two columns would be called {safe:?}")).with_hint("choose another name")
            );
        }
        names[place] = safe;
    }
    Ok(())
}

/// Columns with those of the table that they are added to.
type Arranged = Vec<(Gathered, Option<Field>)>;

/// Puts the columns in the order of the table that they are added to. What folders are named after and the table lacks is
/// left out, with a remark: how files are laid out is no part of them.
fn arrange(gathered: Vec<Gathered>, schema: &SchemaRef, labels: &[String]) -> Result<(Arranged, Option<String>)> {
    let files = gathered.first().map_or(0, |column| column.places.len());
    let mut left = gathered;
    let mut arranged = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        // A name that the table has letter by letter comes first: `A` and `a` may be two columns.
        let exactly = left.iter().position(|column| !column.renamed && column.source == *field.name());
        let found = exactly.or_else(|| {
            left.iter().position(|column| column.name == *field.name() || column.name == field.name().to_lowercase())
        });
        let column = match found {
            Some(place) => Gathered { name: field.name().clone(), ..left.remove(place) },
            None => Gathered {
                name: field.name().clone(),
                source: field.name().clone(),
                wanted: None,
                renamed: false,
                of_folders: false,
                overruled: false,
                usual: None,
                evidence: vec![],
                places: vec![None; files],
            },
        };
        arranged.push((column, Some(field.as_ref().clone())));
    }
    let source = labels.first().map_or("the file", String::as_str);
    // Whoever gives a folder's column another name wants it: then it is not left out in silence.
    let (of_folders, left): (Vec<Gathered>, Vec<Gathered>) =
        left.into_iter().partition(|column| column.of_folders && !column.renamed);
    if left.is_empty() && arranged.iter().any(|(column, _)| !column.evidence.is_empty()) {
        let names: Vec<String> =
            of_folders.iter().map(|column| format!("`{}=…`", column.source)).take(RENAMED_SHOWN).collect();
        let remark =
            format!("the table has no column for the values of folders {}: they are left out", names.join(", "));
        return Ok((arranged, (!names.is_empty()).then_some(remark)));
    }
    let new: Vec<String> = left.iter().map(|column| format!("`{}`", column.source)).take(RENAMED_SHOWN).collect();
    Err(Error::invalid(format!("{source} has columns that the table has not: {}", new.join(", ")))
        .with_code("42703")
        .with_hint("leave them out, rename them to the table's, add them with ALTER TABLE, or load with replace"))
}

/// What cells of all files have shown, if any file has cells there.
fn merged_cells(column: &Gathered) -> Option<Evidence> {
    let mut cells = column.evidence.iter().filter_map(|evidence| match evidence {
        ColumnEvidence::Cells(cells) => Some(cells.as_ref().clone()),
        _ => None,
    });
    let mut merged = cells.next()?;
    cells.for_each(|more| merged.merge(more));
    Some(merged)
}

/// The type of a column, how its cells are read, and why.
type Settled = (DataType, CellForm, Vec<String>);

/// The type of a column: the table's, the user's, the format's, or what the values show.
fn settle(column: &Gathered, given: Option<DataType>, around: &Surroundings, zone: &Zone<'_>) -> Result<Settled> {
    refuse_foreign_types(column)?;
    let cells = merged_cells(column);
    let said = given.or_else(|| column.wanted.as_ref().map(|wanted| wanted.data_type.clone()));
    if let Some(data_type) = said.or_else(|| column.usual.clone()) {
        return Ok(settle_given(column, data_type, cells.as_ref(), around, zone));
    }
    let mut remarks = Vec::new();
    let mut form = CellForm::default();
    let mut found: Vec<DataType> = Vec::new();
    if let Some(cells) = &cells {
        let decision = decide(&column.name, cells, around);
        form = decision.form;
        remarks.extend(decision.remarks);
        found.push(decision.data_type);
    }
    let mut documents: Option<JsonEvidence> = None;
    for evidence in &column.evidence {
        match (evidence, &mut documents) {
            (ColumnEvidence::Cells(_), _) => {}
            (ColumnEvidence::Known(known), _) => found.push(known.clone()),
            (ColumnEvidence::Json(json), Some(merged)) => merged.merge(json.as_ref().clone()),
            (ColumnEvidence::Json(json), none) => *none = Some(json.as_ref().clone()),
        }
    }
    if let Some(merged) = documents {
        remarks.extend(merged.remark());
        found.push(merged.data_type());
    }
    let data_type = found.into_iter().reduce(|a, b| wider(&a, &b)).unwrap_or(types::TEXT);
    Ok((data_type, form, remarks))
}

fn settle_given(
    column: &Gathered,
    data_type: DataType,
    cells: Option<&Evidence>,
    around: &Surroundings,
    zone: &Zone<'_>,
) -> Settled {
    let nothing = Evidence::default();
    let cells = cells.unwrap_or(&nothing);
    let mut form = form_for(&data_type, cells, around);
    let mut remarks = Vec::new();
    match column.wanted.as_ref().and_then(|wanted| wanted.order) {
        Some(order) => form.order = order,
        None if data_type.is_temporal() => remarks.extend(order_remark(cells, around)),
        None => {}
    }
    if data_type == types::timestamptz() && cells.kinds.has(Kinds::DATE.and(Kinds::STAMP)) {
        remarks.push(format!("times without a zone are taken as {}", zone.name));
    }
    (data_type, form, remarks)
}

/// # Errors
/// `Unsupported`, with the column's name, for a type that the lake has not.
fn refuse_foreign_types(column: &Gathered) -> Result<()> {
    let foreign = column.evidence.iter().find_map(|evidence| match evidence {
        ColumnEvidence::Known(known) if types::kept_as(known).is_none() => Some(known),
        _ => None,
    });
    match foreign {
        Some(data_type) => {
            Err(Error::unsupported(format!("column `{}` is {data_type}, which no table can hold", column.source))
                .with_hint("leave the column out, or convert it first"))
        }
        None => Ok(()),
    }
}

fn renamed_remark(columns: &[ColumnPlan]) -> Option<String> {
    let renamed: Vec<&ColumnPlan> = columns
        .iter()
        .filter(|column| column.name != column.source && column.name != column.source.to_lowercase())
        .collect();
    let shown: Vec<String> =
        renamed.iter().take(RENAMED_SHOWN).map(|column| format!("`{}` is `{}`", column.source, column.name)).collect();
    let more = renamed.len().saturating_sub(RENAMED_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| format!("names made safe: {}{more}", shown.join(", ")))
}
