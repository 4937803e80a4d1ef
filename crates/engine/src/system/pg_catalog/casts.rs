//! `pg_cast`: from which of PostgreSQL's types to which a value can be cast.

use arrow::array::ArrayRef;
use polder_types::Result;

use super::columns;
use super::row::Rows;

/// The types that a type is cast to, each with two letters: when (`i` wherever it is needed, `a` where a value is stored, `e` only
/// where it is written) and how (`b` as it is, `f` by a function, `i` by its text). (PostgreSQL's own `pg_cast`.)
type Targets = &'static [(i64, &'static str)];

/// By the type that is cast.
const CASTS: &[(i64, Targets)] = &[
    (16, &[(23, "ef"), (25, "af"), (1_042, "af"), (1_043, "af")]),
    (18, &[(23, "ef"), (25, "if"), (1_042, "af"), (1_043, "af")]),
    (
        20,
        &[
            (21, "af"),
            (23, "af"),
            (24, "if"),
            (26, "if"),
            (700, "if"),
            (701, "if"),
            (1_700, "if"),
            (2_202, "if"),
            (2_205, "if"),
            (2_206, "if"),
            (4_089, "if"),
            (4_096, "if"),
        ],
    ),
    (
        21,
        &[
            (20, "if"),
            (23, "if"),
            (24, "if"),
            (26, "if"),
            (700, "if"),
            (701, "if"),
            (1_700, "if"),
            (2_202, "if"),
            (2_205, "if"),
            (2_206, "if"),
            (4_089, "if"),
            (4_096, "if"),
        ],
    ),
    (
        23,
        &[
            (16, "ef"),
            (18, "ef"),
            (20, "if"),
            (21, "af"),
            (24, "ib"),
            (26, "ib"),
            (700, "if"),
            (701, "if"),
            (1_700, "if"),
            (2_202, "ib"),
            (2_205, "ib"),
            (2_206, "ib"),
            (4_089, "ib"),
            (4_096, "ib"),
        ],
    ),
    (24, &[(20, "af"), (23, "ab"), (26, "ib"), (2_202, "ib")]),
    (25, &[(18, "af"), (1_042, "ib"), (1_043, "ib"), (2_205, "if")]),
    (
        26,
        &[
            (20, "af"),
            (23, "ab"),
            (24, "ib"),
            (2_202, "ib"),
            (2_205, "ib"),
            (2_206, "ib"),
            (4_089, "ib"),
            (4_096, "ib"),
        ],
    ),
    (114, &[(3_802, "ai")]),
    (194, &[(25, "ib")]),
    (700, &[(20, "af"), (21, "af"), (23, "af"), (701, "if"), (1_700, "af")]),
    (701, &[(20, "af"), (21, "af"), (23, "af"), (700, "af"), (1_700, "af")]),
    (1_042, &[(18, "af"), (25, "if"), (1_042, "if"), (1_043, "if")]),
    (1_043, &[(18, "af"), (25, "ib"), (1_042, "ib"), (1_043, "if"), (2_205, "if")]),
    (1_082, &[(1_114, "if"), (1_184, "if")]),
    (1_083, &[(1_083, "if")]),
    (1_114, &[(1_082, "af"), (1_083, "af"), (1_114, "if"), (1_184, "if")]),
    (1_184, &[(1_082, "af"), (1_083, "af"), (1_114, "af"), (1_184, "if")]),
    (1_186, &[(1_186, "if")]),
    (1_700, &[(20, "af"), (21, "af"), (23, "af"), (700, "if"), (701, "if"), (1_700, "if")]),
    (2_202, &[(20, "af"), (23, "ab"), (24, "ib"), (26, "ib")]),
    (2_205, &[(20, "af"), (23, "ab"), (26, "ib")]),
    (2_206, &[(20, "af"), (23, "ab"), (26, "ib")]),
    (3_802, &[(16, "ef"), (20, "ef"), (21, "ef"), (23, "ef"), (114, "ai"), (700, "ef"), (701, "ef"), (1_700, "ef")]),
    (4_089, &[(20, "af"), (23, "ab"), (26, "ib")]),
    (4_096, &[(20, "af"), (23, "ab"), (26, "ib")]),
];

/// The first object id of theirs: no other table has to do with them.
const FIRST: i64 = 10_049;

pub(super) fn rows() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_CAST);
    let casts = CASTS.iter().flat_map(|(source, targets)| targets.iter().map(|(target, how)| (*source, *target, *how)));
    for (oid, (source, target, how)) in (FIRST..).zip(casts) {
        let (when, method) = how.split_at(1);
        rows.push([
            ("oid", oid.into()),
            ("castsource", source.into()),
            ("casttarget", target.into()),
            // The functions behind them have no names.
            ("castfunc", 0_i64.into()),
            ("castcontext", when.into()),
            ("castmethod", method.into()),
        ]);
    }
    rows.finish()
}
