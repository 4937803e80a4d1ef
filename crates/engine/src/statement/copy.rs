//! COPY … FROM: a load, by SQL.

use datafusion::sql::sqlparser::ast::{CopyOption, CopySource, CopyTarget, Ident, Statement};
use polder_capability::{
    CopyTerms, LoadColumns, LoadMode, LoadOptions, LoadRequest, LoadSource, LoadState, QueryError,
};
use polder_lake::TableName;
use polder_types::{Error, ErrorKind, LoadId, Result};

use super::Context;
use super::names::fold;
use super::target::{Target, quoted};
use crate::authz::READ_SERVER_FILES;
use crate::policies::check_load;
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn copy_from(&self, statement: &Statement) -> Result<Outcome> {
        let Statement::Copy { source, to: false, target, options, legacy_options, .. } = statement else {
            return Err(Error::internal("COPY … TO came the wrong way"));
        };
        let CopySource::Table { table_name: name, columns } = source else {
            return Err(Error::invalid("COPY … FROM goes into a table").with_code("42601"));
        };
        if !legacy_options.is_empty() {
            return Err(Error::unsupported("COPY … FROM with old options is not supported")
                .with_hint("write COPY table FROM 'file' (FORMAT csv, HEADER true, …)"));
        }
        let location = match target {
            CopyTarget::File { filename } => filename.clone(),
            other => {
                return Err(
                    Error::unsupported(format!("COPY … FROM {other} is not supported")).with_hint("name a file")
                );
            }
        };
        let name = self.name(name)?;
        let request = self.load_of(location, &name, columns, load_options(options)?).await?;
        let loader = self.engine.loader()?;
        let id = loader.start(request)?;
        // A caller who gives up takes the load along.
        let guard = CancelOnDrop { loader: &loader, id, armed: true };
        let status = loader.wait(id).await.ok_or_else(|| Error::internal("the load is forgotten"))?;
        guard.disarm();
        if let (LoadState::Failed | LoadState::Cancelled, Some(error)) = (status.state, &status.error) {
            return Err(failed(error));
        }
        let report = status.report.unwrap_or_default();
        let rows = report.tables.iter().map(|table| table.rows_loaded).sum();
        let snapshot = match report.snapshot {
            Some(snapshot) => snapshot,
            None => self.engine.lake.newest().await?.id,
        };
        let mut outcome = Outcome::done("COPY", Some(rows), snapshot);
        for remark in report.tables.into_iter().flat_map(|table| table.remarks) {
            outcome = outcome.notice(remark);
        }
        Ok(outcome)
    }

    /// What the loader is to do.
    async fn load_of(
        &self,
        location: String,
        name: &TableName,
        columns: &[Ident],
        mut options: LoadOptions,
    ) -> Result<LoadRequest> {
        let newest = self.engine.lake.newest().await?;
        let who = &self.settings.who;
        if !who.has(READ_SERVER_FILES) {
            return Err(no_server_files("pg_read_server_files", "COPY from a file"));
        }
        let exists = newest.table(name).is_some();
        if !exists {
            self.may_create(&newest, name)?;
        }
        // A list is of a table's columns, so there must be one.
        let filled = match exists || !columns.is_empty() {
            true => {
                let target = Target::named(name.clone(), None, &newest)?;
                let filled = filled(&target, columns)?;
                let ids = filled.names.iter().map(|name| target.column_id(name)).collect::<Result<_>>()?;
                self.may_fill(&newest, name, &target.table, &ids)?;
                check_load(self.rights(&newest), target.table.id)?;
                Some(filled)
            }
            false => None,
        };
        // As in PostgreSQL, NULL says what is missing, and nothing else is.
        options.copy = Some(CopyTerms {
            columns: filled,
            empty_is_text: options.nulls.is_some(),
            time_zone: Some(self.settings.zone().to_owned()),
        });
        Ok(LoadRequest {
            load_id: LoadId::new(),
            caller: self.caller.clone(),
            sources: vec![LoadSource::Location(location)],
            into: Some(format!("{}.{}", as_read(&name.schema), as_read(&name.table))),
            mode: if exists { LoadMode::Append } else { LoadMode::Create },
            strict: true,
            again: true,
            options,
        })
    }
}

