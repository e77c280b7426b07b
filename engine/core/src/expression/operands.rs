//! The types of an expression and of its parts, as far as they are known before a run, and what cannot be done with them.

use cel::Program;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators as cel_operators,
};

use super::{
    Analysis,
    analysis::path,
    operators::{BINARY, FUNCTIONS, Function, Kind},
};
use crate::types::Type;

/// Chains such as `a + b + c` are as deep as they are long.
const DEPTH_MAX: usize = 64;

/// Operands that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Where, in bytes of the expression's text.
    pub(crate) at: (usize, usize),
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

/// The type of the expression, where it is known, and everything in it that cannot be done. `known` tells the type of a reference.
pub(crate) fn check(
    text: &str,
    analysis: &Analysis,
    known: &dyn Fn(&[String]) -> Option<Type>,
) -> (Option<Type>, Vec<Misfit>) {
    let Some(program) = &analysis.program else {
        return (analysis.references.first().and_then(|reference| known(&reference.path)), Vec::new());
    };
    let mut operands = Operands { text, program, known, bound: Vec::new(), found: Vec::new(), depth: 0 };
    let ty = operands.infer(program.expression());
    (ty.filter(|ty| *ty != Type::Json), operands.found)
}

struct Operands<'a> {
    text: &'a str,
    program: &'a Program,
    known: &'a dyn Fn(&[String]) -> Option<Type>,
    /// What macros go over, by the name that the author gave it.
    bound: Vec<(String, Option<Type>)>,
    found: Vec<Misfit>,
    depth: usize,
}

