//! What the functions about the catalog know. It comes along in the configuration of each statement, since that is all that
//! a function is called with.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use polder_capability::topics::TopicTable;
use polder_lake::{Snapshot, TableName, TableState, ViewState};
use polder_types::Error;

use super::directory::{Directory, Of, Relation};
use super::oids;
use crate::authz::{Rights, Who};
use crate::deliveries::Brought;
use crate::engine::Engine;
use crate::limits::LimitSettings;
use crate::record::Running;
use crate::session::{KeptStatements, Settings};
use crate::topics;

/// One statement's view of the catalog.
#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    who: Who,
    process: Option<i32>,
    path: Vec<String>,
    /// The schema of what the session has made that is temporary.
    temporary: Option<String>,
    zone: String,
    row_security: bool,
    read_only: bool,
    limits: LimitSettings,
    custom: Arc<BTreeMap<String, String>>,
    brought: Option<Brought>,
    kept: Arc<KeptStatements>,
    running: Weak<Running>,
    directory: OnceLock<Directory>,
    /// A table has been opened of which somebody may not read all columns.
    has_guards: AtomicBool,
}

impl World {
    pub(crate) fn new(engine: &Arc<Engine>, snapshot: &Arc<Snapshot>, settings: &Settings) -> Self {
        Self(Arc::new(Inner {
            engine: Arc::clone(engine),
            snapshot: Arc::clone(snapshot),
            who: settings.who.clone(),
            process: settings.process,
            path: settings.path.clone(),
            temporary: settings.temporary.schema.clone(),
            zone: settings.zone().to_owned(),
            row_security: settings.row_security,
            read_only: settings.read_only,
            limits: settings.limits,
            custom: Arc::clone(&settings.custom),
            brought: settings.brought.clone(),
            kept: Arc::clone(&settings.kept),
            running: Weak::clone(&settings.running),
            directory: OnceLock::new(),
            has_guards: AtomicBool::new(false),
        }))
    }

    /// The one of the statement that a function is called in.
    ///
    /// # Errors
    /// `Internal` outside of a statement.
    pub(crate) fn of(config: &ConfigOptions) -> DataFusionResult<&Self> {
        config.extensions.get::<Self>().ok_or_else(|| {
            DataFusionError::External(Box::new(Error::internal("a function of the catalog outside of a statement")))
        })
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    /// Records that stand for a topic.
    pub(crate) fn brought(&self) -> Option<&Brought> {
        self.0.brought.as_ref()
    }

    /// What the client of the session keeps.
    pub(super) fn kept(&self) -> &KeptStatements {
        &self.0.kept
    }

    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.0.snapshot
    }

    /// Who runs the statement.
    pub(crate) fn who(&self) -> &Who {
        &self.0.who
    }

    /// The number of their session, if it has one.
    pub(crate) fn process(&self) -> Option<i32> {
        self.0.process
    }

    /// What they may do with the things of the snapshot.
    pub(crate) fn rights(&self) -> Rights<'_> {
        Rights::new(&self.0.who, &self.0.snapshot)
    }

    pub(crate) fn path(&self) -> &[String] {
        &self.0.path
    }

    /// The schema of a table that is named without one: the first of the path that holds it, or the first of all.
    pub(crate) fn schema_of(&self, table: &str) -> Option<&str> {
        let (rights, snapshot) = (self.rights(), self.snapshot());
        let holder = self.0.temporary.iter().chain(&self.0.path).find(|schema| {
            let name = TableName::new(schema.as_str(), table);
            let is_there = snapshot.table(&name).is_some() || snapshot.view(&name).is_some();
            is_there && rights.use_schema(schema).is_ok()
        });
        holder.or_else(|| self.0.path.first()).map(String::as_str)
    }

    pub(crate) fn zone(&self) -> &str {
        &self.0.zone
    }

    /// Whether whoever runs the statement is shown the rows that policies allow; otherwise tables with policies are refused.
    pub(crate) fn read_only(&self) -> bool {
        self.0.read_only
    }

    pub(crate) fn row_security(&self) -> bool {
        self.0.row_security
    }

    /// The statement, for what reads tables while it is planned; `None`: it runs no more, or is nobody's.
    pub(crate) fn running(&self) -> Option<Arc<Running>> {
        self.0.running.upgrade()
    }

    /// What the session's statements may take.
    pub(crate) fn limits(&self) -> &LimitSettings {
        &self.0.limits
    }

    /// Whether plans of the statement have to be looked at for columns that may not be read.
    pub(crate) fn has_guards(&self) -> bool {
        self.0.has_guards.load(Ordering::Relaxed)
    }

    pub(crate) fn note_guard(&self) {
        self.0.has_guards.store(true, Ordering::Relaxed);
    }

    /// A setting of an application.
    pub(crate) fn custom(&self, name: &str) -> Option<&String> {
        self.0.custom.get(&name.to_lowercase())
    }

    /// Made when it is first asked for.
    pub(crate) fn directory(&self) -> &Directory {
        self.0.directory.get_or_init(|| {
            // Names are not looked for where nothing may be used.
            let rights = self.rights();
            let path = self.0.temporary.iter().chain(&self.0.path);
            let usable = path.filter(|schema| rights.use_schema(schema).is_ok());
            Directory::new(&self.0.snapshot, &self.topics(), &usable.cloned().collect::<Vec<_>>())
        })
    }

    /// The topics that they may read.
    pub(crate) fn topics(&self) -> Vec<TopicTable> {
        let Some(rows) = self.engine().topic_rows() else { return Vec::new() };
        rows.all(&topics::caller(self.who()))
    }

    /// The table of a relation, or the one that the relation hangs on.
    pub(crate) fn table(&self, relation: &Relation) -> Option<&TableState> {
        match relation.of {
            Of::Table(id) | Of::Index(id, _) | Of::Sequence(id, _) => {
                self.0.snapshot.tables.get(&id).map(AsRef::as_ref)
            }
            Of::View(_) | Of::Topic(_) | Of::System => None,
        }
    }

    /// The owner of a relation, or of the one that it hangs on.
    pub(crate) fn owner_of(&self, relation: &Relation) -> i64 {
        match relation.of {
            Of::Table(id) | Of::Index(id, _) | Of::Sequence(id, _) | Of::View(id) => self.rights().owner(id),
            Of::Topic(id) => self.0.who.book.topic_owner(id),
            Of::System => oids::OWNER,
        }
    }

    pub(crate) fn view(&self, relation: &Relation) -> Option<&ViewState> {
        match relation.of {
            Of::View(id) => self.0.snapshot.views.get(&id).map(AsRef::as_ref),
            _ => None,
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("snapshot", &self.0.snapshot.id).finish_non_exhaustive()
    }
}

impl ConfigExtension for World {
    const PREFIX: &'static str = "polder_catalog";
}

/// It has no settings that could be shown or changed.
impl ExtensionOptions for World {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> DataFusionResult<()> {
        Err(DataFusionError::Configuration(format!("there is no setting {key:?}")))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