/// The refusal of files on the server's disk, or wherever the server may read and write.
pub(crate) fn no_server_files(role: &str, what: &str) -> Error {
    let message = format!("must be superuser or have privileges of the {role} role to {what}");
    Error::new(ErrorKind::Forbidden, message)
        .with_hint("anyone can COPY to stdout or from stdin; psql's \\copy command also works for anyone")
}

/// A name as the loader reads it: without quotes, in lower case.
fn as_read(name: &str) -> String {
    let plain = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if plain { name.to_owned() } else { quoted(name) }
}

/// The columns that a file fills.
///
/// # Errors
/// `NotFound`; `InvalidInput` for a column that is listed twice, or is computed from others.
fn filled(target: &Target, listed: &[Ident]) -> Result<LoadColumns> {
    let is_generated = |id: i64| target.table.rules.generated_of(id).is_some();
    let mut names: Vec<String> = Vec::with_capacity(listed.len());
    for name in listed.iter().map(fold) {
        if is_generated(target.column_id(&name)?) {
            return Err(Error::invalid(format!("column {name:?} is a generated column"))
                .with_code("42P10")
                .with_hint("leave it out: it is computed"));
        }
        if names.contains(&name) {
            return Err(Error::invalid(format!("column {name:?} specified more than once")).with_code("42701"));
        }
        names.push(name);
    }
    if listed.is_empty() {
        names = target.table.top_columns().filter(|column| !is_generated(column.id)).map(|c| c.name.clone()).collect();
    }
    Ok(LoadColumns { names, listed: !listed.is_empty() })
}

/// The error of a load, as the statement's.
fn failed(error: &QueryError) -> Error {
    let failed = match ErrorKind::of_code(&error.code) {
        Some((kind, code)) => Error::new(kind, &error.message).with_code(code),
        None => Error::invalid(&error.message),
    };
    match &error.hint {
        Some(hint) => failed.with_hint(hint),
        None => failed,
    }
}

/// The loader's name of an encoding, which may be given by PostgreSQL's or by the loader's.
fn label_of(encoding: &str) -> String {
    let plain: String = encoding.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let windows = plain.strip_prefix("win").filter(|number| number.len() == 4 && number.starts_with("125"));
    match (plain.as_str(), windows) {
        ("unicode" | "sqlascii", _) => "utf-8".to_owned(),
        ("win866" | "alt", _) => "ibm866".to_owned(),
        ("win874", _) => "windows-874".to_owned(),
        ("uhc" | "win949", _) => "euc-kr".to_owned(),
        ("latin7", _) => "iso-8859-13".to_owned(),
        ("latin8", _) => "iso-8859-14".to_owned(),
        ("latin9", _) => "iso-8859-15".to_owned(),
        ("latin10", _) => "iso-8859-16".to_owned(),
        ("koi8u", _) => "koi8-u".to_owned(),
        ("eucjp", _) => "euc-jp".to_owned(),
        ("euckr", _) => "euc-kr".to_owned(),
        (_, Some(number)) => format!("windows-{number}"),
        _ => encoding.to_owned(),
    }
}

fn load_options(options: &[CopyOption]) -> Result<LoadOptions> {
    let mut out = LoadOptions::default();
    for (at, option) in options.iter().enumerate() {
        let kind = std::mem::discriminant(option);
        if options.iter().take(at).any(|earlier| std::mem::discriminant(earlier) == kind) {
            return Err(Error::invalid("conflicting or redundant options").with_code("42601"));
        }
        match option {
            CopyOption::Format(format) => out.format = Some(format.value.to_lowercase()),
            CopyOption::Delimiter(delimiter) => out.delimiter = Some(*delimiter),
            CopyOption::Quote(quote) => out.quote = Some(*quote),
            CopyOption::Header(header) => out.header = Some(*header),
            CopyOption::Encoding(encoding) => out.encoding = Some(label_of(encoding)),
            CopyOption::Null(null) => out.nulls = Some(vec![null.clone()]),
            other => return Err(Error::unsupported(format!("COPY … FROM ({other}) is not supported"))),
        }
    }
    Ok(out)
}

struct CancelOnDrop<'a> {
    loader: &'a std::sync::Arc<dyn polder_capability::Loader>,
    id: LoadId,
    armed: bool,
}

impl CancelOnDrop<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.loader.cancel(self.id);
        }
    }
}