impl Operands<'_> {
    /// The type of a part; `None` if it is unknown, or nested deeper than an author would write.
    fn infer(&mut self, node: &IdedExpr) -> Option<Type> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let ty = self.type_of(node);
        self.depth -= 1;
        ty
    }

    fn type_of(&mut self, node: &IdedExpr) -> Option<Type> {
        if let Expr::Select(select) = &node.expr
            && select.test
        {
            return Some(Type::Bool);
        }
        if let Some((_, segments)) = path(node) {
            let bound = self.bound.iter().rev().find(|(name, _)| *name == segments[0]).map(|(_, ty)| ty.clone());
            return match bound {
                Some(ty) => segments[1..].iter().try_fold(ty?, |ty, key| self.key(node, &ty, key)),
                None => (self.known)(&segments),
            };
        }
        match &node.expr {
            Expr::Literal(literal) => literal_type(literal),
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                let items: Vec<_> = list.elements.iter().map(|item| self.infer(item)).collect();
                Some(Type::List(Box::new(common(items))))
            }
            Expr::Map(map) => {
                let values: Vec<_> = map.entries.iter().map(|entry| self.entry(&entry.expr)).collect();
                Some(Type::Map(Box::new(common(values))))
            }
            Expr::Select(select) => {
                let operand = self.infer(&select.operand)?;
                self.key(node, &operand, &select.field)
            }
            Expr::Struct(_) | Expr::Ident(_) | Expr::Unspecified => None,
        }
    }

    fn entry(&mut self, entry: &EntryExpr) -> Option<Type> {
        match entry {
            EntryExpr::MapEntry(entry) => {
                self.infer(&entry.key);
                self.infer(&entry.value)
            }
            EntryExpr::StructField(field) => self.infer(&field.value),
        }
    }

    /// The type of a key of a value.
    fn key(&mut self, node: &IdedExpr, ty: &Type, key: &str) -> Option<Type> {
        let found = ty.key(key).cloned();
        if found.is_none() {
            let help = match ty {
                Type::Record(fields) => {
                    let names: Vec<_> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
                    format!("it has {}", names.join(", "))
                }
                Type::List(_) => "items of a list are selected by number, as in `list[0]`".to_owned(),
                _ => "only a map or a record has keys".to_owned(),
            };
            self.misfit(node, format!("a value of type {ty} has no `{key}`"), help);
        }
        found
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Option<Type> {
        let operands: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let types: Vec<Option<Type>> = operands.iter().map(|operand| self.infer(operand)).collect();
        let name = call.func_name.as_str();
        match (name, operands.as_slice(), types.as_slice()) {
            (cel_operators::CONDITIONAL, [condition, _, otherwise], [asked, yes, no]) => {
                self.must_be_bool(condition, asked.as_ref());
                self.choice(otherwise, yes.as_ref(), no.as_ref())
            }
            (cel_operators::INDEX, [_, index], [Some(container), key]) => {
                self.index(node, index, container, key.as_ref())
            }
            (cel_operators::EQUALS | cel_operators::NOT_EQUALS, _, [left, right]) => {
                self.equality(node, left.as_ref(), right.as_ref());
                Some(Type::Bool)
            }
            (cel_operators::IN, [_, _], [item, container]) => {
                self.membership(node, item.as_ref(), container.as_ref());
                Some(Type::Bool)
            }
            (_, [_, _], [left, right]) if BINARY.iter().any(|binary| binary.name == name) => {
                self.binary(node, name, left.as_ref(), right.as_ref())
            }
            _ => {
                let function = FUNCTIONS.iter().find(|function| function.name == name)?;
                self.function(node, function, &operands, &types)
            }
        }
    }

    fn binary(&mut self, node: &IdedExpr, name: &str, left: Option<&Type>, right: Option<&Type>) -> Option<Type> {
        let binary = BINARY.iter().find(|binary| binary.name == name)?;
        let (have_left, have_right) = (left.and_then(kind), right.and_then(kind));
        let is = |have: Option<Kind>, takes: Kind| have.is_none_or(|have| have == takes);
        let mut fitting = binary.takes.iter().filter(|(l, r, _)| is(have_left, *l) && is(have_right, *r));
        let Some((_, _, gives)) = fitting.next() else {
            let (l, r) = (named(left), named(right));
            self.misfit(node, format!("`{}` cannot be applied to {l} and {r}", binary.written), binary.help.to_owned());
            return None;
        };
        let one = fitting.all(|(_, _, other)| other == gives);
        match gives {
            Kind::List => {
                Some(Type::List(Box::new(common([left.and_then(item), right.and_then(item)])))).filter(|_| one)
            }
            gives => Some(plain(*gives)?).filter(|_| one),
        }
    }

    fn function(
        &mut self,
        node: &IdedExpr,
        function: &Function,
        operands: &[&IdedExpr],
        types: &[Option<Type>],
    ) -> Option<Type> {
        let most = function.takes.len();
        if operands.len() > most || operands.len() < most - function.optional {
            let message = format!("`{}` takes {}, but {} are given", function.written, counted(most), operands.len());
            self.misfit(node, message, "the value before the dot counts as an operand".to_owned());
            return function.gives.and_then(plain);
        }
        for ((operand, ty), takes) in operands.iter().zip(types).zip(function.takes) {
            let Some(ty) = ty else { continue };
            if kind(ty).is_some_and(|have| !takes.contains(&have)) {
                let message = format!("`{}` cannot be applied to {}", function.written, named(Some(ty)));
                self.misfit(operand, message, format!("it takes {}", words(takes)));
            }
        }
        function.gives.map_or_else(|| types.first().cloned().flatten(), plain)
    }

    fn must_be_bool(&mut self, node: &IdedExpr, ty: Option<&Type>) {
        if let Some(ty) = ty.filter(|ty| kind(ty).is_some_and(|kind| kind != Kind::Bool)) {
            let message = format!("the condition before `?` must be a bool, not {}", named(Some(ty)));
            self.misfit(node, message, "use a comparison, as in `rows > 0 ? … : …`".to_owned());
        }
    }

    fn choice(&mut self, otherwise: &IdedExpr, yes: Option<&Type>, no: Option<&Type>) -> Option<Type> {
        let (yes, no) = (yes?, no?);
        if yes.fits(no) {
            return Some(no.clone());
        }
        if no.fits(yes) {
            return Some(yes.clone());
        }
        let message = format!("the two results of `?` are {} and {}", named(Some(yes)), named(Some(no)));
        self.misfit(
            otherwise,
            message,
            "both results must have the same type; `string(…)` converts a value to a string".to_owned(),
        );
        None
    }

    fn index(&mut self, node: &IdedExpr, index: &IdedExpr, container: &Type, key: Option<&Type>) -> Option<Type> {
        let wanted = match kind(container)? {
            Kind::List => Kind::Int,
            Kind::Map => Kind::String,
            _ => {
                let message = format!("{} has no items", named(Some(container)));
                self.misfit(node, message, "only a list or a map has items".to_owned());
                return None;
            }
        };
        if let Some(key) = key.filter(|key| kind(key).is_some_and(|kind| kind != wanted)) {
            let message = format!("{} cannot be indexed by {}", named(Some(container)), named(Some(key)));
            self.misfit(index, message, format!("it is indexed by {}", words(&[wanted])));
        }
        match container {
            Type::List(item) | Type::Map(item) => Some(item.as_ref().clone()),
            _ => None,
        }
    }

    fn equality(&mut self, node: &IdedExpr, left: Option<&Type>, right: Option<&Type>) {
        let (Some(left), Some(right)) = (left, right) else { return };
        if !may_be_equal(left, right) {
            let message = format!("{} is never equal to {}", named(Some(left)), named(Some(right)));
            let help = match (kind(left), kind(right)) {
                (Some(Kind::Timestamp), _) | (_, Some(Kind::Timestamp)) => {
                    "write a timestamp as `timestamp('2026-11-21T03:50:00Z')`"
                }
                (Some(Kind::Duration), _) | (_, Some(Kind::Duration)) => "write a duration as `duration('5m')`",
                _ => "convert one side with `string(…)`, `int(…)` or `double(…)`",
            };
            self.misfit(node, message, help.to_owned());
        }
    }

    fn membership(&mut self, node: &IdedExpr, item: Option<&Type>, container: Option<&Type>) {
        let Some(container) = container else { return };
        let wanted = match (kind(container), container) {
            (Some(Kind::List), Type::List(wanted)) => wanted.as_ref(),
            (Some(Kind::Map), _) => &Type::String,
            (None, _) => return,
            _ => {
                let message = format!("`in` cannot be applied to {}", named(Some(container)));
                self.misfit(
                    node,
                    message,
                    "`in` searches a list or the keys of a map; use `text.contains('part')` to search a string"
                        .to_owned(),
                );
                return;
            }
        };
        if let Some(item) = item.filter(|item| !may_be_equal(item, wanted)) {
            let message = format!("{} is never `in` {}", named(Some(item)), named(Some(container)));
            self.misfit(node, message, "convert one side with `string(…)`, `int(…)` or `double(…)`".to_owned());
        }
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Option<Type> {
        let range = self.infer(&comprehension.iter_range);
        let over = match range.as_ref().map(|range| (kind(range), range)) {
            Some((Some(Kind::List), Type::List(item))) => Some(item.as_ref().clone()),
            Some((Some(Kind::Map), _)) => Some(Type::String),
            Some((Some(_), range)) => {
                let message =
                    format!("`all`, `exists`, `map` and `filter` need a list or a map, not {}", named(Some(range)));
                self.misfit(&comprehension.iter_range, message, "call it on a list".to_owned());
                None
            }
            _ => None,
        };
        let before = self.bound.len();
        self.bound.push((comprehension.iter_var.clone(), over.clone().filter(|ty| *ty != Type::Json)));
        self.bound.extend(comprehension.iter_var2.clone().map(|name| (name, None)));
        self.bound.push((comprehension.accu_var.clone(), None));
        self.infer(&comprehension.loop_step);
        let appended = appended(&comprehension.loop_step).and_then(|item| self.infer(item));
        self.bound.truncate(before);
        match &comprehension.accu_init.expr {
            Expr::Literal(_) => Some(Type::Bool),
            Expr::List(_) => Some(Type::List(Box::new(appended.unwrap_or(Type::Json)))),
            _ => None,
        }
    }

    fn misfit(&mut self, node: &IdedExpr, message: String, help: String) {
        let at = span(self.text, self.program, node);
        self.found.push(Misfit { at, message, help });
    }
}

/// What `map` and `filter` add to their list for each item: `accu + [x]`, or that where a condition holds.
fn appended(step: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &step.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (cel_operators::CONDITIONAL, [_, step, _]) => appended(step),
        (cel_operators::ADD, [_, added]) => match &added.expr {
            Expr::List(list) => list.elements.first(),
            _ => None,
        },
        _ => None,
    }
}

