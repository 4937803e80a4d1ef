//! The columns of each table of `information_schema`.

use arrow::datatypes::Field;

use super::Kind;
use crate::system::{int, text};

/// Columns of numbers; all others are texts.
const NUMBERS: &[&str] = &[
    "ordinal_position",
    "character_maximum_length",
    "numeric_precision",
    "numeric_scale",
    "datetime_precision",
    "position_in_unique_constraint",
];

impl Kind {
    pub(super) fn fields(self) -> Vec<Field> {
        let field = |name: &str| if NUMBERS.contains(&name) { int(name, true) } else { text(name, true) };
        self.columns().split(", ").map(field).collect()
    }

    fn columns(self) -> &'static str {
        match self {
            Self::ApplicableRoles => "grantee, role_name, is_grantable",
            Self::CharacterSets => {
                "character_set_catalog, character_set_schema, character_set_name, character_repertoire, form_of_use, \
                 default_collate_catalog, default_collate_schema, default_collate_name"
            }
            Self::ColumnPrivileges | Self::RoleColumnGrants => {
                "grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable"
            }
            Self::EnabledRoles => "role_name",
            Self::CheckConstraints => "constraint_catalog, constraint_schema, constraint_name, check_clause",
            Self::Columns => {
                "table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, \
                 data_type, character_maximum_length, numeric_precision, numeric_scale, datetime_precision, is_identity, \
                 identity_generation, is_generated, generation_expression, udt_catalog, udt_schema, udt_name"
            }
            Self::ConstraintColumns => {
                "table_catalog, table_schema, table_name, column_name, constraint_catalog, constraint_schema, \
                 constraint_name"
            }
            Self::Constraints => {
                "constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, \
                 constraint_type"
            }
            Self::KeyColumns => {
                "constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, \
                 column_name, ordinal_position, position_in_unique_constraint"
            }
            Self::Privileges | Self::RoleTableGrants => {
                "grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy"
            }
            Self::References => {
                "constraint_catalog, constraint_schema, constraint_name, unique_constraint_catalog, \
                 unique_constraint_schema, unique_constraint_name, match_option, update_rule, delete_rule"
            }
            Self::RoleRoutineGrants | Self::RoutinePrivileges => {
                "grantor, grantee, specific_catalog, specific_schema, specific_name, routine_catalog, routine_schema, \
                 routine_name, privilege_type, is_grantable"
            }
            Self::Routines => {
                "routine_catalog, routine_schema, routine_name, routine_type, external_language, routine_definition"
            }
            Self::Schemata => "catalog_name, schema_name, schema_owner",
            Self::Sequences => {
                "sequence_catalog, sequence_schema, sequence_name, data_type, start_value, minimum_value, \
                 maximum_value, increment, cycle_option"
            }
            Self::Tables => "table_catalog, table_schema, table_name, table_type",
            Self::Views => "table_catalog, table_schema, table_name, view_definition, check_option, is_updatable",
        }
    }
}
