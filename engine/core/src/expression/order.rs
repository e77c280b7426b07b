//! The order in which a macro goes over a map. CEL leaves it open, and the library's differs from one evaluation to the next; a
//! run must come out the same each time, so macros go over the keys in order.

use std::sync::Arc;

use cel::{
    Context, Value as Cel,
    common::ast::{CallExpr, EntryExpr, Expr, IdedExpr},
};

/// The function around what a macro goes over. No expression can call it: a name of CEL has no `@`.
const IN_ORDER: &str = "@in_order";

/// The tree with every macro going over the keys of a map in order.
pub(crate) fn in_order(mut tree: IdedExpr) -> IdedExpr {
    wrap(&mut tree);
    tree
}

/// Makes such a tree's function known.
pub(crate) fn declare(context: &mut Context<'_, '_>) {
    // It refuses only a name that the environment has already.
    let _ = context.add_function(IN_ORDER, keys_in_order);
}

/// The keys of a map in order; everything else as it is.
fn keys_in_order(value: Cel) -> Cel {
    let Cel::Map(map) = value else { return value };
    let mut keys: Vec<_> = map.map.keys().cloned().collect();
    keys.sort();
    Cel::List(Arc::new(keys.into_iter().map(Cel::from).collect()))
}

fn wrap(node: &mut IdedExpr) {
    match &mut node.expr {
        Expr::Comprehension(comprehension) => {
            wrap(&mut comprehension.iter_range);
            let range = std::mem::take(&mut comprehension.iter_range);
            let id = range.id;
            let call = CallExpr { func_name: IN_ORDER.to_owned(), target: None, args: vec![range] };
            comprehension.iter_range = IdedExpr { id, expr: Expr::Call(call) };
            for part in [
                &mut comprehension.accu_init,
                &mut comprehension.loop_cond,
                &mut comprehension.loop_step,
                &mut comprehension.result,
            ] {
                wrap(part);
            }
        }
        Expr::Call(call) => call.target.iter_mut().map(AsMut::as_mut).chain(&mut call.args).for_each(wrap),
        Expr::List(list) => list.elements.iter_mut().for_each(wrap),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| wrap_entry(&mut entry.expr)),
        Expr::Struct(object) => object.entries.iter_mut().for_each(|entry| wrap_entry(&mut entry.expr)),
        Expr::Select(select) => wrap(&mut select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn wrap_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => wrap(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            wrap(&mut entry.key);
            wrap(&mut entry.value);
        }
    }
}
