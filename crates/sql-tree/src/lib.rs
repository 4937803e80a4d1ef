//! Walks over syntax trees of SQL, as those of sqlparser, but compiled once.
//!
//! sqlparser's own walk is generic over the visitor: each visitor gets a copy of some seven hundred functions, one or two
//! for every kind of node, in the crate that uses it. A dozen visitors were most of what the engine's build had to do.
//! Here the walk calls the visitor through a table of functions, and exists once.
//!
//! Visitors are sqlparser's [`Visitor`] and [`VisitorMut`]; only the call differs: [`visit`] and [`visit_mut`] instead of
//! `node.visit(&mut visitor)`, and the functions for closures under their usual names.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, ValueWithSpan, Visit,
    VisitMut, Visitor, VisitorMut,
};

/// Writes a trait of one function for each moment of a walk, that of a visitor behind it, and the visitor that calls it.
macro_rules! walk {
    ($hooks:ident, $visitor:ident, $held:ident, $caller:ident, [$($function:ident: $node:ty),* $(,)?]) => {
        /// What is called along the way; whether the walk goes on.
        pub trait $hooks {
            $(fn $function(&mut self, node: $node) -> ControlFlow<()>;)*
        }

        /// A visitor, and why it broke off.
        struct $held<'a, V: $visitor> {
            visitor: &'a mut V,
            broke: Option<V::Break>,
        }

        impl<V: $visitor> $hooks for $held<'_, V> {
            $(fn $function(&mut self, node: $node) -> ControlFlow<()> {
                match self.visitor.$function(node) {
                    ControlFlow::Continue(()) => ControlFlow::Continue(()),
                    ControlFlow::Break(reason) => {
                        self.broke = Some(reason);
                        ControlFlow::Break(())
                    }
                }
            })*
        }

        struct $caller<'a>(&'a mut dyn $hooks);

        impl $visitor for $caller<'_> {
            type Break = ();

            $(fn $function(&mut self, node: $node) -> ControlFlow<()> {
                self.0.$function(node)
            })*
        }
    };
}

walk!(Hooks, Visitor, Held, Caller, [
    pre_visit_query: &Query,
    post_visit_query: &Query,
    pre_visit_select: &Select,
    post_visit_select: &Select,
    pre_visit_relation: &ObjectName,
    post_visit_relation: &ObjectName,
    pre_visit_table_factor: &TableFactor,
    post_visit_table_factor: &TableFactor,
    pre_visit_expr: &Expr,
    post_visit_expr: &Expr,
    pre_visit_statement: &Statement,
    post_visit_statement: &Statement,
    pre_visit_value: &ValueWithSpan,
    post_visit_value: &ValueWithSpan,
]);

walk!(HooksMut, VisitorMut, HeldMut, CallerMut, [
    pre_visit_query: &mut Query,
    post_visit_query: &mut Query,
    pre_visit_select: &mut Select,
    post_visit_select: &mut Select,
    pre_visit_relation: &mut ObjectName,
    post_visit_relation: &mut ObjectName,
    pre_visit_table_factor: &mut TableFactor,
    post_visit_table_factor: &mut TableFactor,
    pre_visit_expr: &mut Expr,
    post_visit_expr: &mut Expr,
    pre_visit_statement: &mut Statement,
    post_visit_statement: &mut Statement,
    pre_visit_value: &mut ValueWithSpan,
    post_visit_value: &mut ValueWithSpan,
]);

/// A node that a walk can begin at.
pub trait Node {
    /// Calls the hooks on this node and all below it.
    fn walk(&self, hooks: &mut dyn Hooks) -> ControlFlow<()>;

    /// As [`Node::walk`]; the hooks may change what they are shown.
    fn walk_mut(&mut self, hooks: &mut dyn HooksMut) -> ControlFlow<()>;
}

macro_rules! nodes {
    ($($node:ty),* $(,)?) => {
        $(impl Node for $node {
            // Inlined, it would be compiled again by whoever calls it.
            #[inline(never)]
            fn walk(&self, hooks: &mut dyn Hooks) -> ControlFlow<()> {
                self.visit(&mut Caller(hooks))
            }

            #[inline(never)]
            fn walk_mut(&mut self, hooks: &mut dyn HooksMut) -> ControlFlow<()> {
                VisitMut::visit(self, &mut CallerMut(hooks))
            }
        })*
    };
}

nodes!(Statement, Query, SetExpr, Select, SelectItem, TableFactor, TableWithJoins, Expr, ObjectName);

/// Shows a visitor the node and all below it.
pub fn visit<V: Visitor>(node: &impl Node, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut held = Held { visitor, broke: None };
    // Broken off exactly if there is a reason.
    let _ = node.walk(&mut held);
    held.broke.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Shows a visitor the node and all below it, to be changed.
pub fn visit_mut<V: VisitorMut>(node: &mut impl Node, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut held = HeldMut { visitor, broke: None };
    let _ = node.walk_mut(&mut held);
    held.broke.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// A closure as a visitor of one kind of node.
macro_rules! closures {
    ($($what:ident, $function:ident, $function_mut:ident, $moment:ident: $node:ty, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub fn $function<E>(node: &impl Node, seen: impl FnMut(&$node) -> ControlFlow<E>) -> ControlFlow<E> {
                struct $what<F>(F);

                impl<E, F: FnMut(&$node) -> ControlFlow<E>> Visitor for $what<F> {
                    type Break = E;

                    fn $moment(&mut self, node: &$node) -> ControlFlow<E> {
                        (self.0)(node)
                    }
                }

                visit(node, &mut $what(seen))
            }

            #[doc = $doc]
            pub fn $function_mut<E>(
                node: &mut impl Node,
                seen: impl FnMut(&mut $node) -> ControlFlow<E>,
            ) -> ControlFlow<E> {
                struct $what<F>(F);

                impl<E, F: FnMut(&mut $node) -> ControlFlow<E>> VisitorMut for $what<F> {
                    type Break = E;

                    fn $moment(&mut self, node: &mut $node) -> ControlFlow<E> {
                        (self.0)(node)
                    }
                }

                visit_mut(node, &mut $what(seen))
            }
        )*
    };
}

closures!(
    OfExpressions, visit_expressions, visit_expressions_mut, pre_visit_expr: Expr,
        "Calls the closure on every expression, before those within it.";
    OfRelations, visit_relations, visit_relations_mut, pre_visit_relation: ObjectName,
        "Calls the closure on the name of every relation.";
);

#[cfg(test)]
mod tests;
