//! The WINDOW clause: each use of a name becomes what the name stands for.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, NamedWindowExpr, OrderBy, OrderByKind, Select, SelectItem, WindowSpec, WindowType,
};
use polder_sql_tree::visit_expressions_mut;
use polder_types::{Error, Result};

use crate::statement::fold;

/// The windows of one SELECT.
#[derive(Debug, Default)]
pub(super) struct Windows(HashMap<String, WindowSpec>);

impl Windows {
    /// # Errors
    /// `InvalidInput` for a name that is not there, is there twice, or is extended in a way that SQL does not allow.
    pub fn of(select: &Select) -> Result<Self> {
        let mut windows = Self::default();
        for definition in &select.named_window {
            let spec = match &definition.1 {
                NamedWindowExpr::NamedWindow(name) => windows.get(&fold(name))?.clone(),
                NamedWindowExpr::WindowSpec(spec) => windows.resolved(spec)?,
            };
            if windows.0.insert(fold(&definition.0), spec).is_some() {
                return Err(Error::invalid(format!("window {} is defined twice", definition.0)).with_code("42P20"));
            }
        }
        Ok(windows)
    }

    fn get(&self, name: &str) -> Result<&WindowSpec> {
        self.0.get(name).ok_or_else(|| Error::invalid(format!("window {name:?} does not exist")).with_code("42704"))
    }

    /// `(base ORDER BY …)`: what is said of the base, and what is added.
    fn resolved(&self, spec: &WindowSpec) -> Result<WindowSpec> {
        let Some(name) = &spec.window_name else { return Ok(spec.clone()) };
        let base = self.get(&fold(name))?;
        let refused =
            |what: &str| Err(Error::invalid(format!("cannot override {what} of window {name}")).with_code("42P20"));
        if !spec.partition_by.is_empty() {
            return refused("PARTITION BY");
        }
        if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            return refused("ORDER BY");
        }
        if base.window_frame.is_some() {
            return refused("the frame");
        }
        let order_by = if spec.order_by.is_empty() { base.order_by.clone() } else { spec.order_by.clone() };
        Ok(WindowSpec {
            window_name: None,
            partition_by: base.partition_by.clone(),
            order_by,
            window_frame: spec.window_frame.clone(),
        })
    }

    /// Rewrites the windows of a SELECT in place.
    pub fn inline(&self, select: &mut Select) -> Result<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.inline_in(expr)?;
            }
        }
        if let Some(qualify) = &mut select.qualify {
            self.inline_in(qualify)?;
        }
        select.named_window.clear();
        Ok(())
    }

    pub fn inline_in_order(&self, order: Option<&mut OrderBy>) -> Result<()> {
        let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = order else { return Ok(()) };
        exprs.iter_mut().try_for_each(|sort| self.inline_in(&mut sort.expr))
    }

    fn inline_in(&self, expr: &mut Expr) -> Result<()> {
        let visited = visit_expressions_mut(expr, |part| {
            let Expr::Function(function) = part else { return ControlFlow::Continue(()) };
            let resolved = match &function.over {
                Some(WindowType::NamedWindow(name)) => self.get(&fold(name)).cloned(),
                Some(WindowType::WindowSpec(spec)) if spec.window_name.is_some() => self.resolved(spec),
                _ => return ControlFlow::Continue(()),
            };
            match resolved {
                Ok(spec) => {
                    function.over = Some(WindowType::WindowSpec(spec));
                    ControlFlow::Continue(())
                }
                Err(error) => ControlFlow::Break(error),
            }
        });
        match visited {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }
}
