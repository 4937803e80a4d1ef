//! The columns of each view of `information_schema` that something is known of.

use arrow::datatypes::{DataType, Field};

use super::Kind;

/// Columns of numbers; all others are texts.
pub(super) const NUMBERS: &[&str] = &[
    "ordinal_position",
    "character_maximum_length",
    "character_octet_length",
    "numeric_precision",
    "numeric_precision_radix",
    "numeric_scale",
    "datetime_precision",
    "position_in_unique_constraint",
];

/// All columns of a view, as the standard's list has them.
pub(super) fn whole(columns: &str) -> Vec<Field> {
    let field = |column: &str| match column.split_once(' ') {
        Some((name, _)) => Field::new(name, DataType::Int32, true),
        None => Field::new(column, DataType::Utf8, true),
    };
    columns.split(", ").map(field).collect()
}

/// What a column says of everything that its view lists.
pub(super) fn constant(view: &str, column: &str) -> Option<&'static str> {
    Some(match (view, column) {
        ("columns", "is_self_referencing" | "identity_cycle") => "NO",
        ("tables", "is_typed") => "NO",
        (
            "views",
            "is_insertable_into" | "is_trigger_updatable" | "is_trigger_deletable" | "is_trigger_insertable_into",
        ) => "NO",
        ("table_constraints", "is_deferrable" | "initially_deferred") => "NO",
        ("table_constraints", "enforced") => "YES",
        ("sequences", "numeric_precision_radix") => "2",
        ("sequences", "numeric_scale") => "0",
        ("routines", "routine_type") => "FUNCTION",
        ("routines", "routine_body" | "external_language") => "SQL",
        ("routines", "parameter_style") => "GENERAL",
        ("routines", "sql_data_access") => "MODIFIES",
        ("routines", "security_type") => "INVOKER",
        ("routines", "is_deterministic" | "as_locator" | "is_udt_dependent") => "NO",
        ("routines", "schema_level_routine") => "YES",
        ("routines", "max_dynamic_result_sets" | "dtd_identifier") => "0",
        ("parameters", "parameter_mode") => "IN",
        ("parameters", "is_result" | "as_locator") => "NO",
        _ => return None,
    })
}

impl Kind {
    /// The columns that rows of the kind come with, in their order.
    pub(super) fn columns(self) -> Vec<&'static str> {
        self.known().split(", ").collect()
    }

    fn known(self) -> &'static str {
        match self {
            Self::AdministrableRoles | Self::ApplicableRoles => "grantee, role_name, is_grantable",
            Self::CatalogName => "catalog_name",
            Self::CharacterSets => "character_set_name, character_repertoire, form_of_use, default_collate_catalog",
            Self::ColumnPrivileges | Self::RoleColumnGrants => {
                "grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable"
            }
            Self::ColumnTypes => {
                "udt_catalog, udt_schema, udt_name, table_catalog, table_schema, table_name, column_name"
            }
            Self::Empty => "",
            Self::EnabledRoles => "role_name",
            Self::CheckConstraints => "constraint_catalog, constraint_schema, constraint_name, check_clause",
            Self::Columns => {
                "table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, \
                 data_type, character_maximum_length, character_octet_length, numeric_precision, numeric_precision_radix, \
                 numeric_scale, datetime_precision, is_identity, identity_generation, identity_start, identity_increment, \
                 identity_maximum, identity_minimum, is_generated, generation_expression, udt_catalog, udt_schema, \
                 udt_name, dtd_identifier, is_updatable"
            }
            Self::ConstraintColumns => {
                "table_catalog, table_schema, table_name, column_name, constraint_catalog, constraint_schema, \
                 constraint_name"
            }
            Self::ConstraintTables => {
                "table_catalog, table_schema, table_name, constraint_catalog, constraint_schema, constraint_name"
            }
            Self::Constraints => {
                "constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, \
                 constraint_type, nulls_distinct"
            }
            Self::ElementTypes => {
                "object_catalog, object_schema, object_name, object_type, collection_type_identifier, data_type, \
                 udt_catalog, udt_schema, udt_name, dtd_identifier"
            }
            Self::KeyColumns => {
                "constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, \
                 column_name, ordinal_position, position_in_unique_constraint"
            }
            Self::Parameters => {
                "specific_catalog, specific_schema, specific_name, ordinal_position, parameter_name, data_type, \
                 udt_catalog, udt_schema, udt_name, dtd_identifier, parameter_default"
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
                "specific_catalog, specific_schema, specific_name, routine_catalog, routine_schema, routine_name, \
                 data_type, type_udt_catalog, type_udt_schema, type_udt_name, routine_definition, is_null_call"
            }
            Self::Schemata => "catalog_name, schema_name, schema_owner",
            Self::Sequences => {
                "sequence_catalog, sequence_schema, sequence_name, data_type, start_value, minimum_value, \
                 maximum_value, increment, cycle_option, numeric_precision"
            }
            Self::Tables => "table_catalog, table_schema, table_name, table_type, is_insertable_into",
            Self::ViewTables => "view_catalog, view_schema, view_name, table_catalog, table_schema, table_name",
            Self::Views => "table_catalog, table_schema, table_name, view_definition, check_option, is_updatable",
        }
    }
}