/// From the first to the last character of a part, in bytes.
fn span(text: &str, program: &Program, node: &IdedExpr) -> (usize, usize) {
    let mut range: Option<(u32, u32)> = None;
    let mut names_end = 0;
    let byte = |place: u32| text.char_indices().nth(place as usize).map_or(text.len(), |(at, _)| at);
    each(node, 0, &mut |node| {
        let Some((start, stop)) = program.source_info().offset_for(node.id) else { return };
        let start = start.saturating_sub(name_before(text, byte(start), node));
        let (first, last) = range.unwrap_or((start, stop));
        range = Some((first.min(start), last.max(stop)));
        // Of a reference the tree knows where its root begins only.
        if let Some((root, segments)) = path(node)
            && let Some((start, _)) = program.source_info().offset_for(root.id)
        {
            range = range.map(|(first, last)| (first.min(start), last));
            let end = segments.iter().fold(byte(start), |at, segment| {
                text[at..].find(segment.as_str()).map_or(at, |found| at + found + segment.len())
            });
            names_end = names_end.max(end);
        }
    });
    let Some((first, last)) = range else { return (0, text.len()) };
    let (start, mut end) = (byte(first), byte(last.saturating_add(1)).max(names_end));
    // Nor does it know the bracket behind what a function is given.
    let is_open = |end: usize| text[start..end].matches('(').count() > text[start..end].matches(')').count();
    while is_open(end) && text[end..].starts_with(')') {
        end += 1;
    }
    (start, end)
}

