//! Who may do what with a subject.

use polder_capability::Caller;
use polder_capability::schemas::{SchemaError, SchemaResult};
use polder_capability::topics::{TopicClient, TopicRight, TopicThing};

use super::{fail, unknown_subject};
use crate::StoredSchemas;

/// The topic that a subject is about. One that is named otherwise has the rights of a topic of its own name.
fn topic(subject: &str) -> &str {
    let topic = subject.strip_suffix("-value").or_else(|| subject.strip_suffix("-key"));
    topic.filter(|topic| !topic.is_empty()).unwrap_or(subject)
}

impl StoredSchemas {
    /// Whether somebody knows of a subject: whoever reads the topic or writes to it does.
    pub(super) fn knows(&self, caller: &Caller, subject: &str) -> bool {
        self.rights.may(caller, TopicRight::Describe, TopicThing::Topic(topic(subject)))
    }

    /// For whoever does not know of it, it is not there.
    pub(super) fn check_known(&self, caller: &Caller, subject: &str) -> SchemaResult<()> {
        if self.must(caller, TopicRight::Describe, TopicThing::Topic(topic(subject))) {
            Ok(())
        } else {
            Err(unknown_subject(subject))
        }
    }

    /// Asks for the sake of a request that is refused if the answer is no, which the audit is told.
    fn must(&self, caller: &Caller, right: TopicRight, thing: TopicThing<'_>) -> bool {
        let may = self.rights.may(caller, right, thing);
        if !may {
            let client = TopicClient { caller: caller.clone(), client_id: "".into(), host: "".into() };
            self.rights.refused(&client, right, thing);
        }
        may
    }

    pub(super) fn check_right(&self, caller: &Caller, right: TopicRight, subject: &str) -> SchemaResult<()> {
        if self.must(caller, right, TopicThing::Topic(topic(subject))) {
            return Ok(());
        }
        fail(SchemaError::Forbidden, format!("permission denied for subject \"{subject}\""))
    }

    /// What concerns one subject, or all.
    pub(super) fn check_settings(&self, caller: &Caller, subject: Option<&str>) -> SchemaResult<()> {
        match subject {
            Some(subject) => self.check_right(caller, TopicRight::Alter, subject),
            None if self.must(caller, TopicRight::Alter, TopicThing::Server) => Ok(()),
            None => fail(SchemaError::Forbidden, "permission denied for the settings of all subjects"),
        }
    }
}
