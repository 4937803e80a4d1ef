//! Typed settings that a capability reads, so that `SHOW ALL`, `--help` and the console agree.

/// A setting's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    Bool,
    Integer,
    Text,
    Bytes,
    Seconds,
}

/// One setting: its name, type, default and reason.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    pub kind: SettingKind,
    pub default: &'static str,
    pub help: &'static str,
}