/// Of the call of a function the tree knows where its bracket is: how many characters of its name stand before that.
fn name_before(text: &str, bracket: usize, node: &IdedExpr) -> u32 {
    match &node.expr {
        Expr::Call(call) if call.target.is_none() && text[..bracket].ends_with(&call.func_name) => {
            u32::try_from(call.func_name.chars().count()).unwrap_or(0)
        }
        _ => 0,
    }
}

fn each(node: &IdedExpr, depth: usize, visit: &mut dyn FnMut(&IdedExpr)) {
    visit(node);
    if depth >= DEPTH_MAX || path(node).is_some() {
        return;
    }
    let depth = depth + 1;
    match &node.expr {
        Expr::Call(call) => {
            call.target.as_deref().into_iter().chain(&call.args).for_each(|part| each(part, depth, visit));
        }
        Expr::Select(select) => each(&select.operand, depth, visit),
        Expr::List(list) => list.elements.iter().for_each(|part| each(part, depth, visit)),
        Expr::Comprehension(comprehension) => each(&comprehension.iter_range, depth, visit),
        _ => {}
    }
}

fn literal_type(literal: &LiteralValue) -> Option<Type> {
    match literal {
        LiteralValue::String(_) => Some(Type::String),
        LiteralValue::Boolean(_) => Some(Type::Bool),
        LiteralValue::Int(_) => Some(Type::Int),
        LiteralValue::Double(_) => Some(Type::Float),
        _ => None,
    }
}

/// What operators see in a value of that type; `None` where it may be anything.
fn kind(ty: &Type) -> Option<Kind> {
    Some(match ty {
        Type::Json => return None,
        Type::String | Type::Target { .. } => Kind::String,
        Type::Bool => Kind::Bool,
        Type::Int => Kind::Int,
        Type::Float => Kind::Float,
        Type::Timestamp => Kind::Timestamp,
        Type::Duration => Kind::Duration,
        Type::List(_) => Kind::List,
        Type::Map(_) | Type::OneOf(_) | Type::Record(_) => Kind::Map,
    })
}

fn plain(kind: Kind) -> Option<Type> {
    Some(match kind {
        Kind::Bool => Type::Bool,
        Kind::Int => Type::Int,
        Kind::Float => Type::Float,
        Kind::String => Type::String,
        Kind::Timestamp => Type::Timestamp,
        Kind::Duration => Type::Duration,
        Kind::List | Kind::Map => return None,
    })
}

fn item(ty: &Type) -> Option<Type> {
    match ty {
        Type::List(item) => Some(item.as_ref().clone()),
        _ => None,
    }
}

/// The one type of all of them; `json` where they are of several, or one is not known.
fn common(types: impl IntoIterator<Item = Option<Type>>) -> Type {
    let mut types = types.into_iter();
    let Some(Some(first)) = types.next() else { return Type::Json };
    if types.all(|ty| ty.as_ref() == Some(&first)) { first } else { Type::Json }
}

fn may_be_equal(left: &Type, right: &Type) -> bool {
    let is_number = |kind| matches!(kind, Kind::Int | Kind::Float);
    match (kind(left), kind(right)) {
        (Some(left), Some(right)) => left == right || is_number(left) && is_number(right),
        _ => true,
    }
}

fn named(ty: Option<&Type>) -> String {
    match ty {
        None | Some(Type::Json) => "a value of any type".to_owned(),
        Some(ty @ (Type::Int | Type::OneOf(_))) => format!("an `{ty}`"),
        Some(ty) => format!("a `{ty}`"),
    }
}

fn words(kinds: &[Kind]) -> String {
    let names: Vec<String> =
        kinds.iter().map(|kind| format!("{kind:?}").to_lowercase()).map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [one] => format!("a {one}"),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
        [] => "nothing".to_owned(),
    }
}

fn counted(number: usize) -> String {
    if number == 1 { "1 operand".to_owned() } else { format!("{number} operands") }
}
